"""What the cars of a training do now, in a file of the run's folder, while somebody watches."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from racer.envs import RacerVectorEnv
from racer.errors import RunError
from racer.sensors import Observations
from racer.training.config import RunConfig

WATCH_FILE = "watching"
"""File in the run's folder that a page touches every second while it shows the cars."""
RING_FILE = "live.ring"
"""File in the run's folder with the newest frames."""
WATCH_S = 4.0
"""Wall-clock time after the last touch for which a training still writes frames [s]."""
FRAME_RATE_HZ = 15.0
"""Mean number of frames a second, that of control steps."""
BURST_FRAMES = 30
"""Frames that are written of consecutive steps, to be shown while the policy learns."""
RING_FRAMES = 64
"""Largest number of frames in the file."""
MAX_RING_BYTES = 64_000_000
"""Size of the largest file, which holds fewer frames if each is large."""
POSE = np.dtype((np.float32, 4))
"""A car's place: x and y [m], heading [rad], and the track's index in the config."""


def car_poses(env: RacerVectorEnv) -> np.ndarray:
    """Return where each car is: x and y [m], heading [rad] and the track's index, (n, 4)."""
    state = env.race.world.state
    poses = np.empty((env.num_envs, 4), np.float32)
    poses[:, :2], poses[:, 2], poses[:, 3] = state.xy, state.yaw, env.race.road.track
    return poses


def frame_dtype(config: RunConfig) -> np.dtype:
    """Return the layout of a frame: all cars' places, and what the first car's sensors see.

    The fields are `number`, counted from 1; `when`, the time of the clock [s]; `steps`, the control
    steps trained so far; `poses` (num_envs, 4), see `car_poses`; an observation by each sensor's
    name; and `check`, which equals `number` in a frame that is written completely.
    """
    seen = [(one.name, one.space.dtype, one.space.shape) for one in config.sensor]
    return np.dtype(
        [
            ("number", np.int64),
            ("when", np.float64),
            ("steps", np.int64),
            ("poses", np.float32, (config.num_envs, 4)),
            *seen,
            ("check", np.int64),
        ],
        align=True,
    )


def ring_length(layout: np.dtype) -> int:
    """Return the number of frames in the file."""
    return int(np.clip(MAX_RING_BYTES // layout.itemsize, 2, RING_FRAMES))


class LiveFrameWriter:
    """Writes frames while somebody watches; the file is made when somebody first does.

    Args:
        folder: The run's folder.
        config: The run's config.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self._watched, self._path = folder / WATCH_FILE, folder / RING_FILE
        self._layout = frame_dtype(config)
        self._ring: np.ndarray | None = None
        self._count, self._budget, self._filled = 0, float(BURST_FRAMES), 0.0

    def is_watched(self) -> bool:
        """Return whether somebody watches."""
        try:
            return abs(time.time() - self._watched.stat().st_mtime) < WATCH_S
        except OSError:
            return False

    def is_due(self) -> bool:
        """Return whether the next step's frame is to be written; then count it."""
        now = time.monotonic()
        self._budget = min(self._budget + FRAME_RATE_HZ * (now - self._filled), float(BURST_FRAMES))
        self._filled = now
        if self._budget < 1.0:
            return False
        self._budget -= 1.0
        return True

    def write(self, poses: np.ndarray, seen: Observations, steps: int) -> None:
        """Write a frame.

        Args:
            poses: The places of all cars, (n, 4).
            seen: Their observations, each array (n, ...), of which the first car's is written.
            steps: Control steps trained so far.

        Raises:
            OSError: The file cannot be written.
        """
        if self._ring is None:
            shape = (ring_length(self._layout),)
            self._ring = np.memmap(self._path, self._layout, "w+", shape=shape)
        self._count += 1
        frame = self._ring[self._count % len(self._ring)]
        frame["number"] = self._count
        frame["when"], frame["steps"], frame["poses"] = time.time(), steps, poses
        each = seen if isinstance(seen, Mapping) else {self._sensor: seen}
        for name, values in each.items():
            frame[name] = values[0]
        frame["check"] = self._count

    @property
    def _sensor(self) -> str:
        """The name of the only sensor."""
        return list(self._layout.names or ())[-2]

    def close(self) -> None:
        """Delete the file."""
        self._ring = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class LiveFrameReader:
    """Reads the frames that a training writes, each once.

    Args:
        folder: The run's folder.
        config: The run's config.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self._watched, self._path = folder / WATCH_FILE, folder / RING_FILE
        self._layout = frame_dtype(config)
        self._last = 0.0

    def watch(self) -> None:
        """Let the training write frames for the next seconds.

        Raises:
            RunError: The run's folder cannot be written.
        """
        try:
            self._watched.touch()
        except OSError as problem:
            raise RunError(f"{self._watched}: cannot be written: {problem.strerror}") from problem

    def read(self) -> list[np.ndarray]:
        """Return the frames that are new, the oldest first; see `frame_dtype`."""
        size = ring_length(self._layout) * self._layout.itemsize
        try:
            if os.path.getsize(self._path) != size:
                return []
            ring = np.memmap(self._path, self._layout, "r")
        except (OSError, ValueError):
            return []
        is_new = (ring["when"] > self._last) & (ring["number"] == ring["check"])
        found = [(int(ring["number"][k]), ring[k].copy()) for k in np.flatnonzero(is_new)]
        # Frames that were written over while they were copied are left out.
        whole = [one for number, one in found if one["number"] == one["check"] == number]
        whole.sort(key=lambda one: int(one["number"]))
        if whole:
            self._last = max(float(one["when"]) for one in whole)
        return whole
