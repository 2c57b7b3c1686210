"""Changed copies of an entry's ONNX graph: one that returns its scores, one of random weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from racer.networks.network_config import ACTION_OUTPUT

SCORES_OUTPUT = "explained_scores"
"""Name of the output that `graph_with_scores` adds."""
_PASSING = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that may stand between the choice of an action and the graph's output."""
_WEIGHT_FLOATS, _WEIGHT_INTS = ("float16", "float32", "float64"), ("int8", "uint8")


def graph_with_scores(graph: bytes, count: int) -> bytes | None:
    """Return a graph that also returns what its action is chosen from, (1, count) float32.

    That is the input of the last ArgMax, or of the last Clip.

    Args:
        graph: A graph that `check_graph` has passed.
        count: Number of choices, or 2 of a continuous policy.

    Returns:
        The graph; None if its action is computed otherwise.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(graph)
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(ACTION_OUTPUT)
    while node is not None and node.op_type in _PASSING:
        node = makers.get(node.input[0])
    if node is None or node.op_type not in ("ArgMax", "Clip"):
        return None
    shape = numpy_helper.from_array(np.array([1, count]), f"{SCORES_OUTPUT}_shape")
    model.graph.initializer.append(shape)
    number = f"{SCORES_OUTPUT}_number"
    model.graph.node.append(
        helper.make_node("Cast", [node.input[0]], [number], to=TensorProto.FLOAT)
    )
    model.graph.node.append(helper.make_node("Reshape", [number, shape.name], [SCORES_OUTPUT]))
    told = helper.make_tensor_value_info(SCORES_OUTPUT, TensorProto.FLOAT, (1, count))
    model.graph.output.append(told)
    return model.SerializeToString(deterministic=True)


def graph_with_random_weights(graph: bytes, seed: int) -> bytes:
    """Return a graph whose weights are random: normal, each tensor with the size that it had.

    Weights are initializers and constants of two or more dimensions. Those in whole numbers, of a
    quantized graph, are put into random order instead. What has fewer dimensions stays: biases,
    scales, shapes.

    Args:
        graph: A graph that `check_graph` has passed.
        seed: Seed of the weights.
    """
    import onnx

    model, generator = onnx.load_model_from_string(graph), np.random.default_rng(seed)
    constants = [
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    for tensor in [*model.graph.initializer, *constants]:
        _randomise(tensor, generator)
    return model.SerializeToString(deterministic=True)


def _randomise(tensor: Any, generator: np.random.Generator) -> None:
    """Replace a tensor's values by random ones, if it holds weights."""
    from onnx import numpy_helper

    if len(tensor.dims) < 2:
        return
    values = numpy_helper.to_array(tensor)
    if values.dtype.name in _WEIGHT_FLOATS:
        drawn = random_weights(values, generator)
    elif values.dtype.name in _WEIGHT_INTS:
        drawn = generator.permutation(values.ravel()).reshape(values.shape)
    else:
        return
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(drawn), tensor.name))


def random_weights(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return normal numbers with the shape, the type and the root mean square of an array."""
    size = float(np.sqrt(np.mean(np.square(values.astype(np.float64)))))
    return (generator.standard_normal(values.shape) * size).astype(values.dtype)
