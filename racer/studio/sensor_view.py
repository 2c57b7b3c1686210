"""What a car's sensors see on a lap, as pictures for a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from racer.assets.chart_style import PAGE_CURVE_COLOURS
from racer.car.spec import car_named
from racer.race.config import RUNNING
from racer.randomisation import Randomisation
from racer.reward_check.probes import HONEST_SPEED, follow_at_speed
from racer.sensors import SensorConfig, observation_of_car
from racer.sensors.config import LidarConfig
from racer.simulation import Simulation
from racer.track import load_track
from racer.training.config import RunConfig

CHART_PX = (320, 120)
"""Width and height of a chart of numbers [px]."""


class SensorView:
    """A car that drives along the centre line of a config's first track, and what it sees.

    Args:
        config: The config.

    Raises:
        RacerError: The track cannot be used.
    """

    def __init__(self, config: RunConfig) -> None:
        self._sensors = config.sensor
        rules = config.race.model_copy(
            update={"start": "line", "faults": "reset", "time_limit": 36_000.0, "laps": 100}
        )
        self._simulation = Simulation(
            rules,
            [load_track(config.track[0])],
            car_named(config.car),
            [config.sensor],
            randomisation=Randomisation(),
            engine=config.engine,
        )
        self._generators = [np.random.default_rng(0)]
        self._drive, self._step = follow_at_speed(HONEST_SPEED), 0
        self._simulation.start(np.array([0]), self._generators)

    def drive(self, steps: int) -> None:
        """Drive some control steps further."""
        race = self._simulation.race
        for _ in range(steps):
            if race.ending[0] != RUNNING:
                self._simulation.start(np.array([0]), self._generators)
            command = np.array([self._drive(race, self._step)])
            self._simulation.step(command, self._generators)
            self._step += 1

    def pictures(self) -> dict[str, Markup]:
        """Return what each sensor sees now, by its name."""
        seen = observation_of_car(self._simulation.observations_of(0), 0)
        return sensor_pictures(self._sensors, seen)

    def close(self) -> None:
        """Close the world."""
        self._simulation.close()


def sensor_pictures(
    sensors: Sequence[SensorConfig], seen: np.ndarray | Mapping[str, np.ndarray]
) -> dict[str, Markup]:
    """Return the newest frame of each sensor as HTML, by the sensor's name.

    Args:
        sensors: The sensors of one car.
        seen: Its observation.
    """
    each = seen if isinstance(seen, Mapping) else {sensors[0].name: seen}
    return {one.name: _picture(one, each[one.name]) for one in sensors}


def camera_frame(sensor: Any, values: np.ndarray) -> Image.Image:
    """Return the newest frame of a camera's observation as a picture.

    Args:
        sensor: The camera's config.
        values: The observation (height, width, channels x stack); a stereo pair is put side by
            side.
    """
    frame = values[..., -sensor.channels :]
    if frame.shape[-1] == 3:
        return Image.fromarray(np.ascontiguousarray(frame))
    return Image.fromarray(np.concatenate(list(np.moveaxis(frame, -1, 0)), axis=1))


def png_url(picture: Image.Image) -> str:
    """Return a picture as a data URL."""
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"


def _picture(sensor: SensorConfig, values: np.ndarray) -> Markup:
    if values.ndim == 3:
        return Markup(
            '<img src="{}" alt="what the {} sees" style="width:100%;max-height:16rem;'
            'object-fit:contain;image-rendering:pixelated">'
        ).format(png_url(camera_frame(sensor, values)), sensor.name.replace("_", " "))
    newest = values[-len(values) // sensor.stack :]
    if isinstance(sensor, LidarConfig):
        return _scan(sensor, newest)
    return _bars(sensor.name, newest)


def _scan(sensor: LidarConfig, ranges: np.ndarray) -> Markup:
    """Return a lidar's ranges as a fan around the car, whose front is up."""
    half = np.deg2rad(sensor.span_deg) / 2
    angles = np.deg2rad(sensor.yaw_deg) + np.linspace(-half, half, len(ranges))
    away = 95.0 * ranges / sensor.clip
    ends = np.stack([100.0 - away * np.sin(angles), 100.0 - away * np.cos(angles)], axis=1)
    rays = "".join(f"M100 100L{x:.1f} {y:.1f}" for x, y in ends)
    return Markup(
        '<svg viewBox="0 0 200 200" role="img" aria-label="what the lidar sees" '
        f'style="width:100%;max-height:14rem"><path d="{rays}" stroke="{PAGE_CURVE_COLOURS[1]}"/>'
        '<rect x="97" y="94" width="6" height="12" fill="currentColor"/></svg>'
    )


def _bars(name: str, values: np.ndarray) -> Markup:
    """Return numbers as bars from the middle, which is 0; the picture's height is -1 to 1."""
    width, height = CHART_PX
    step = width / len(values)
    tall = np.clip(values, -1.0, 1.0) * height / 2
    bars = "".join(
        f'<rect x="{k * step:.1f}" y="{height / 2 - max(one, 0.0):.1f}" '
        f'width="{step * 0.8:.1f}" height="{abs(one):.1f}"/>'
        for k, one in enumerate(tall)
    )
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="what {escape(name.replace("_", " "))} sees" style="width:100%">'
        f'<g fill="{PAGE_CURVE_COLOURS[1]}">{bars}</g>'
        f'<path d="M0 {height / 2}H{width}" stroke="currentColor" stroke-opacity="0.4"/></svg>'
    )
