"""Graphs of 8-bit numbers: what racer makes of a policy, and which of others it takes."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import (
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from racer.car.action_space import ActionSpace
from racer.entries.onnx_check import check_graph
from racer.entries.onnx_policy import OnnxPolicy, open_session
from racer.errors import EntryError
from racer.networks.quantize import CALIBRATION_OBSERVATIONS, _Frames, quantize_graph
from racer.sensors.config import CameraConfig, LidarConfig
from racer.sensors.state_sensor import STATE_SIZE
from tests.helpers.entries import entry_of
from tests.helpers.graphs import FLOAT, INT64, UINT8, graph

DRAWS = np.random.default_rng(0)
STATES = [DRAWS.uniform(-1, 1, (1, STATE_SIZE)).astype(np.float32) for _ in range(40)]
DISCRETE = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (20.0, 1.0)))
SENSORS = (CameraConfig(width=16, height=8), LidarConfig(beams=4))
SIGHTS = [
    {
        "camera": DRAWS.integers(0, 256, (1, 8, 16, 1), dtype=np.uint8),
        "lidar": DRAWS.uniform(0, 1, (1, 4)).astype(np.float32),
    }
    for _ in range(40)
]


def layer(before, after):
    return (DRAWS.normal(size=(before, after)) / np.sqrt(before)).astype(np.float32)


LAYERS = {"w": layer(STATE_SIZE, 32), "b": layer(1, 32)[0], "v": layer(32, 2), "c": layer(1, 2)[0]}
PLAIN = graph(
    ("Gemm", ["observation", "w", "b"], ["h"], {"name": "first"}),
    ("Relu", ["h"], ["r"], {"name": "relu"}),
    ("Gemm", ["r", "v", "c"], ["y"], {"name": "last"}),
    ("Clip", ["y", "low", "high"], ["action"], {"name": "clip"}),
    weights=LAYERS | {"low": np.float32(-1), "high": np.float32(1)},
)
"""A policy on the state as racer exports one, with random weights."""
SEEING = {
    "full": np.float32(255),
    "k": layer(16, 6).T.reshape(6, 1, 4, 4),
    "flat": np.array([1, 48], np.int64),
    "w": layer(52, 16),
    "v": layer(16, 2),
}


def choosing(*last, bias=(0.0, 0.0), done=("action", FLOAT, (1, 2))):
    """The worth of two choices from a camera and a lidar, then whatever other nodes."""
    return graph(
        ("Transpose", ["camera"], ["t"], {"name": "t", "perm": [0, 3, 1, 2]}),
        ("Cast", ["t"], ["f"], {"name": "f", "to": FLOAT}),
        ("Div", ["f", "full"], ["u"], {"name": "u"}),
        ("Conv", ["u", "k"], ["m"], {"name": "m", "strides": [4, 4]}),
        ("Relu", ["m"], ["n"], {"name": "n"}),
        ("Reshape", ["n", "flat"], ["o"], {"name": "o"}),
        ("Concat", ["o", "lidar"], ["p"], {"name": "p", "axis": 1}),
        ("Gemm", ["p", "w"], ["h"], {"name": "h"}),
        ("Relu", ["h"], ["r"], {"name": "r"}),
        ("Gemm", ["r", "v", "c"], ["worth" if last else "action"], {"name": "worth"}),
        *last,
        weights=SEEING | {"c": np.asarray(bias, np.float32)},
        seen=(("camera", UINT8, (1, 8, 16, 1)), ("lidar", FLOAT, (1, 4))),
        done=done,
    )


INT8 = quantize_graph(PLAIN, STATES)


def weights_of(graph):
    held = onnx.load_model_from_string(graph).graph.initializer
    return {one.name: numpy_helper.to_array(one) for one in held}


def answers(graph, observations, *rest):
    policy = OnnxPolicy(entry_of(graph, *rest))
    return np.concatenate([policy(one) for one in observations])


def test_a_quantized_policy_does_nearly_what_it_did():
    assert check_graph(entry_of(INT8)).inputs == check_graph(entry_of(PLAIN)).inputs
    difference = np.abs(answers(INT8, STATES) - answers(PLAIN, STATES))
    assert 0 < difference.max() < 0.04
    assert difference.mean() < 0.01


def test_a_quantized_policy_gives_the_same_bytes_twice():
    assert answers(INT8, STATES).tobytes() == answers(INT8, STATES).tobytes()


def test_quantizing_twice_gives_the_same_bytes():
    assert quantize_graph(PLAIN, STATES) == INT8
    assert quantize_graph(PLAIN, STATES[:5]) != INT8


def test_weights_have_7_bits_and_the_last_layer_stays_as_it_was():
    weights = weights_of(INT8)
    small = {name: one for name, one in weights.items() if one.dtype == np.int8 and one.size > 32}
    (first,) = small.values()
    assert first.shape == (STATE_SIZE, 32)
    assert np.array_equal(np.abs(first).max(axis=0), np.full(32, 64)), "a scale for each channel"
    assert np.array_equal(weights["v"], LAYERS["v"])


def test_a_discrete_policy_of_several_sensors_chooses_the_same_where_it_is_sure():
    session = open_session(choosing())
    worth = np.concatenate([session.run(None, seen)[0] for seen in SIGHTS])
    margin = np.diff(worth - worth.mean(axis=0))[:, 0]
    index = ("ArgMax", ["worth"], ["action"], {"name": "index", "axis": 1, "keepdims": 0})
    policy = choosing(index, bias=-worth.mean(axis=0), done=("action", INT64, (1,)))
    chosen = answers(quantize_graph(policy, SIGHTS), SIGHTS, SENSORS, DISCRETE)
    is_sure = np.abs(margin) > 0.05
    assert 20 < is_sure.sum() < 40
    assert np.array_equal(chosen[is_sure], margin[is_sure] > 0)
    assert set(chosen[is_sure].tolist()) == {0, 1}


def test_quantizing_says_nothing(capfd, caplog):
    """A warning of the quantizer's would set up the root logger, too."""
    quantize_graph(PLAIN, STATES[:2])
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("count", "first"), [(3, [0, 1, 2]), (CALIBRATION_OBSERVATIONS * 2, [0, 2, 4])]
)
def test_frames_are_taken_evenly_from_first_to_last(count, first):
    frames = _Frames([np.full((1, STATE_SIZE), k) for k in range(count)])
    taken = []
    while (seen := frames.get_next()) is not None:
        taken.append(int(seen["observation"][0, 0]))
    assert len(taken) == min(count, CALIBRATION_OBSERVATIONS)
    assert taken[:3] == first
    assert taken[-1] == count - 1


