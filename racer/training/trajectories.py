"""The line driven in an evaluation: its rewards, and how it is saved and loaded."""

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
    """Return the reward of each control step of an evaluated race, (T,).

    If the reward function raises in one of the steps, all rewards are NaN and the training
    continues. (An exception in a training episode ends the training.)

    Args:
        result: The race.
        track: The track in the direction in which it was driven.
        car: Name of the car's preset.
        source: The reward file; it is executed again.
        is_reversed: Whether `track` is the reverse of the track in its file.
    """
    try:
        return np.array(rewards_of_tape(source, params_of_race(result, track, car, is_reversed)))
    except RewardError:
        return np.full(len(result.body), np.nan)


def save_trajectory(path: Path, result: LapResult, paid: np.ndarray) -> None:
    """Write the driven line of a race as an .npz file of float32 arrays, about 20 kB.

    Args:
        path: The file; its folder is made. See `load_trajectory` for its content.
        result: The race.
        paid: The reward of each control step, (T,).

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
    """Return the driven line in a file that `save_trajectory` wrote.

    Returns:
        The values at each control step by their names, each (T,) or (T, 2): `time` [s], `xy` [m],
        `speed` [m/s], `steering` [rad], `command` (the commanded steering [rad] and speed [m/s]),
        `progress` [percent], `fault` (an `Ending`) and `reward`.
    """
    with np.load(path) as held:
        return {name: held[name] for name in held.files}


def best_trajectory(path: Path) -> dict[str, np.ndarray]:
    """Return the line driven in the best evaluation of a run; see `load_trajectory`.

    Args:
        path: The run's folder, or an .npz file, whose line is returned.

    Raises:
        RunError: The run has no line, or the file cannot be read.
    """
    if path.is_dir():
        run = Run.open(path)
        path = run.folder / "lines" / f"{run.best().stem}.npz"
    try:
        return load_trajectory(path)
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise RunError(f"{path}: cannot be read as a driven line: {problem}") from problem
