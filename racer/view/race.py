"""A race as a video and as a picture of the driven line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from racer.car.spec import CarSpec, car_named
from racer.sensors import Sensor, Sensors, Surroundings, make_sensor
from racer.track import Place, Track
from racer.view.chase import ChaseView, Hud
from racer.view.video import VideoWriter
from racer.world import CONTROL_RATE, CarState, yaw_of

JUMP = 0.5
"""A car that moves further than this in a step [m] was put back on the road."""
TRAILING = 0.12
"""Time in which the camera turns all but 1/e of the way to the car's heading [s]."""


def film(
    path: Path,
    track: Track,
    body: np.ndarray,
    steering: np.ndarray,
    lap_times: list[float],
    laps: int,
    sensor: Sensors,
    boxes: np.ndarray | None = None,
    colours: np.ndarray | None = None,
    walls: bool = False,
    car: str = "deepracer",
    per_step: int = 2,
) -> None:
    """Write the race as an mp4.

    Args:
        path: The file to write.
        track: The track.
        body: Body rows at each control step, (T, 13).
        steering: Angle of the front wheels at each control step [rad], (T,).
        lap_times: Time of each completed lap [s].
        laps: Laps asked for.
        sensor: What the policy saw; the first camera's frame is shown in a corner.
        boxes: What it could meet at each control step, rows as in `World.boxes`, (T, K, 10).
        colours: Red, green and blue of each, (K, 3) uint8.
        walls: Whether walls stood on the borders.
        car: Name of the car's preset.
        per_step: Frames a control step; those between two steps are interpolated.

    Raises:
        RacerError: The file cannot be written.
    """
    spec = car_named(car)
    view = ChaseView(track, spec, walls=walls)
    camera = _camera(sensor, spec, track, walls)
    if boxes is None or colours is None:
        boxes, colours = np.zeros((len(body), 0, 10)), np.zeros((0, 3), dtype=np.uint8)
    speeds = np.hypot(body[:, 7], body[:, 8])
    finishes = np.cumsum(lap_times)
    heading, rate = None, CONTROL_RATE * per_step
    with VideoWriter(path, view.size, rate) as video:
        for k, (row, angle) in enumerate(_between(body, steering, per_step)):
            step = k // per_step
            heading = _follow(heading, row, 1.0 / rate)
            time = (k + 1) / rate
            done = int((finishes <= time).sum())
            began = float(finishes[done - 1]) if done else 0.0
            lap = min(done, laps - 1)
            hud = Hud(
                speed=float(np.hypot(row[7], row[8])),
                lap=lap + 1,
                laps=laps,
                time=lap_times[lap] if done == laps else time - began,
                best=min(lap_times[:done], default=None),
                xy=body[: step + 1, :2],
                speeds=speeds[: step + 1],
                camera=_seen(camera, row, angle, boxes[step], colours),
            )
            video.add(view.frame(row, angle, hud, heading, boxes[step], colours))


def _between(body: np.ndarray, steering: np.ndarray, per_step: int):
    """Each control step's body row and steering, and those interpolated before the next."""
    for k in range(len(body)):
        after = min(k + 1, len(body) - 1)
        if np.hypot(*(body[after, :2] - body[k, :2])) > JUMP:
            after = k
        for part in np.arange(per_step) / per_step:
            row = (1 - part) * body[k] + part * body[after]
            if body[k, 3:7] @ body[after, 3:7] < 0:
                row[3:7] = (1 - part) * body[k, 3:7] - part * body[after, 3:7]
            row[3:7] /= np.linalg.norm(row[3:7])
            yield row, float((1 - part) * steering[k] + part * steering[after])


def _follow(heading: float | None, row: np.ndarray, seconds: float) -> float:
    """The camera's heading [rad], which trails the car's, so many seconds later."""
    yaw = float(yaw_of(row))
    if heading is None:
        return yaw
    share = 1.0 - np.exp(-seconds / TRAILING)
    return heading + share * float(np.arctan2(np.sin(yaw - heading), np.cos(yaw - heading)))


def _camera(sensors: Sensors, spec: CarSpec, track: Track, walls: bool) -> Sensor | None:
    for config in sensors:
        if len(config.space.shape) == 3:
            return make_sensor(config.model_copy(update={"stack": 1}), spec, track, 1, walls)
    return None


def _seen(
    camera: Sensor | None,
    row: np.ndarray,
    steering: float,
    boxes: np.ndarray,
    colours: np.ndarray,
) -> np.ndarray | None:
    if camera is None:
        return None
    frame = np.empty((1, *camera.space.shape), dtype=np.uint8)
    state = CarState(row[None], np.array([steering]), np.zeros((1, 2)))
    nowhere = Place(np.zeros(1), np.zeros(1), np.zeros(1, dtype=np.int64))
    around = Surroundings(state, nowhere, np.zeros(1, dtype=bool), boxes[None], colours[None])
    camera.observe(around, np.arange(1), frame)
    return frame[0]