def by_quantizer(folder, **settings):
    """What onnxruntime's quantizer makes of a policy, but for the bounds of its actions."""
    out = folder / "int8.onnx"
    frames: Any = _Frames(STATES)
    plain = onnx.load_model_from_string(PLAIN)
    quantize_static(plain, out, frames, nodes_to_exclude=["clip"], **settings)
    return out.read_bytes()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation_type": QuantType.QUInt8, "per_channel": True},
        {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8},
        {"reduce_range": True},
    ],
    ids=["as it is", "uint8, per channel", "uint8 weights", "7 bits"],
)
def test_a_qdq_graph_of_onnxruntime_s_quantizer_is_taken(tmp_path, settings):
    graph = by_quantizer(tmp_path, **settings)
    assert np.abs(answers(graph, STATES) - answers(PLAIN, STATES)).max() < 0.06


def test_a_dynamic_graph_of_onnxruntime_s_quantizer_is_taken(tmp_path):
    out = tmp_path / "int8.onnx"
    quantize_dynamic(onnx.load_model_from_string(PLAIN), out)
    operators = {node.op_type for node in onnx.load_model(out).graph.node}
    assert {"DynamicQuantizeLinear", "MatMulInteger"} <= operators
    assert np.abs(answers(out.read_bytes(), STATES) - answers(PLAIN, STATES)).max() < 0.06


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_format": QuantFormat.QOperator, "activation_type": QuantType.QUInt8},
        {"extra_options": {"UseQDQContribOps": True}},
    ],
    ids=["QOperator", "contrib"],
)
def test_a_graph_of_onnxruntime_s_own_operators_is_refused_with_the_setting_that_helps(
    tmp_path, settings
):
    with pytest.raises(EntryError, match=r"QuantFormat\.QDQ") as caught:
        check_graph(entry_of(by_quantizer(tmp_path, **settings)))
    assert caught.value.code == "domain"


def products(weight):
    """The state's numbers 0 or 1, as 0 or 255, times one int8 weight, summed up exactly."""
    return graph(
        ("QuantizeLinear", ["observation", "step", "zero"], ["q"]),
        ("DequantizeLinear", ["q", "step", "zero"], ["x"]),
        ("DequantizeLinear", ["w", "scale", "none"], ["k"]),
        ("MatMul", ["x", "k"], ["y"]),
        ("Div", ["y", "most"], ["action"]),
        weights={
            "step": np.float32(1 / 255),
            "zero": np.uint8(0),
            "w": np.full((STATE_SIZE, 2), weight, np.int8),
            "scale": np.float32(1),
            "none": np.int8(0),
            "most": np.float32(129 * STATE_SIZE),
        },
    )


@pytest.mark.parametrize("weight", [127, -128])
def test_sums_of_8_bit_products_do_not_saturate_on_any_processor(weight):
    """Two products of 255 x 127 are beyond 16 bits, with which AVX2 adds them up by itself."""
    action = OnnxPolicy(entry_of(products(weight)))(np.ones((1, STATE_SIZE), np.float32))
    np.testing.assert_allclose(action, weight / 129, rtol=1e-5)
