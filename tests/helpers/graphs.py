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
) -> bytes:
    """Return a graph of opset 18.

    Args:
        nodes: Operator, inputs, outputs and, if there are any, the attributes by name.
        weights: Constant arrays by name.
        seen: Name, type and shape of each input.
        done: Name, type and shape of the output.
    """
    whole = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(op, inputs, outputs, **(attributes[0] if attributes else {}))
                for op, inputs, outputs, *attributes in nodes
            ],
            "policy",
            [helper.make_tensor_value_info(*one) for one in seen],
            [helper.make_tensor_value_info(*done)],
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
