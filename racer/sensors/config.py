"""The configuration of sensors: which ones a car carries and how they are mounted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from gymnasium import spaces
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from racer.assets.document import Document
from racer.sensors.state_sensor import STATE_SIZE


class _Stacked(Document):
    """What every sensor's configuration has: a name, an observation space and a frame stack."""

    stack: int = Field(default=1, ge=1, le=8, description="frames in one observation, 1-8")

    @property
    def name(self) -> str:
        """The sensor's key in the observation of a car with several sensors."""
        return getattr(self, "kind")  # noqa: B009

    @property
    def space(self) -> spaces.Box:
        """The space of one car's observation."""
        raise NotImplementedError


class _Camera(_Stacked):
    """A pinhole camera.

    Its mount and field of view are those of the public DeepRacer simulation's URDF.
    """

    width: int = Field(default=160, ge=8, le=1920, description="columns of the image, 8-1920")
    height: int = Field(default=120, ge=8, le=1080, description="rows of the image, 8-1080")
    forward: float = Field(
        default=0.145, ge=-1, le=1, description="ahead of the midpoint between the axles [m]"
    )
    up: float = Field(default=0.130, gt=0, le=2, description="height above the road [m], up to 2")
    pitch_deg: float = Field(default=15.0, ge=-45, le=90, description="tilt down [deg], -45 to 90")
    fov: float = Field(
        default=1.13, gt=0.1, lt=2.8, description="horizontal field of view [rad], 0.1-2.8"
    )

    @property
    def space(self) -> spaces.Box:
        """Frames (height, width, channels x stack) uint8, the oldest first."""
        return spaces.Box(0, 255, (self.height, self.width, self.channels * self.stack), np.uint8)

    @property
    def channels(self) -> int:
        """Number of channels of one frame."""
        return 1


class CameraConfig(_Camera):
    """One camera in the middle of the car, or `left` of it."""

    kind: Literal["camera"] = Field(default="camera", description="a camera")
    left: float = Field(default=0.0, ge=-1, le=1, description="left of the centre line [m]")
    colour: Literal["grey", "rgb"] = Field(default="grey", description="one channel, or three")

    @property
    def channels(self) -> int:
        """Number of channels of one frame."""
        return 3 if self.colour == "rgb" else 1


class LeftCameraConfig(_Camera):
    """The left camera of a stereo pair alone, in grey."""

    kind: Literal["left_camera"] = Field(
        default="left_camera", description="the left camera of a stereo pair, grey"
    )
    left: float = Field(default=0.03, ge=-1, le=1, description="left of the centre line [m]")


class StereoConfig(_Camera):
    """Two grey cameras side by side.

    Their baseline is that of the public DeepRacer simulation's URDF.
    """

    kind: Literal["stereo"] = Field(
        default="stereo", description="two grey cameras; the left one's channel is first"
    )
    baseline: float = Field(default=0.06, gt=0, le=1, description="distance of the two cameras [m]")

    @property
    def channels(self) -> int:
        """Number of channels of one frame."""
        return 2


class StateConfig(_Stacked):
    """Numbers about the car and the road ahead."""

    kind: Literal["state"] = Field(
        default="state", description="26 numbers about the car and the road"
    )

    @property
    def space(self) -> spaces.Box:
        """Numbers (26 x stack,), the oldest first."""
        return spaces.Box(-10.0, 10.0, (STATE_SIZE * self.stack,), np.float32)


