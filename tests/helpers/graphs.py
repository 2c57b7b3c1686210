"""ONNX graphs that stand for a policy."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from racer.sensors.state_sensor import STATE_SIZE

FLOAT, UINT8, INT64 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64
WEIGHTS = np.random.default_rng(0).normal(size=(STATE_SIZE, 2)).astype(np.float32)


def graph(
    *nodes: tuple[Any, ...],
    weights: dict[str, Any] | None = None,
    seen: tuple[Any, ...] = (("observation", FLOAT, (1, STATE_SIZE)),),
    done: tuple[Any, ...] = ("action", FLOAT, (1, 2)),
    kept: tuple[Any, ...] = (),
) -> bytes:
    """Return a graph of opset 18.

    Args:
        nodes: Operator, inputs, outputs and, if there are any, the attributes by name.
        weights: Constant arrays by name.
        seen: Name, type and shape of each input.
        done: Name, type and shape of the action.
        kept: Name, type and shape of a hidden state that is the second output.
    """
    whole = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(op, inputs, outputs, **(attributes[0] if attributes else {}))
                for op, inputs, outputs, *attributes in nodes
            ],
            "policy",
            [helper.make_tensor_value_info(*one) for one in seen],
            [helper.make_tensor_value_info(*one) for one in (done, kept) if one],
            [numpy_helper.from_array(np.asarray(v), name) for name, v in (weights or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    return whole.SerializeToString()


def steady(weights: np.ndarray = WEIGHTS, **shape: Any) -> bytes:
    """Return tanh(observation @ weights): a continuous policy on the state."""
    nodes = (("MatMul", ["observation", "w"], ["y"]), ("Tanh", ["y"], ["action"]))
    return graph(*nodes, weights={"w": weights}, **shape)


def counting(size: int = 3, step: float = 0.0625, kept_size: int | None = None) -> bytes:
    """Return a recurrent policy: how many steps it has seen, times `step`, as both actions.

    Args:
        size: Numbers of its hidden state.
        step: What a step adds to each of them.
        kept_size: Numbers of the hidden state that it declares to return; `size` by default.
    """
    nodes = (
        ("ReduceSum", ["observation"], ["sum"], {"keepdims": 0}),
        ("Mul", ["sum", "zero"], ["nothing"]),
        ("Add", ["hidden_state", "step"], ["more"]),
        ("Add", ["more", "nothing"], ["next_hidden_state"]),
        ("Slice", ["next_hidden_state", "first", "last", "axis"], ["action"]),
    )
    weights = {
        "zero": np.float32(0.0),
        "step": np.float32(step),
        "first": np.array([0]),
        "last": np.array([2]),
        "axis": np.array([1]),
    }
    seen = (("observation", FLOAT, (1, STATE_SIZE)), ("hidden_state", FLOAT, (1, size)))
    kept = ("next_hidden_state", FLOAT, (1, kept_size or size))
    return graph(*nodes, weights=weights, seen=seen, kept=kept)
