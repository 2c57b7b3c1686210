"""Quantization of a policy's graph to 8 bits, by onnxruntime's own quantizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from racer.networks.network_config import OBSERVATION_INPUT
from racer.sensors import Observations

CALIBRATION_OBSERVATIONS = 256
"""Observations that the ranges of the activations are calibrated on, at most."""


def quantize_graph(graph: bytes, observations: Sequence[Observations]) -> bytes:
    """Return a graph whose layers compute with 8-bit numbers, of ONNX's own operators alone.

    Static quantization with QuantizeLinear and DequantizeLinear pairs (QDQ). Activations are uint8
    between the least and the largest value that they take on the observations. Weights are int8
    with a scale for each channel and hold 7 bits, so that no sum of products saturates on a
    processor without VNNI. The last layer stays float32: it is small, and 8 bits would make
    coarse actions, and ties between choices.

    Args:
        graph: A graph that `to_onnx` made.
        observations: What the policy sees while it drives, each as it is given to it: an array
            (1, ...), of several sensors a dict of them. `CALIBRATION_OBSERVATIONS` are taken,
            evenly spaced.

    Returns:
        The graph; the same bytes for the same observations on the same machine.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = onnx.load_model_from_string(graph)
    # Shapes are fixed and layers fused already, which is all that pre-processing is for; without
    # this mark the quantizer warns, and sets up the root logger to do so.
    onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    nodes = model.graph.node
    frames: Any = _Frames(observations)
    last = max(k for k, node in enumerate(nodes) if node.op_type == "Gemm")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            frames,
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=[node.name for node in nodes[last:]],
        )
        model = onnx.load_model(path)
    model.ClearField("metadata_props")
    return model.SerializeToString(deterministic=True)


class _Frames:
    """Evenly spaced observations, one after the other: a `CalibrationDataReader` by its method."""

    def __init__(self, observations: Sequence[Observations]) -> None:
        count = min(CALIBRATION_OBSERVATIONS, len(observations))
        picked = np.linspace(0, len(observations) - 1, count).round().astype(int)
        self._left = iter([observations[k] for k in picked])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next observation by the names of the graph's inputs; None behind the last."""
        seen = next(self._left, None)
        return seen if seen is None or isinstance(seen, dict) else {OBSERVATION_INPUT: seen}
