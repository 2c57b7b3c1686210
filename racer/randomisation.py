"""Domain randomisation: the range of each quantity that differs between episodes, and the draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from racer.assets import find_file
from racer.assets.document import Document, read_document

Range = tuple[float, float]


def _between(neutral: float, low: float, high: float, description: str) -> Any:
    """Return a field for a range within `low` to `high`, which by default is `neutral` alone."""
    return Field(
        default=(neutral, neutral),
        description=f"{description}; lowest and highest, {low:g} to {high:g}",
        json_schema_extra={"low": low, "high": high},
    )


class Randomisation(Document):
    """A range for each quantity, drawn uniformly for each episode; by default nothing is random.

    A factor multiplies what the car or the sensor has, an offset is added to it.

    Example:
        >>> config = Randomisation(friction=(0.8, 1.0), latency=(0, 2))
        >>> draws = Draws(config, n=2)
        >>> draws.draw(np.arange(2), [np.random.default_rng(seed) for seed in (3, 4)])
        >>> draws.rows["friction"].round(3)
        array([0.847, 0.902])
        >>> draws.rows["latency"]
        array([0., 2.])
        >>> draws.rows["mass"]  # its range is still 1 to 1
        array([1., 1.])
    """

    friction: Range = _between(1, 0.2, 1.3, "factor of the tyres' grip")
    mass: Range = _between(1, 0.5, 2, "factor of mass and inertia")
    mass_forward: Range = _between(0, -0.05, 0.05, "offset of the centre of mass to the front [m]")
    mass_up: Range = _between(0, -0.03, 0.03, "offset of the centre of mass upwards [m]")
    motor: Range = _between(1, 0.2, 2, "factor of the drive's force")
    speed_gain: Range = _between(1, 0.5, 1.5, "factor of the commanded speed")
    steering_gain: Range = _between(1, 0.5, 1.5, "factor of the commanded steering")
    steering_offset: Range = _between(0, -0.2, 0.2, "offset of the commanded steering [rad]")
    latency: Range = _between(0, 0, 2, "whole control steps until an action takes effect")
    camera_forward: Range = _between(0, -0.1, 0.1, "offset of the camera to the front [m]")
    camera_left: Range = _between(0, -0.1, 0.1, "offset of the camera to the left [m]")
    camera_up: Range = _between(0, -0.1, 0.1, "offset of the camera upwards [m]")
    camera_roll: Range = _between(0, -0.3, 0.3, "rotation of the camera to its right [rad]")
    camera_pitch: Range = _between(0, -0.3, 0.3, "tilt of the camera down [rad]")
    camera_yaw: Range = _between(0, -0.3, 0.3, "rotation of the camera to the left [rad]")
    field_of_view: Range = _between(1, 0.5, 1.5, "factor of the camera's field of view")
    brightness: Range = _between(0, -128, 128, "offset of each pixel [levels of 255]")
    contrast: Range = _between(1, 0.2, 3, "factor of each pixel's distance from middle grey")
    red: Range = _between(1, 0.2, 2, "factor of red, also in the mix of a grey camera")
    green: Range = _between(1, 0.2, 2, "factor of green")
    blue: Range = _between(1, 0.2, 2, "factor of blue")
    pixel_noise: Range = _between(0, 0, 64, "standard deviation of each pixel [levels of 255]")
    blur: Range = _between(0, 0, 1, "weight of the four neighbours in each pixel")
    lidar_noise: Range = _between(1, 0, 20, "factor of the lidar's own noise")
    dropped_frames: Range = _between(0, 0, 0.9, "probability that a sensor repeats its last frame")

    @model_validator(mode="after")
    def _ranges_hold(self) -> Randomisation:
        for name, field in type(self).model_fields.items():
            low, high = getattr(self, name)
            limits: Any = field.json_schema_extra
            if not limits["low"] <= low <= high <= limits["high"]:
                raise ValueError(f"{name} must be {field.description}; got [{low:g}, {high:g}]")
        if any(end != int(end) for end in self.latency):
            raise ValueError(f"latency must be whole control steps, got {list(self.latency)}")
        return self


NO_RANDOMISATION = Randomisation()
"""The randomisation that leaves every episode as it is."""
DRAWN_QUANTITIES = tuple(Randomisation.model_fields)
"""The names of the quantities, in the order in which they are drawn."""
DRAW_DTYPE = np.dtype([("seed", np.uint64), *((name, np.float64) for name in DRAWN_QUANTITIES)])
"""One car's draw: a seed for what is random within the episode, and a number for each quantity."""


def neutral_draws(n: int) -> np.ndarray:
    """Return n rows of `DRAW_DTYPE` that change nothing, with seed 0, (n,)."""
    rows = np.zeros(n, dtype=DRAW_DTYPE)
    for name in DRAWN_QUANTITIES:
        rows[name] = getattr(NO_RANDOMISATION, name)[0]
    return rows


class Draws:
    """The draws of n cars for their current episodes.

    Attributes:
        rows: One row of `DRAW_DTYPE` for each car, (n,); until the first draw as `neutral_draws`.
        is_neutral: Whether every draw leaves car and sensors as they are.
    """

    def __init__(self, config: Randomisation, n: int) -> None:
        ranges = np.array([getattr(config, name) for name in DRAWN_QUANTITIES])
        self._low, self._high = ranges[:, 0].copy(), ranges[:, 1].copy()
        self.is_neutral = config == NO_RANDOMISATION
        self.rows = neutral_draws(n)

    def draw(self, cars: np.ndarray, generators: list[np.random.Generator]) -> None:
        """Draw new rows for some of the cars.

        Args:
            cars: Indices of the cars, (k,).
            generators: One random generator for each of the n cars.
        """
        for car in cars:
            generator = generators[car]
            # What integers(2**64, dtype=np.uint64) gives, in a tenth of its time.
            self.rows["seed"][car] = generator.bit_generator.random_raw()
            if self.is_neutral:
                continue
            # Every quantity takes one number from the generator, whatever the ranges, so that
            # changing one range does not change the draws of the others.
            row = generator.uniform(self._low, self._high)
            k = DRAWN_QUANTITIES.index("latency")
            row[k] = generator.integers(int(self._low[k]), int(self._high[k]), endpoint=True)
            self.rows[car] = (self.rows["seed"][car], *row.tolist())


def load_randomisation(name: str) -> Randomisation:
    """Return the randomisation in a YAML file, or that of a shipped preset's name.

    Raises:
        ConfigError: There is no such file, or a range in it is not allowed.
    """
    return read_document(find_file(name, "configs/randomisation"), Randomisation)
