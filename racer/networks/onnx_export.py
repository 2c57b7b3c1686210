"""A torch policy as an ONNX graph with its preprocessing inside."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from racer.networks.network_config import ACTION_OUTPUT, OBSERVATION_INPUT
from racer.sensors.config import Sensors

if TYPE_CHECKING:
    import torch
    from torch import nn

    from racer.networks.modules import DeterministicActor

ONNX_OPSET = 18
_EXPORTING = threading.Lock()
"""torch's exporter is not thread-safe, nor is silencing its log and warnings."""


def actor_to_onnx(actor: DeterministicActor, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """The graph of an actor; see `module_to_onnx`.

    Args:
        actor: The policy.
        shapes: Shape of one observation of each sensor that the actor names.
    """
    return module_to_onnx(actor, {name: shapes[name] for name in actor.names})


def zero_observation(shapes: Mapping[str, tuple[int, ...]]) -> tuple[torch.Tensor, ...]:
    """A batch of one observation, all zeros: a tensor for each of the shapes."""
    import torch

    return tuple(
        torch.zeros((1, *shape), dtype=torch.uint8 if len(shape) == 3 else torch.float32)
        for shape in shapes.values()
    )


def module_to_onnx(module: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """The graph from an input a sensor to `action`, with fixed shapes and its weights inside.

    Threads may call it at the same time: they take turns.

    Args:
        module: A whole policy: it takes a batch of one observation of each sensor, and gives the
            action. It is moved to the CPU and to its evaluation mode.
        shapes: Shape of one observation of each sensor, in the order in which the module takes
            them: (H, W, C) for a uint8 frame, (k,) for float32 numbers. The graph's inputs take
            their names.
    """
    import torch

    module = module.to("cpu").eval()
    with _EXPORTING, _silence():
        program = torch.onnx.export(
            module,
            zero_observation(shapes),
            input_names=list(shapes),
            output_names=[ACTION_OUTPUT],
            opset_version=ONNX_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_where_it_was_made(model)
    return model.SerializeToString(deterministic=True)


@contextmanager
def _silence() -> Iterator[None]:
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def input_shapes(sensors: Sensors) -> dict[str, tuple[int, ...]]:
    """The shape of one observation of each sensor, by the name of the graph's input for it."""
    if len(sensors) == 1:
        return {OBSERVATION_INPUT: sensors[0].space.shape}
    return {sensor.name: sensor.space.shape for sensor in sensors}


def _forget_where_it_was_made(model) -> None:
    """Drop source paths and stack traces, so that one policy gives one file everywhere."""
    model.graph.ClearField("metadata_props")
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for part in (*model.graph.output, *model.graph.initializer):
        part.ClearField("metadata_props")
    model.ClearField("metadata_props")
