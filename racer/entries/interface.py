"""Describes a policy's inputs and output in words, for programs that run it without racer.

The texts are written into each entry's manifest, so a change to them changes the bytes of entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from racer.assets.document import Document
from racer.car.action_space import ActionSpace
from racer.networks.network_config import (
    ACTION_OUTPUT,
    COMMAND_OUTPUT,
    HIDDEN_STATE_INPUT,
    HIDDEN_STATE_OUTPUT,
    OBSERVATION_INPUT,
)
from racer.sensors.config import (
    CameraConfig,
    DiscretizedSectorLidarConfig,
    LeftCameraConfig,
    LidarConfig,
    SectorLidarConfig,
    SensorConfig,
)
from racer.sensors.state_sensor import STATE_MEANINGS
from racer.world import CONTROL_RATE_HZ


def _line(text: str) -> str:
    if len(text) > 4000 or not text.isprintable():
        raise ValueError("must be up to 4000 printable characters on one line")
    return text


OneLine = Annotated[str, AfterValidator(_line)]
"""Up to 4000 printable characters without a line break."""


class Interface(Document):
    """Description of a graph's inputs and output for people and other programs.

    racer itself reads the manifest's `sensor` and `actions` instead.
    """

    control_rate_hz: float = Field(gt=0, le=1000, description="actions per second [Hz]")
    inputs: dict[OneLine, OneLine] = Field(
        max_length=16, description="description of each input by its name"
    )
    output: dict[OneLine, OneLine] = Field(
        max_length=2, description="description of each output by its name"
    )


def interface_of(
    sensors: Sequence[SensorConfig], actions: ActionSpace, hidden_state_size: int = 0
) -> Interface:
    """Return the interface of a policy.

    Args:
        sensors: What it observes.
        actions: Its action space.
        hidden_state_size: Numbers that it remembers from step to step; 0 for none.
    """
    names = [sensor.name for sensor in sensors] if len(sensors) > 1 else [OBSERVATION_INPUT]
    inputs = {name: _describe_input(sensor) for name, sensor in zip(names, sensors)}
    output = {ACTION_OUTPUT: _describe_output(actions)}
    if hidden_state_size:
        array = f"float32 (1, {hidden_state_size}): what the policy remembers"
        inputs[HIDDEN_STATE_INPUT] = (
            f"{array}; zeros at the start of a race, then the last {HIDDEN_STATE_OUTPUT}"
        )
        output[HIDDEN_STATE_OUTPUT] = f"{array} for its next step"
    return Interface(control_rate_hz=CONTROL_RATE_HZ, inputs=inputs, output=output)


def interface_of_commands(sensors: Sequence[SensorConfig], hidden_state_size: int = 0) -> Interface:
    """Return the interface of a graph of `racer.networks.onnx_export.commands_to_onnx`.

    Args:
        sensors: What the policy observes.
        hidden_state_size: Numbers that it remembers from step to step; 0 for none.
    """
    usual = interface_of(sensors, ActionSpace(), hidden_state_size)
    inputs = {name: text.replace("uint8 (", "float32 (", 1) for name, text in usual.inputs.items()}
    output = {name: text for name, text in usual.output.items() if name != ACTION_OUTPUT}
    command = (
        "float32 (1, 2): the angle of the front wheels [rad], positive to the left, then the speed "
        "[m/s]"
    )
    return Interface(
        control_rate_hz=CONTROL_RATE_HZ, inputs=inputs, output={COMMAND_OUTPUT: command, **output}
    )


def _describe_input(sensor: SensorConfig) -> str:
    """Return a sensor's type, shape and meaning in words."""
    space = sensor.space
    shape = ", ".join(map(str, (1, *space.shape)))
    stack = f"; the last {sensor.stack}, the oldest first" if sensor.stack > 1 else ""
    return f"{space.dtype} ({shape}): {_meaning(sensor)}{stack}"


def _meaning(sensor: SensorConfig) -> str:
    """Return what a sensor's numbers mean, without type, shape and stack."""
    if isinstance(sensor, CameraConfig):
        planes = "red, green and blue" if sensor.colour == "rgb" else "grey"
        return f"the front camera's frame, 0 to 255, {planes}, the top row first"
    if isinstance(sensor, LeftCameraConfig):
        return "the left camera's frame, 0 to 255, grey, the top row first"
    if isinstance(sensor, LidarConfig):
        return f"ranges [m], cut off at {sensor.clip:g} m; {_fan(sensor)}"
    if isinstance(sensor, SectorLidarConfig):
        return (
            f"1 for each of {sensor.sectors} sectors with something nearer than "
            f"{sensor.clip:g} m, else 0; {_fan(sensor)}"
        )
    if isinstance(sensor, DiscretizedSectorLidarConfig):
        return (
            f"for each of {sensor.sectors} sectors {sensor.values} numbers, 1 at the step of its "
            f"nearest range, else 0; the steps reach {sensor.clip:g} m; {_fan(sensor)}"
        )
    if sensor.kind == "stereo":
        return "two grey frames, 0 to 255, the left camera's plane first, the top row first"
    return "; ".join(f"{index}: {meaning}" for index, meaning in enumerate(STATE_MEANINGS))


def _fan(lidar: LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig) -> str:
    """Return the directions of a lidar's beams in words."""
    return (
        f"{lidar.beams} beams over {lidar.span_deg:g} deg, counter-clockwise, the middle of the "
        f"fan {lidar.yaw_deg:g} deg left of ahead"
    )


def _describe_output(actions: ActionSpace) -> str:
    """Return the type, shape and meaning of an action in words."""
    if actions.kind == "discrete":
        listed = (_pair(steering, speed) for steering, speed in actions.choices)
        named = "; ".join(f"{index}: {pair}" for index, pair in enumerate(listed))
        return f"int64 (1): the index of a choice: {named}"
    (right, left), (slow, fast) = actions.steering_deg, actions.speed
    return (
        f"float32 (1, 2): steering, then speed, each -1 to 1; -1 is {_pair(right, slow)}, "
        f"1 is {_pair(left, fast)}, and linearly between"
    )


def _pair(steering: float, speed: float) -> str:
    side = " left" if steering > 0 else " right" if steering < 0 else ""
    return f"{abs(steering):g} deg{side} and {speed:g} m/s"
