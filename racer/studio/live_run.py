"""A run as it is now, followed over its own files."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from racer.car.spec import car_named
from racer.errors import RacerError, RunError
from racer.laptime import committed_limit
from racer.track import load_track
from racer.training.run_dir import Run
from racer.training.run_history import (
    TRAINED_STATES,
    evaluation_progress,
    read_summary,
    training_curve,
)

LOG_TAIL_BYTES = 16_000
"""Size of the end of `log.txt` that is shown."""
RATE_WINDOW_S = 60.0
"""Wall-clock time over which the speed of the training is measured [s]."""

Points = list[tuple[float, float]]
"""Points of a curve: control steps and the value there."""


@dataclass(frozen=True)
class LiveView:
    """What the page of a run shows.

    Attributes:
        summary: See `racer.training.run_history.summarize_run`.
        steps: Control steps trained so far, over all cars.
        steps_per_s: Control steps per second; None while that is not known.
        seconds_left: Estimated wall-clock time until the training ends [s]; None if not known.
        is_stopping: Whether the run was asked to stop and is not there yet.
        reward: Mean reward of the training episodes.
        progress: Mean progress of the training episodes [percent].
        evaluated: Progress in the evaluations [percent].
        laps: Best lap time of each evaluation [s].
        limit: The minimum time of a flying lap [s]; None if it is not known.
        evaluations: The records in `evaluations.jsonl`.
        log: The last lines of `log.txt`.
    """

    summary: dict[str, Any]
    steps: int
    steps_per_s: float | None
    seconds_left: float | None
    is_stopping: bool
    reward: Points
    progress: Points
    evaluated: Points
    laps: Points
    limit: float | None
    evaluations: Sequence[dict[str, Any]]
    log: str


class FollowedRecords:
    """The records in a file of JSON lines, of which only new lines are read.

    Args:
        path: The file; it may not exist yet.

    Attributes:
        records: The records so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file, self._offset = 0, 0
        self.records: list[dict[str, Any]] = []

    def read(self) -> bool:
        """Read lines that were added, and everything if the file is another one or shorter.

        Returns:
            Whether the records changed.

        Raises:
            RunError: A line is not JSON.
        """
        had = len(self.records)
        try:
            found = self._path.stat()
        except OSError:
            self._file, self._offset, self.records = 0, 0, []
            return had > 0
        is_other = found.st_ino != self._file or found.st_size < self._offset
        if is_other:
            self._file, self._offset, self.records = found.st_ino, 0, []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition(b"\n")
        try:
            self.records += [json.loads(line) for line in whole.splitlines()]
        except ValueError as problem:
            raise RunError(f"{self._path}: holds a line that is not JSON: {problem}") from problem
        self._offset += len(whole) + len(end)
        return is_other or len(self.records) > had


class LiveRun:
    """Follows a run's files; several pages and threads may look at it.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._reading = threading.Lock()
        self._episodes = FollowedRecords(run.folder / "episodes.jsonl")
        self._evaluations = FollowedRecords(run.folder / "evaluations.jsonl")
        self._curve = training_curve([])
        self._times: deque[tuple[float, int]] = deque()
        self._track_length: float | None = None
        self._limit: float | None = None

    def look(self) -> LiveView:
        """Return the run as it is now.

        Raises:
            RunError: There is no run any more, or one of its files cannot be read.
        """
        with self._reading:
            run = Run.open(self._run.folder)
            if self._episodes.read():
                self._curve = training_curve(self._episodes.records)
            self._evaluations.read()
            return self._view(run)

    def _view(self, run: Run) -> LiveView:
        episodes, evaluations = self._episodes.records, list(self._evaluations.records)
        summary, curve = read_summary(run.folder), self._curve
        is_running = summary["state"] in TRAINED_STATES
        last = [one[-1]["steps"] for one in (episodes, evaluations) if one]
        steps = max([*last, summary.get("steps", 0)])
        rate = self._rate(steps, summary["state"] == "running")
        left = max(summary["wanted"] - steps, 0) / rate if rate else None
        if (length := self._track_length) is None:
            length, self._limit = _length_and_limit(run)
            self._track_length = length
        return LiveView(
            summary=summary,
            steps=steps,
            steps_per_s=rate,
            seconds_left=left,
            is_stopping=is_running and run.is_stop_requested(),
            reward=_points(curve["steps"], curve["reward"]),
            progress=_points(curve["steps"], curve["progress"]),
            evaluated=[
                (one["steps"], evaluation_progress(one, length)) for one in evaluations if length
            ],
            laps=[(one["steps"], one["best_lap_s"]) for one in evaluations if one["best_lap_s"]],
            limit=self._limit,
            evaluations=evaluations,
            log=log_tail(run.folder / "log.txt"),
        )

    def _rate(self, steps: int, is_running: bool) -> float | None:
        """Return the control steps per second over the latest looks at a running training."""
        now, times = time.monotonic(), self._times
        if not is_running or (times and steps < times[-1][1]):
            times.clear()  # It is resumed from an earlier checkpoint.
        if not is_running:
            return None
        if not times or steps > times[-1][1]:
            times.append((now, steps))
        while len(times) > 2 and now - times[0][0] > RATE_WINDOW_S:
            times.popleft()
        (begin, first), (end, last) = times[0], times[-1]
        return (last - first) / (end - begin) if end > begin else None


def log_tail(path: Path) -> str:
    """Return the last whole lines of a text file, up to `LOG_TAIL_BYTES`; "" if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - LOG_TAIL_BYTES, 0))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return text if size <= LOG_TAIL_BYTES else text.partition("\n")[2]


def _points(x: np.ndarray, y: np.ndarray) -> Points:
    return list(zip(x.tolist(), y.tolist()))


def _length_and_limit(run: Run) -> tuple[float | None, float | None]:
    """Return the length of the first evaluation's track [m] and the least time of a lap there [s].

    Both are None if the config or the track cannot be read; the time if nobody computed it.
    """
    try:
        config = run.config()
        track, car = load_track(config.evaluation_tracks[0]), car_named(config.car)
    except RacerError:
        return None, None
    limit = committed_limit(track, car) if config.race.direction == "forward" else None
    return track.length, limit.flying if limit else None