class _Lidar(_Stacked):
    """A planar lidar; its figures and mount are those of the public DeepRacer simulation's URDF.

    As there, it is mounted backwards: the gap in its fan lies ahead, where the camera looks.
    """

    beams: int = Field(default=64, ge=1, le=2048, description="beams of a scan, 1-2048")
    span_deg: float = Field(
        default=300.0, gt=0, le=360, description="angle of the scan [deg], up to 360"
    )
    yaw_deg: float = Field(
        default=180.0, ge=-180, le=180, description="direction of the scan, to the left [deg]"
    )
    forward: float = Field(
        default=0.029, ge=-1, le=1, description="ahead of the midpoint between the axles [m]"
    )
    up: float = Field(default=0.185, gt=0, le=2, description="height above the road [m], up to 2")
    near: float = Field(default=0.15, ge=0, le=100, description="shortest range [m], up to 100")
    far: float = Field(
        default=12.0, gt=0, le=100, description="range of a beam that hits nothing [m], up to 100"
    )
    noise: float = Field(
        default=0.01, ge=0, le=1, description="standard deviation of a range [m], up to 1"
    )
    rate: float = Field(default=15.0, gt=0, le=15, description="scans per second, up to 15")

    @model_validator(mode="after")
    def _ranges_are_in_order(self) -> _Lidar:
        clip = getattr(self, "clip", self.far)
        if not self.near < clip <= self.far:
            raise ValueError(
                f"near < clip <= far must hold; got {self.near:g}, {clip:g} and {self.far:g}"
            )
        sectors = getattr(self, "sectors", 1)
        if self.beams % sectors:
            raise ValueError(f"{self.beams} beams do not fill {sectors} sectors evenly")
        return self


class LidarConfig(_Lidar):
    """A lidar that gives the ranges themselves."""

    kind: Literal["lidar"] = Field(default="lidar", description="ranges [m]")
    clip: float = Field(default=1.0, gt=0, le=100, description="longest range [m], up to 100")

    @property
    def space(self) -> spaces.Box:
        """Ranges [m] (beams x stack,) from `near` to `clip`, the oldest scan first."""
        return spaces.Box(self.near, self.clip, (self.beams * self.stack,), np.float32)


class SectorLidarConfig(_Lidar):
    """A lidar that tells for each sector of its fan whether something is near."""

    kind: Literal["sector_lidar"] = Field(
        default="sector_lidar", description="for each sector 1 if something is near, else 0"
    )
    clip: float = Field(
        default=0.5, gt=0, le=100, description="range below which something is near [m], up to 100"
    )
    sectors: int = Field(default=8, ge=1, le=64, description="equal sectors of the scan, 1-64")

    @property
    def space(self) -> spaces.Box:
        """Zeros and ones (sectors x stack,), the oldest scan first."""
        return spaces.Box(0.0, 1.0, (self.sectors * self.stack,), np.float32)


class DiscretizedSectorLidarConfig(_Lidar):
    """A lidar that tells for each sector of its fan how near the nearest thing is, in steps."""

    kind: Literal["discretized_sector_lidar"] = Field(
        default="discretized_sector_lidar",
        description="for each sector 1 at the step of its shortest range, else 0",
    )
    clip: float = Field(
        default=2.0, gt=0, le=100, description="end of the last step [m], up to 100"
    )
    sectors: int = Field(default=8, ge=1, le=64, description="equal sectors of the scan, 1-64")
    values: int = Field(default=8, ge=1, le=64, description="equal steps up to `clip`, 1-64")

    @property
    def space(self) -> spaces.Box:
        """Zeros and ones (sectors x values x stack,), the oldest scan first."""
        size = self.sectors * self.values * self.stack
        return spaces.Box(0.0, 1.0, (size,), np.float32)


SensorConfig = Annotated[
    CameraConfig
    | LeftCameraConfig
    | StereoConfig
    | LidarConfig
    | SectorLidarConfig
    | DiscretizedSectorLidarConfig
    | StateConfig,
    Field(discriminator="kind"),
]


def _several(value: Any) -> Any:
    """Return one sensor or several, each a name or a mapping, as a tuple of mappings."""
    sensors = value if isinstance(value, list | tuple) else (value,)
    return tuple({"kind": item} if isinstance(item, str) else item for item in sensors)


def _once_each(sensors: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the sensors, each of which must be of another kind."""
    if not sensors:
        raise ValueError("a car needs at least one sensor")
    names = [sensor.name for sensor in sensors]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"each kind of sensor may occur once; what occurs twice is {', '.join(twice)}"
        )
    return sensors


Sensors = Annotated[
    tuple[SensorConfig, ...],
    BeforeValidator(_several),
    AfterValidator(_once_each),
]
"""A sensor's name, a mapping with `kind`, or a list of them."""
