"""Export of a torch policy as an ONNX graph that includes the preprocessing."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from racer.car.action_space import ActionSpace
from racer.networks.network_config import (
    ACTION_OUTPUT,
    COMMAND_OUTPUT,
    HIDDEN_STATE_INPUT,
    HIDDEN_STATE_OUTPUT,
    OBSERVATION_INPUT,
)
from racer.sensors.config import Sensors

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import torch
    from torch import nn

    from racer.networks.modules import DeterministicActor

ONNX_OPSET = 18
_EXPORTING = threading.Lock()
"""Held during an export, because torch's exporter and Python's warning filters are not
thread-safe."""


def actor_to_onnx(actor: DeterministicActor, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Return the ONNX graph of an actor; see `module_to_onnx`.

    Args:
        actor: The policy.
        shapes: Shape of one observation of each sensor, by the name of the graph's input.
    """
    inputs, outputs = _names_of(actor, shapes, ACTION_OUTPUT)
    return module_to_onnx(actor, inputs, outputs)


def commands_to_onnx(
    actor: DeterministicActor,
    shapes: Mapping[str, tuple[int, ...]],
    actions: ActionSpace,
    properties: Mapping[str, str],
) -> bytes:
    """Return an ONNX graph whose inputs are all float32, and whose output is a command.

    Frames are float32 too, (1, H, W, C), 0 to 255. The output `command` is steering [rad], positive
    to the left, and speed [m/s], (1, 2) float32.

    Args:
        actor: The policy.
        shapes: Shape of one observation of each sensor, by the name of the graph's input.
        actions: The policy's action space.
        properties: Texts about the graph by their keys, its `metadata_props`.
    """
    import onnx
    import torch

    from racer.networks.modules import CommandActor

    inputs, outputs = _names_of(actor, shapes, COMMAND_OUTPUT)
    zeros = {name: torch.zeros((1, *shape)) for name, shape in inputs.items()}
    model = _exported(CommandActor(actor, actions), zeros, outputs)
    onnx.helper.set_model_props(model, dict(properties))
    return model.SerializeToString(deterministic=True)


def _names_of(
    actor: DeterministicActor, shapes: Mapping[str, tuple[int, ...]], output: str
) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Return the shapes of a graph's inputs by name, and the names of its outputs."""
    inputs, outputs = {name: shapes[name] for name in actor.names}, [output]
    if actor.hidden_state_size:
        inputs[HIDDEN_STATE_INPUT] = (actor.hidden_state_size,)
        outputs.append(HIDDEN_STATE_OUTPUT)
    return inputs, outputs


def actor_weights(graph: bytes, sensors: Sensors) -> dict[str, np.ndarray]:
    """Return the weights in a graph that `actor_to_onnx` returned.

    Tensors with other names, as those of other libraries' graphs have, are left out.

    Args:
        graph: A graph whose weights lie inside it; see `racer.entries.onnx_check`.
        sensors: The policy's sensors.

    Returns:
        The weights by their names in the state dict of Stable-Baselines3's policy, writable.
    """
    import numpy as np
    import onnx

    from racer.networks.modules import NormalizeObs

    model = onnx.load_model_from_string(graph).graph
    held = {one.name: np.array(onnx.numpy_helper.to_array(one)) for one in model.initializer}
    # The exporter has merged sqrt(variance + epsilon) into one tensor, by which (x - mean) is
    # divided.
    means = {
        node.output[0]: node.input[1]
        for node in model.node
        if node.op_type == "Sub" and node.input[1].endswith(".mean")
    }
    for node in model.node:
        if node.op_type == "Div" and node.input[0] in means and node.input[1] in held:
            name = means[node.input[0]].removesuffix("mean") + "var"
            held[name] = held[node.input[1]] ** 2 - np.float32(NormalizeObs.EPSILON)
    names = list(input_shapes(sensors))
    renamed = {f"sensors.{k}.": f"features_extractor.parts.{name}." for k, name in enumerate(names)}
    renamed |= {"head.": "mlp_extractor.policy_net.", "action.": "action_net."}
    return {
        there + name.removeprefix(here): values
        for name, values in held.items()
        for here, there in renamed.items()
        if name.startswith(here)
    }


def zero_observation(shapes: Mapping[str, tuple[int, ...]]) -> tuple[torch.Tensor, ...]:
    """Return a batch of one observation of zeros: for each sensor a tensor (1, *shape)."""
    import torch

    return tuple(
        torch.zeros((1, *shape), dtype=torch.uint8 if len(shape) == 3 else torch.float32)
        for shape in shapes.values()
    )


def module_to_onnx(
    module: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    outputs: Sequence[str] = (ACTION_OUTPUT,),
) -> bytes:
    """Return the ONNX graph of a policy, with an input for each sensor and the output `action`.

    The shapes are fixed, and the weights are part of the graph. The function is thread-safe.

    Args:
        module: The policy: its arguments are a batch of one observation of each sensor, and it
            returns the action. It is moved to the CPU and set to evaluation mode.
        shapes: Shape of one observation of each sensor, by the name of the graph's input, in the
            order of the module's arguments: (H, W, C) of a uint8 image, (k,) of float32 numbers.
        outputs: Names of the graph's outputs.
    """
    observation = dict(zip(shapes, zero_observation(shapes)))
    return _exported(module, observation, outputs).SerializeToString(deterministic=True)


def _exported(
    module: nn.Module, observation: Mapping[str, torch.Tensor], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Return the ONNX model of a module; see `module_to_onnx`.

    Args:
        module: The policy.
        observation: A batch of one observation by the names of the graph's inputs.
        outputs: Names of the graph's outputs.
    """
    import torch

    module = module.to("cpu").eval()
    with _EXPORTING, _silence():
        program = torch.onnx.export(
            module,
            tuple(observation.values()),
            input_names=list(observation),
            output_names=list(outputs),
            opset_version=ONNX_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _delete_metadata(model)
    return model


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
    """Return the shape of one observation of each sensor, by the name of the graph's input."""
    if len(sensors) == 1:
        return {OBSERVATION_INPUT: sensors[0].space.shape}
    return {sensor.name: sensor.space.shape for sensor in sensors}


def _delete_metadata(model) -> None:
    """Delete source paths and stack traces, so that the graph does not depend on the machine."""
    model.graph.ClearField("metadata_props")
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for part in (*model.graph.output, *model.graph.initializer):
        part.ClearField("metadata_props")
    model.ClearField("metadata_props")
