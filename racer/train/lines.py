"""The line of an evaluation: what it paid, and keeping it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from racer.assets.atomic import write_atomically
from racer.car.spec import car_named
from racer.errors import RewardError, RunError
from racer.judge import LapResult
from racer.race import Ending, Others
from racer.reward.params import Facts, ParamsBuilder
from racer.reward.source import RewardSource
from racer.track import Track
from racer.train.folder import Run
from racer.world.state import yaw_of


def rewards(
    result: LapResult, track: Track, car: str, source: RewardSource, is_reversed: bool
) -> np.ndarray:
    """What a reward function would have paid for each control step of a judged race, (T,).

    All are NaN where it raises on the judge's line; training itself ends when it raises there.

    Args:
        result: The race.
        track: The track as it was driven.
        car: Name of the car's preset.
        source: The reward function; it runs afresh.
        is_reversed: Whether that is against the track's own direction.
    """
    body = result.body
    crashed = result.fault == Ending.CRASHED
    facts = Facts(
        xy=body[:, :2],
        yaw=yaw_of(body),
        command=result.command,
        segment=track.locate(body[:, :2]).segment,
        progress=result.progress,
        steps=np.arange(1, len(body) + 1),
        all_wheels_on_track=result.wheels_on_road == 4,
        is_offtrack=result.wheels_on_road == 0,
        is_crashed=crashed,
        time=result.time,
        objects=_objects(result, track),
    )
    params = ParamsBuilder(track, car_named(car), is_reversed).build_all(facts)
    try:
        function = source.functions(1)[0]
        return np.array([source.call(function, one) for one in params])
    except RewardError:
        return np.full(len(body), np.nan)


def _objects(result: LapResult, track: Track) -> Others | None:
    """What stood on the road, as the params tell of it; its speed is not recorded."""
    boxes = result.boxes
    if not boxes.shape[1]:
        return None
    there = track.locate(boxes[..., :2].reshape(-1, 2))
    shape = boxes.shape[:2]
    yaw = yaw_of(boxes.reshape(-1, 10)).reshape(shape)
    pose = np.concatenate([boxes[..., :2], yaw[..., None]], axis=2)
    return Others(there.s.reshape(shape), there.d.reshape(shape), pose, np.zeros(shape))


def keep(path: Path, result: LapResult, paid: np.ndarray) -> None:
    """Write the line as an .npz of float32, some 20 kB: `load` says what it holds.

    Raises:
        OSError: The file cannot be written.
    """
    buffer = io.BytesIO()
    line: dict[str, Any] = {
        "time": result.time,
        "xy": result.xy,
        "speed": result.speed,
        "steering": result.steering,
        "command": result.command,
        "progress": result.progress,
        "fault": result.fault,
        "reward": paid,
    }
    np.savez_compressed(
        buffer, **{name: values.astype(np.float32) for name, values in line.items()}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, np.ndarray]:
    """Each control step's time [s], xy [m], speed [m/s], steering [rad], command, progress
    [percent], fault (an `Ending`) and reward, by these names.
    """
    with np.load(path) as held:
        return {name: held[name] for name in held.files}


def best_line(path: Path) -> dict[str, np.ndarray]:
    """The line of a run's best evaluation, or of the .npz that `path` names; see `load`.

    Raises:
        RunError: There is none.
    """
    if path.is_dir():
        run = Run.open(path)
        path = run.folder / "lines" / f"{run.best().stem}.npz"
    try:
        return load(path)
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise RunError(f"{path}: no driven line can be read there: {problem}") from problem
