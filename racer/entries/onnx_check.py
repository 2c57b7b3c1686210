"""Checks an ONNX graph's structure against an allow-list before any runtime loads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from racer.entries.io_spec import Arrays, IOSpec
from racer.entries.package import Entry
from racer.entries.protobuf import (
    FieldBudget,
    ProtobufError,
    ProtobufField,
    message_fields,
    read_message,
)
from racer.errors import EntryError

_EXPORTED = "ArgMax Cast Clip Concat Conv Div Gemm Relu Reshape Tanh Transpose"
"""Operators in the graphs that racer exports."""
_USUAL = """
    Abs Add AveragePool BatchNormalization Constant Dropout Elu Erf Exp Flatten Floor Gather Gelu
    GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity LayerNormalization LeakyRelu Log
    LogSoftmax MatMul Max MaxPool Min Mish Mul Neg PRelu Pad Pow ReduceMax ReduceMean ReduceMin
    ReduceSum Selu Sigmoid Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Unsqueeze Where
"""
"""Operators in the graphs that other libraries export."""
_SCRIPTED = """
    Acos And Asin Atan Ceil Cos Equal Greater GreaterOrEqual IsNaN Less LessOrEqual Not Or
    Reciprocal Round Sign Sin Tan Xor
"""
"""Further operators that a hand-written controller needs."""
_QUANTISED = """
    ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul
    QuantizeLinear
"""
"""Operators of ONNX's own domain that a quantizer inserts."""
ALLOWED_OPERATORS = frozenset((_EXPORTED + _USUAL + _SCRIPTED + _QUANTISED).split())
"""Operators of ONNX's own domain that a policy may use."""
CONTROL_FLOW_OPERATORS = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Operators that run a subgraph."""
ONNX_DOMAINS = ("", "ai.onnx")
"""The two names of ONNX's own operator domain."""
_CONTRIB = "com.microsoft"
"""The domain of onnxruntime's own operators, which its quantizer may insert."""

_TYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64"}
_TYPES |= {9: "bool", 10: "float16", 11: "float64"}
"""Allowed dtypes of weights, inputs and outputs by their numbers in ONNX's TensorProto.DataType."""


# The messages of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto that a policy may contain.
_MODEL = message_fields("""
    1 ir_version number
    2 producer_name text
    3 producer_version text
    4 domain text
    5 model_version number
    6 doc_string text
    7 graph message
    8 opset_import messages
    14 metadata_props messages
    25 functions messages
""")
_OPSET = message_fields("""
    1 domain text
    2 version number
""")
_GRAPH = message_fields("""
    1 node messages
    2 name text
    5 initializer messages
    10 doc_string text
    11 input messages
    12 output messages
    13 value_info messages
    16 metadata_props messages
""")
_NODE = message_fields("""
    1 input texts
    2 output texts
    3 name text
    4 op_type text
    5 attribute messages
    6 doc_string text
    7 domain text
    8 overload text
    9 metadata_props messages
""")
_ATTRIBUTE = message_fields("""
    1 name text
    2 f float
    3 i number
    4 s message
    5 t message
    6 g message
    7 floats floats
    8 ints numbers
    9 strings messages
    11 graphs messages
    13 doc_string text
    20 type number
""")
_TENSOR = message_fields("""
    1 dims numbers
    2 data_type number
    4 float_data floats
    5 int32_data numbers
    7 int64_data numbers
    8 name text
    9 raw_data message
    10 double_data doubles
    11 uint64_data numbers
    12 doc_string text
    13 external_data messages
    14 data_location number
    16 metadata_props messages
""")
_VALUE = message_fields("""
    1 name text
    2 type message
    3 doc_string text
    4 metadata_props messages
""")
_TYPE = message_fields("""
    1 tensor message
    6 denotation text
""")
_ARRAY = message_fields("""
    1 elem_type number
    2 shape message
""")
_SHAPE = message_fields("1 dim messages")
_DIM = message_fields("""
    1 value number
    2 param text
    3 denotation text
""")
_PROPERTY = message_fields("""
    1 key text
    2 value text
""")


def check_graph(entry: Entry) -> IOSpec:
    """Check an entry's graph without running it, and return its inputs and output.

    Args:
        entry: An entry from `read_entry`.

    Returns:
        The arrays that the manifest requires, which the graph was found to have.

    Raises:
        EntryError: With the code `graph` if the bytes are not an ONNX model, `domain`,
            `control_flow` or `operator` for a forbidden node, `external_data` for weights outside
            the graph, `type` for weights of a forbidden dtype, `dynamic_shape` for an input or
            output without a fixed shape, and `signature` if inputs or output are not those of the
            manifest.
    """
    name, signature = entry.manifest.name, IOSpec.from_manifest(entry.manifest)
    try:
        inputs, outputs = _check(entry.policy, name)
    except ProtobufError as problem:
        raise EntryError(
            f"{name}: policy.onnx cannot be read as an ONNX model: {problem}; "
            "export the policy again",
            "graph",
        ) from problem
    signature.check("input", inputs)
    signature.check("output", outputs)
    return signature


