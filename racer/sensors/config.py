"""Which sensors a car carries and how they are mounted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from gymnasium import spaces
from pydantic import AfterValidator, BeforeValidator, Field

from racer.assets.document import Document
from racer.sensors.state import SIZE


class _Stacked(Document):
    stack: int = Field(default=1, ge=1, le=8, description="last frames in one observation, 1-8")

    @property
    def name(self) -> str:
        """The sensor's key where a car carries several."""
        return getattr(self, "kind")  # noqa: B009

    @property
    def space(self) -> spaces.Box:
        """What one car's observation may be."""
        raise NotImplementedError


class _Camera(_Stacked):
    """A pinhole camera. Mount and field of view: the public DeepRacer simulation's URDF."""

    width: int = Field(default=160, ge=8, le=1920, description="columns of the image, 8-1920")
    height: int = Field(default=120, ge=8, le=1080, description="rows of the image, 8-1080")
    forward: float = Field(
        default=0.145, ge=-1, le=1, description="ahead of the middle between the axles [m]"
    )
    up: float = Field(default=0.130, gt=0, le=2, description="above the road at rest [m]")
    pitch_deg: float = Field(default=15.0, ge=-45, le=90, description="tilt down [deg]")
    fov: float = Field(default=1.13, gt=0.1, lt=2.8, description="horizontal field of view [rad]")

    @property
    def space(self) -> spaces.Box:
        """Frames (height, width, channels x stack) uint8, the oldest first."""
        return spaces.Box(0, 255, (self.height, self.width, self.channels * self.stack), np.uint8)

    @property
    def channels(self) -> int:
        """Planes of one frame."""
        return 1


class CameraConfig(_Camera):
    """One camera in the middle of the car, or wherever `left` puts it."""

    kind: Literal["camera"] = Field(default="camera", description="one front camera")
    left: float = Field(default=0.0, ge=-1, le=1, description="left of the middle [m]")
    colour: Literal["grey", "rgb"] = Field(default="grey", description="one plane, or three")

    @property
    def channels(self) -> int:
        """Planes of one frame."""
        return 3 if self.colour == "rgb" else 1


class LeftCameraConfig(_Camera):
    """The left one of a stereo pair alone, grey."""

    kind: Literal["left_camera"] = Field(
        default="left_camera", description="the left camera of a stereo pair, grey"
    )
    left: float = Field(default=0.03, ge=-1, le=1, description="left of the middle [m]")


class StereoConfig(_Camera):
    """Two grey cameras side by side. Baseline: the public DeepRacer simulation's URDF."""

    kind: Literal["stereo"] = Field(
        default="stereo", description="two grey cameras; the left one's plane comes first"
    )
    baseline: float = Field(default=0.06, gt=0, le=1, description="between the two cameras [m]")

    @property
    def channels(self) -> int:
        """Planes of one frame."""
        return 2


class StateConfig(_Stacked):
    """Numbers about the car and the road ahead."""

    kind: Literal["state"] = Field(
        default="state", description="26 numbers about the car and the road"
    )

    @property
    def space(self) -> spaces.Box:
        """Numbers (26 x stack,), the oldest first."""
        return spaces.Box(-10.0, 10.0, (SIZE * self.stack,), np.float32)


SensorConfig = Annotated[
    CameraConfig | LeftCameraConfig | StereoConfig | StateConfig, Field(discriminator="kind")
]


def _several(value: Any) -> Any:
    """One sensor or many, each a name or a mapping, as a tuple."""
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple({"kind": one} if isinstance(one, str) else one for one in many)


def _once_each(sensors: tuple[Any, ...]) -> tuple[Any, ...]:
    if not sensors:
        raise ValueError("a car needs at least one sensor")
    names = [sensor.name for sensor in sensors]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each kind of sensor may be there once; twice is {', '.join(twice)}")
    return sensors


Sensors = Annotated[
    tuple[SensorConfig, ...],
    BeforeValidator(_several),
    AfterValidator(_once_each),
]
"""A name, a mapping with `kind`, or a list of them."""
