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
"""Largest number of observations on which the ranges of the activations are calibrated."""


def quantize_graph(graph: bytes, observations: Sequence[Observations]) -> bytes:
    """Return a graph that is quantized to 8 bits and consists of standard ONNX operators only.

    The quantization is static, with pairs of QuantizeLinear and DequantizeLinear (QDQ). Activations
    are uint8; their range is that of the values on the observations. Weights are int8 with a scale
    for each channel, but use only 7 bits, so that sums of products do not saturate on processors
    without VNNI. The last layer stays float32: it is small, and with 8 bits continuous actions
    would be coarse, and discrete actions would often be equally likely.

    Args:
        graph: A graph that `racer.networks.onnx_export.actor_to_onnx` returned.
        observations: The policy's observations in a race, each an array (1, ...), or a dict of
            arrays by sensor name. At most `CALIBRATION_OBSERVATIONS` of them are used, evenly
            spaced.

    Returns:
        The quantized graph; the same bytes for the same observations on the same machine.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = onnx.load_model_from_string(graph)
    # The quantizer's pre-processing (fixed shapes, fused layers) is not needed here. Without this
    # mark the quantizer warns that it is missing, and configures the root logger for the warning.
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
    """Returns evenly spaced observations one by one, as onnxruntime's `CalibrationDataReader` does.

    Args:
        observations: All observations.
    """

    def __init__(self, observations: Sequence[Observations]) -> None:
        count = min(CALIBRATION_OBSERVATIONS, len(observations))
        picked = np.linspace(0, len(observations) - 1, count).round().astype(int)
        self._left = iter([observations[k] for k in picked])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next observation by the names of the graph's inputs; None after the last."""
        seen = next(self._left, None)
        return seen if seen is None or isinstance(seen, dict) else {OBSERVATION_INPUT: seen}