def _check(policy: bytes, name: str) -> tuple[Arrays, Arrays]:
    """Return a graph's inputs and outputs; raise EntryError if it contains anything forbidden."""
    budget = FieldBudget()
    model = _read(memoryview(policy), _MODEL, budget)
    for field in ("graph", "opset_import", "ir_version"):
        if field not in model:
            raise ProtobufError(f"it has no {field}")
    opsets = [read_message(opset, _OPSET, budget) for opset in model.get("opset_import", ())]
    for opset in opsets:
        _check_domain(opset.get("domain", ""), name)
    if "functions" in model:
        raise EntryError(
            f"{name}: the graph defines functions; a policy may use ONNX's own operators only: "
            "export it without functions",
            "domain",
        )
    graph = _read(model["graph"], _GRAPH, budget)
    for node in graph.get("node", ()):
        _check_node(_read(node, _NODE, budget), name, budget)
    for value in graph.get("value_info", ()):
        _read_array(value, budget)
    tensors = [_check_tensor(tensor, name, budget) for tensor in graph.get("initializer", ())]
    weights = {tensor.get("name", "") for tensor in tensors}
    inputs = [_read_array(value, budget) for value in graph.get("input", ())]
    # ONNX allows a weight to be listed as an input too, for which it is the default value.
    inputs = [array for array in inputs if array[0] not in weights]
    return inputs, [_read_array(value, budget) for value in graph.get("output", ())]


def _read(
    content: memoryview, known: Mapping[int, ProtobufField], budget: FieldBudget
) -> dict[str, Any]:
    """Return a message's fields by name; its metadata is parsed too, so that nothing is skipped."""
    found = read_message(content, known, budget)
    for entry in found.get("metadata_props", ()):
        read_message(entry, _PROPERTY, budget)
    return found


def _check_domain(domain: str, name: str) -> None:
    if domain not in ONNX_DOMAINS:
        remedy = "export it without custom ones"
        if domain == _CONTRIB:
            remedy = "quantize it by quantize_static with QuantFormat.QDQ and types of 8 bits"
        raise EntryError(
            f"{name}: the graph uses the domain {domain!r:.80}; a policy may use ONNX's own "
            f"operators only: {remedy}",
            "domain",
        )


def _check_node(node: dict[str, Any], name: str, budget: FieldBudget) -> None:
    operator = node.get("op_type", "")
    _check_domain(node.get("domain", ""), name)
    attributes = [read_message(field, _ATTRIBUTE, budget) for field in node.get("attribute", ())]
    if operator in CONTROL_FLOW_OPERATORS or any(
        "g" in attribute or "graphs" in attribute for attribute in attributes
    ):
        raise EntryError(
            f"{name}: the graph has the operator {operator!r:.80}, which runs another graph; a "
            "policy must take the same steps each time: export it without branches and loops",
            "control_flow",
        )
    if operator not in ALLOWED_OPERATORS:
        raise EntryError(
            f"{name}: the graph has the operator {operator!r:.80}, which is not among those that "
            f"a policy may use: {', '.join(sorted(ALLOWED_OPERATORS))}",
            "operator",
        )
    for attribute in attributes:
        if "t" in attribute:
            _check_tensor(attribute["t"], name, budget)


def _check_tensor(content: memoryview, name: str, budget: FieldBudget) -> dict[str, Any]:
    tensor = _read(content, _TENSOR, budget)
    if "external_data" in tensor or tensor.get("data_location"):  # 0 means inside the graph
        raise EntryError(
            f"{name}: the weights {tensor.get('name', '')!r:.80} are stored outside the graph; "
            "export the policy with its weights inside",
            "external_data",
        )
    code = tensor.get("data_type", 0)
    if code not in _TYPES:
        raise EntryError(
            f"{name}: the weights {tensor.get('name', '')!r:.80} have ONNX's data type {code}; "
            f"export the policy with weights of {', '.join(_TYPES.values())}",
            "type",
        )
    return tensor


def _read_array(content: memoryview, budget: FieldBudget) -> tuple[str, tuple[Any, ...], str]:
    """Return an input's or output's name, shape and dtype; a dynamic size is its name, a string."""
    value = _read(content, _VALUE, budget)
    kind = read_message(value.get("type", memoryview(b"")), _TYPE, budget)
    array = read_message(kind.get("tensor", memoryview(b"")), _ARRAY, budget)
    code = array.get("elem_type", 0)
    shape = read_message(array.get("shape", memoryview(b"")), _SHAPE, budget)
    sizes = [read_message(size, _DIM, budget) for size in shape.get("dim", ())]
    if any("value" in size and "param" in size for size in sizes):
        raise ProtobufError("a size is given twice")
    dims = tuple(size.get("value", size.get("param") or "?") for size in sizes)
    return value.get("name", ""), dims, _TYPES.get(code, f"type {code}")
