"""All the sensors of n cars, as one observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from racer.car.spec import CarSpec
from racer.sensors.camera import Camera
from racer.sensors.config import (
    DiscretizedSectorLidarConfig,
    LidarConfig,
    SectorLidarConfig,
    SensorConfig,
    StateConfig,
)
from racer.sensors.frame_stack import FrameStack
from racer.sensors.lidar import Lidar
from racer.sensors.sensor_input import FrameReader, Sensor, SensorInput
from racer.sensors.state_sensor import StateSensor
from racer.track import Track

Observations = Any
"""An array (n, ...) for one sensor; for several, a dict of such arrays by the sensors' names."""


def make_sensor(
    config: SensorConfig, spec: CarSpec, track: Track, n: int, walls: bool = False
) -> Sensor:
    """Return the sensor that a config describes, for n cars.

    Args:
        config: The sensor.
        spec: The car.
        track: The track.
        n: Number of cars.
        walls: Whether walls stand on the borders.
    """
    reader = _reader(config, spec, track, n, walls)
    return FrameStack(reader, config.name, config.stack, n)


def _reader(config: SensorConfig, spec: CarSpec, track: Track, n: int, walls: bool) -> FrameReader:
    if isinstance(config, StateConfig):
        return StateSensor(spec, track)
    if isinstance(config, LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig):
        return Lidar(config, spec, track, n, walls)
    return Camera(config, spec, track, n, walls)


class SensorSuite:
    """The sensors that each of n cars carries.

    Args:
        sensors: The sensors by their names.

    Attributes:
        space: The Box of the only sensor, or a Dict by the sensors' names if there are several.
    """

    def __init__(self, sensors: dict[str, Sensor]) -> None:
        self._sensors = sensors
        boxes: dict[str, Any] = {name: sensor.space for name, sensor in sensors.items()}
        self._only = next(iter(sensors.values())) if len(sensors) == 1 else None
        self.space: spaces.Box | spaces.Dict = (
            self._only.space if self._only else spaces.Dict(boxes)
        )

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """Begin an episode; see `Sensor.start`."""
        for sensor in self._sensors.values():
            sensor.start(cars, draws)

    def observe(self, inputs: SensorInput, cars: np.ndarray, out: Observations) -> None:
        """Fill rows of each array of `out` and leave the others.

        Args:
            inputs: What all n cars could perceive.
            cars: Indices of the cars that observe, (k,).
            out: What `buffer` returned; the rows `cars` of each array are filled.
        """
        if self._only:
            self._only.observe(inputs, cars, out)
            return
        for name, sensor in self._sensors.items():
            sensor.observe(inputs, cars, out[name])

    def get_state(self) -> dict[str, Any]:
        """Return what each sensor keeps of the frames so far, by its name."""
        return {name: sensor.get_state() for name, sensor in self._sensors.items()}

    def set_state(self, state: dict[str, Any], draws: np.ndarray) -> None:
        """Continue from a state that `get_state` returned; see `Sensor.set_state`."""
        for name, sensor in self._sensors.items():
            sensor.set_state(state[name], draws)

    def buffer(self, n: int) -> Observations:
        """Return new arrays of n rows for `observe` to fill."""
        if self._only:
            return _zeros(self._only.space, n)
        return {name: _zeros(sensor.space, n) for name, sensor in self._sensors.items()}


def make_sensors(
    configs: Sequence[SensorConfig], spec: CarSpec, track: Track, n: int, walls: bool = False
) -> SensorSuite:
    """Return the sensors that configs describe, for n cars.

    Args:
        configs: The sensors.
        spec: The car.
        track: The track.
        n: Number of cars.
        walls: Whether walls stand on the borders.
    """
    return SensorSuite(
        {config.name: make_sensor(config, spec, track, n, walls) for config in configs}
    )


def copy_observations(observations: Observations) -> Observations:
    """Return the same observations in new arrays."""
    if isinstance(observations, dict):
        return {name: values.copy() for name, values in observations.items()}
    return observations.copy()


def observation_of_car(observations: Observations, car: int | np.ndarray) -> Observations:
    """Return one car's observation out of those of n, or several if `car` is an array (k,)."""
    if isinstance(observations, dict):
        return {name: values[car] for name, values in observations.items()}
    return observations[car]


def _zeros(space: spaces.Box, n: int) -> np.ndarray:
    """Return zeros for n observations of a space."""
    return np.zeros((n, *space.shape), dtype=space.dtype)
