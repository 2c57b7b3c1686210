"""Which sensor a car carries and how it is mounted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from racer.assets.document import Document


class CameraConfig(Document):
    """A pinhole camera. Mount and field of view: the public DeepRacer simulation's URDF."""

    width: int = Field(default=160, ge=8, le=1920, description="columns of the image, 8-1920")
    height: int = Field(default=120, ge=8, le=1080, description="rows of the image, 8-1080")
    forward: float = Field(
        default=0.145, ge=-1, le=1, description="ahead of the middle between the axles [m]"
    )
    up: float = Field(default=0.130, gt=0, le=2, description="above the road at rest [m]")
    pitch_deg: float = Field(default=15.0, ge=-45, le=90, description="tilt down [deg]")
    fov: float = Field(default=1.13, gt=0.1, lt=2.8, description="horizontal field of view [rad]")


class SensorConfig(Document):
    """The one sensor a policy sees through."""

    kind: Literal["camera", "state"] = Field(
        default="camera", description="grey front camera, or numbers about the car and the road"
    )
    camera: CameraConfig = Field(default=CameraConfig(), description="used where kind is camera")
