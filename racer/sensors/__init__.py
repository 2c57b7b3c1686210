"""What a car perceives: each sensor declares its space and fills its array for n cars."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from gymnasium import spaces

from racer.car.spec import CarSpec
from racer.sensors.camera import Camera
from racer.sensors.config import CameraConfig, SensorConfig
from racer.sensors.state import StateSensor
from racer.track import Place, Track
from racer.world import CarState

__all__ = ["Camera", "CameraConfig", "Sensor", "SensorConfig", "StateSensor", "make_sensor"]


class Sensor(Protocol):
    """Perceives for n cars at once."""

    @property
    def space(self) -> spaces.Box:
        """What one car's observation may be."""
        ...

    def observe(self, state: CarState, place: Place, out: np.ndarray) -> None:
        """Fill `out`, (n, *space.shape), with what n cars perceive at their places."""
        ...


def make_sensor(config: SensorConfig, spec: CarSpec, track: Track) -> Sensor:
    """The sensor that a config names."""
    if config.kind == "camera":
        return Camera(config.camera, spec, track)
    return StateSensor(spec, track)
