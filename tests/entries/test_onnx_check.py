"""What a graph may be made of, read before anything runs it."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from racer.entries.onnx_check import ALLOWED_OPERATORS, CONTROL_FLOW_OPERATORS, check_graph
from racer.entries.protobuf import (
    MAX_FIELDS,
    FieldBudget,
    ProtobufError,
    ProtobufField,
    read_message,
)
from racer.errors import EntryError
from racer.sensors.state_sensor import STATE_SIZE
from tests.helpers.entries import entry_of
from tests.helpers.graphs import FLOAT, WEIGHTS


def model(*nodes, opsets=(("", 18),), shape=(1, STATE_SIZE), kind=FLOAT, done=FLOAT):
    """A graph with tanh(observation @ w) and whatever other nodes."""
    usual = [
        helper.make_node("MatMul", ["observation", "w"], ["y"]),
        helper.make_node("Tanh", ["y"], ["action"]),
    ]
    return helper.make_model(
        helper.make_graph(
            [*usual, *nodes],
            "policy",
            [helper.make_tensor_value_info("observation", kind, shape)],
            [helper.make_tensor_value_info("action", done, (1, 2))],
            [numpy_helper.from_array(WEIGHTS, "w")],
        ),
        opset_imports=[helper.make_opsetid(*opset) for opset in opsets],
        ir_version=8,
    )


def refusal(policy):
    content = policy if isinstance(policy, bytes) else policy.SerializeToString()
    with pytest.raises(EntryError) as caught:
        check_graph(entry_of(content))
    assert "swift" in str(caught.value)
    return caught.value


def field(number, content):
    """A protobuf field of bytes."""
    size, head = len(content), bytearray([number << 3 | 2])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes(head) + bytes([size]) + content


def test_a_plain_graph_passes_and_tells_its_signature():
    signature = check_graph(entry_of(model().SerializeToString()))
    assert signature.inputs == {"observation": ((1, STATE_SIZE), "float32")}
    assert signature.outputs == {"action": ((1, 2), "float32")}


def test_an_operator_that_is_not_listed_is_refused(subtests):
    for operator in ["Teleport", "ConstantOfShape", "RandomNormal", "LSTM", ""]:
        with subtests.test(operator=operator):
            error = refusal(model(helper.make_node(operator, ["y"], ["z"])))
            assert error.code == "operator"
            assert repr(operator) in str(error)
            assert "Conv" in str(error)


def test_an_operator_cannot_write_to_the_terminal():
    error = refusal(model(helper.make_node("\x1b[31mTanh\n", ["y"], ["z"])))
    assert error.code == "operator"
    assert str(error).isprintable()


def test_a_node_of_another_domain_is_refused(subtests):
    for domain in ["com.microsoft", "ai.onnx.ml", "mine"]:
        with subtests.test(domain=domain):
            assert (
                refusal(model(helper.make_node("Tanh", ["y"], ["z"], domain=domain))).code
                == "domain"
            )


def test_an_import_of_another_domain_is_refused():
    assert refusal(model(opsets=(("", 18), ("com.microsoft", 1)))).code == "domain"


def test_a_function_is_refused():
    whole = model()
    tanh = helper.make_node("Tanh", ["a"], ["b"])
    whole.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [tanh], [helper.make_opsetid("", 18)])
    )
    assert refusal(whole).code == "domain"


def body():
    node = helper.make_node("Identity", ["a"], ["b"])
    value = helper.make_tensor_value_info
    return helper.make_graph([node], "body", [value("a", FLOAT, [1])], [value("b", FLOAT, [1])])


def test_an_operator_that_runs_another_graph_is_refused(subtests):
    for operator in sorted(CONTROL_FLOW_OPERATORS):
        with subtests.test(operator=operator):
            error = refusal(model(helper.make_node(operator, ["y"], ["z"], body=body())))
            assert error.code == "control_flow"
            assert operator in str(error)


def test_a_graph_inside_an_operator_that_is_listed_is_refused(subtests):
    for attribute in [{"g": body()}, {"gs": [body()]}]:
        with subtests.test(attribute=attribute):
            assert refusal(model(helper.make_node("Tanh", ["y"], ["z"], **attribute))).code == (
                "control_flow"
            )


def outside(tensor):
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL


def test_weights_outside_the_graph_are_refused():
    whole = model()
    outside(whole.graph.initializer[0])
    assert refusal(whole).code == "external_data"


def test_a_constant_outside_the_graph_is_refused():
    tensor = numpy_helper.from_array(WEIGHTS, "v")
    outside(tensor)
    constant = helper.make_node("Constant", [], ["v"], value=tensor)
    assert refusal(model(constant)).code == "external_data"


def test_a_place_outside_is_seen_however_its_number_is_written(subtests):
    """Protobuf keeps 32 bits of an enum: 2^32 + 1 is 1 to it."""
    for number in [b"\x01", b"\x81\x80\x80\x80\x10"]:
        with subtests.test(number=number):
            whole = model()
            tensor = whole.graph.initializer[0].SerializeToString() + b"\x70" + number
            whole.graph.ClearField("initializer")
            graph = whole.graph.SerializeToString() + field(5, tensor)
            whole.ClearField("graph")
            content = whole.SerializeToString() + field(7, graph)
            assert onnx.load_from_string(content).graph.initializer[0].data_location == 1
            assert refusal(content).code == "external_data"


TAKEN = ["FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BOOL", "FLOAT16", "DOUBLE"]
OTHERS = sorted(set(TensorProto.DataType.keys()) - set(TAKEN))


def weights_of_type(kind, number=None):
    whole = model()
    weights = TensorProto(name="v", dims=[1], data_type=kind, raw_data=bytes(8))
    if number is None:
        whole.graph.initializer.append(weights)
        return whole.SerializeToString()
    tensor = weights.SerializeToString().replace(b"\x10" + bytes([kind]), b"\x10" + number, 1)
    graph = whole.graph.SerializeToString() + field(5, tensor)
    whole.ClearField("graph")
    return whole.SerializeToString() + field(7, graph)


def test_weights_may_have_a_plain_type(subtests):
    for kind in TAKEN:
        with subtests.test(kind=kind):
            check_graph(entry_of(weights_of_type(TensorProto.DataType.Value(kind))))


def test_weights_of_another_type_are_refused(subtests):
    """Such as 4 bits, 8 bits with an exponent, and texts."""
    for kind in OTHERS:
        with subtests.test(kind=kind):
            error = refusal(weights_of_type(TensorProto.DataType.Value(kind)))
            assert error.code == "type"
            assert "int8" in str(error)


def test_a_type_is_refused_whose_first_32_bits_are_one_that_is_taken():
    content = weights_of_type(FLOAT, number=b"\x81\x80\x80\x80\x10")  # 2^32 + 1
    assert onnx.load_from_string(content).graph.initializer[-1].data_type == FLOAT
    assert refusal(content).code == "type"


def test_a_size_that_is_not_fixed_is_refused(subtests):
    for shape in [("n", STATE_SIZE), (None, STATE_SIZE), (1, "k")]:
        with subtests.test(shape=shape):
            error = refusal(model(shape=shape))
            assert error.code == "dynamic_shape"
            assert "fixed sizes" in str(error)


def test_another_type_or_size_is_refused(subtests):
    for change in [
        {"shape": (1, STATE_SIZE + 1)},
        {"shape": (STATE_SIZE,)},
        {"shape": (1, -STATE_SIZE)},
        {"shape": (1,) * 50},
        {"kind": TensorProto.DOUBLE},
        {"kind": TensorProto.STRING},
        {"done": TensorProto.INT64},
    ]:
        with subtests.test(change=change):
            error = refusal(model(**change))
            assert error.code == "signature"
            assert "the manifest asks for" in str(error)


def test_an_input_that_hides_behind_a_weight_of_its_name_is_refused():
    whole = model()
    whole.graph.initializer[0].name = "observation"
    assert refusal(whole).code == "signature"


def test_a_weight_among_the_inputs_is_no_input():
    whole = model()
    whole.graph.input.append(helper.make_tensor_value_info("w", FLOAT, (STATE_SIZE, 2)))
    check_graph(entry_of(whole.SerializeToString()))


QUANTIZED = helper.make_model(
    helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["observation", "step", "zero"], ["q"], axis=1),
            helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["x"]),
            helper.make_node("DequantizeLinear", ["w", "scale", "none"], ["k"], axis=1),
            helper.make_node("MatMul", ["x", "k"], ["y"]),
            helper.make_node("Tanh", ["y"], ["action"]),
        ],
        "policy",
        [helper.make_tensor_value_info("observation", FLOAT, (1, STATE_SIZE))],
        [helper.make_tensor_value_info("action", FLOAT, (1, 2))],
        [
            numpy_helper.from_array(np.array(1 / 127, np.float32), "step"),
            numpy_helper.from_array(np.array(128, np.uint8), "zero"),
            numpy_helper.from_array(np.rint(30 * WEIGHTS).astype(np.int8), "w"),
            numpy_helper.from_array(np.full(2, 1 / 30, np.float32), "scale"),
            numpy_helper.from_array(np.zeros(2, np.int8), "none"),
        ],
    ),
    opset_imports=[helper.make_opsetid("", 18)],
    ir_version=8,
).SerializeToString()
GOOD = {"float": model().SerializeToString(), "quantized": QUANTIZED}


@pytest.mark.parametrize("content", GOOD.values(), ids=list(GOOD))
def test_every_truncation_of_a_graph_is_refused(content):
    check_graph(entry_of(content))
    for length in range(len(content)):
        assert refusal(content[:length]).code in ("graph", "signature")


def test_two_graphs_in_one_model_are_not_merged():
    """Protobuf would join the two, and so see nodes that a reader of one does not."""
    content = model().SerializeToString()
    extra = helper.make_node("Loop", ["y"], ["z"]).SerializeToString()
    assert refusal(content + field(7, field(1, extra))).code == "graph"


def test_a_field_that_is_not_known_is_refused(subtests):
    for number in [19, 20, 26]:
        with subtests.test(number=number):
            head = bytes([(number << 3 | 2) & 127 | 128, number >> 4])
            assert refusal(model().SerializeToString() + head + b"\x00").code == "graph"


JUNK = b"observation"
NODE = helper.make_node("Tanh", ["y"], ["z"]).SerializeToString()


def test_what_racer_has_no_use_for_is_read_all_the_same(subtests):
    for of_model, of_graph in [
        (field(14, JUNK), b""),
        (b"", field(1, NODE + field(9, JUNK))),
        (b"", field(13, JUNK)),
        (b"", b"\x82\x01" + field(0, JUNK)[1:]),
    ]:
        with subtests.test(of_model=of_model, of_graph=of_graph):
            whole = model()
            graph = whole.graph.SerializeToString()
            whole.ClearField("graph")
            rest = whole.SerializeToString()
            check_graph(entry_of(rest + field(7, graph)))
            assert refusal(rest + of_model + field(7, graph + of_graph)).code == "graph"


@pytest.mark.slow
def test_a_great_many_empty_parts_are_refused_in_little_time_and_memory():
    """The onnx package makes 606 MB of these 8 MB."""
    code = (
        "import runpy, sys, resource, time\n"
        "here = runpy.run_path(sys.argv[1])\n"
        "bomb = here['field'](7, b'\\x0a\\x00' * 4_000_000)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "spent = time.process_time()\n"
        "assert here['refusal'](bomb).code == 'graph'\n"
        "assert time.process_time() - spent < 60\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, __file__], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 100_000, "kilobytes"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(content):
    assert refusal(content).code in ("graph", "signature")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_passes_holds_for_the_onnx_package_too(data):
    """Whatever bytes are changed: what this reader lets through, another reads the same way."""
    content = bytearray(GOOD[data.draw(st.sampled_from(sorted(GOOD)))])
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        check_graph(entry_of(bytes(content)))
    except EntryError as error:
        assert error.code != "entry"
        return
    whole = onnx.load_from_string(bytes(content))
    assert all(node.op_type in ALLOWED_OPERATORS and not node.domain for node in whole.graph.node)
    assert [one.name for one in whole.graph.input] == ["observation"]
    assert not whole.functions
    assert all(TensorProto.DataType.Name(one.data_type) in TAKEN for one in whole.graph.initializer)


def test_a_broken_message_is_refused_with_what_is_wrong(subtests):
    for content, said in [
        (b"\x08", "ends too soon"),
        (b"\x0a\x05ab", "ends too soon"),
        (b"\x08\x01\x08\x01", "twice"),
        (b"\x09" + bytes(8), "not known"),
        (b"\x0b", "not known"),
        (b"\x0a\x01\xff", "UTF-8"),
        (b"\x08" + b"\xff" * 10, "64 bits"),
    ]:
        with subtests.test(content=content, said=said):
            known = {1: ProtobufField("text" if content[:1] == b"\x0a" else "number", "number")}
            if content[:1] == b"\x0a":
                known = {1: ProtobufField("text", "text")}
            with pytest.raises(ProtobufError, match=said):
                read_message(memoryview(content), known, FieldBudget())


def test_packed_numbers_end_where_their_field_does(subtests):
    for kind, whole, broken in [
        ("numbers", b"\x07\x80\x01", b"\x07\x80"),
        ("numbers", b"\xff" * 9 + b"\x01", b"\xff" * 10 + b"\x01"),
        ("floats", bytes(8), bytes(6)),
        ("doubles", bytes(8), bytes(12)),
    ]:
        with subtests.test(kind=kind, whole=whole, broken=broken):
            known = {1: ProtobufField("k", kind)}
            assert read_message(memoryview(field(1, whole)), known, FieldBudget()) == {"k": [whole]}
            with pytest.raises(ProtobufError, match="its k do not end"):
                read_message(memoryview(field(1, broken)), known, FieldBudget())


def test_a_negative_number_is_read_as_its_64_bits():
    content = memoryview(b"\x08" + b"\xff" * 9 + b"\x01")
    assert read_message(content, {1: ProtobufField("k", "number")}, FieldBudget()) == {
        "k": 2**64 - 1
    }


def test_the_budget_is_for_the_whole_document():
    budget, known = FieldBudget(3), {1: ProtobufField("k", "numbers")}
    read_message(memoryview(b"\x08\x01\x08\x01"), known, budget)
    with pytest.raises(ProtobufError, match="too many"):
        read_message(memoryview(b"\x08\x01\x08\x01"), known, budget)
    assert MAX_FIELDS == 200_000


@pytest.mark.slow
def test_reading_a_graph_imports_neither_onnx_nor_onnxruntime():
    code = "import sys, racer.entries.entry_check, racer.entries.sandbox\n" + (
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'cryptography'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
