"""The line of an evaluation: what it paid, and keeping it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from racer.assets.atomic import write_atomically
from racer.errors import RewardError, RunError
from racer.evaluation import LapResult
from racer.reward.reward_file import RewardSource
from racer.reward_check.probes import rewards_of_tape
from racer.reward_check.recorded_params import params_of_race
from racer.track import Track
from racer.training.run_dir import Run


def rewards_of_race(
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
    try:
        return np.array(rewards_of_tape(source, params_of_race(result, track, car, is_reversed)))
    except RewardError:
        return np.full(len(result.body), np.nan)


def save_trajectory(path: Path, result: LapResult, paid: np.ndarray) -> None:
    """Write the line as an .npz of float32, some 20 kB: `load_trajectory` says what it holds.

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


def load_trajectory(path: Path) -> dict[str, np.ndarray]:
    """Each control step's time [s], xy [m], speed [m/s], steering [rad], command, progress
    [percent], fault (an `Ending`) and reward, by these names.
    """
    with np.load(path) as held:
        return {name: held[name] for name in held.files}


def best_trajectory(path: Path) -> dict[str, np.ndarray]:
    """The line of a run's best evaluation, or of the .npz that `path` names; see `load_trajectory`.

    Raises:
        RunError: There is none.
    """
    if path.is_dir():
        run = Run.open(path)
        path = run.folder / "lines" / f"{run.best().stem}.npz"
    try:
        return load_trajectory(path)
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise RunError(f"{path}: no driven line can be read there: {problem}") from problem
