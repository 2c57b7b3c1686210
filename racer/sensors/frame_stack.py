"""The frame stack: the last frames of a reader, some of which may be dropped."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
from gymnasium import spaces

from racer.sensors.counter_rng import draw_events
from racer.sensors.sensor_input import FrameReader, SensorInput
from racer.snapshot import restore_snapshot, take_snapshot

FRAME_STACK_STATE = ("_frame", "_new", "_last")
"""The attributes that change from frame to frame."""


class FrameStack:
    """A sensor that shows the last `stack` frames of a reader, the oldest first.

    Frames (H, W, C) are joined along their channels, vectors end to end. A car's first frame of an
    episode fills its whole stack. A dropped frame is replaced by the one before it; the first frame
    of an episode is never dropped.

    Args:
        reader: Takes the frames.
        name: The sensor's name; the drops of each name are drawn independently.
        stack: Number of frames in an observation.
        n: Number of cars.
    """

    def __init__(self, reader: FrameReader, name: str, stack: int, n: int) -> None:
        self._reader, self._stack = reader, stack
        self._place = crc32(name.encode())
        self._frame, self._seed = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.uint64)
        self._chance, self._is_dropped = np.zeros(n), np.zeros(n, dtype=bool)
        self._drops = False
        self._new = self._last = np.zeros(0)
        space = reader.space
        low, high = (np.concatenate([end] * stack, axis=-1) for end in (space.low, space.high))
        dtype: type = low.dtype.type
        self.space = spaces.Box(low, high, dtype=dtype)

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        self._frame[cars] = 0
        self._seed[cars] = draws["seed"][cars]
        self._chance[cars] = draws["dropped_frames"][cars]
        self._drops = bool(self._chance.any())
        self._reader.start(cars, draws)

    def get_state(self) -> dict[str, Any]:
        """See `Sensor.get_state`."""
        return {
            "frames": take_snapshot(self, FRAME_STACK_STATE),
            "reader": self._reader.get_state(),
        }

    def set_state(self, state: dict[str, Any], draws: np.ndarray) -> None:
        """See `Sensor.set_state`."""
        self.start(np.arange(len(self._frame)), draws)
        restore_snapshot(self, state["frames"])
        self._reader.set_state(state["reader"])

    def observe(self, inputs: SensorInput, cars: np.ndarray, out: np.ndarray) -> None:
        """See `Sensor.observe`."""
        if self._stack == 1 and not self._drops:
            self._reader.read(inputs, cars, self._frame, out)
        else:
            self._remember(inputs, cars, out)
        self._frame[cars] += 1

    def _remember(self, inputs: SensorInput, cars: np.ndarray, out: np.ndarray) -> None:
        """Read a frame unless it is dropped, push it onto the stack, and fill rows of `out`."""
        space = self._reader.space
        if not self._new.size:  # Allocated late: most sensors neither stack nor drop frames.
            self._new = np.zeros((len(self._frame), *space.shape), dtype=space.dtype)
            self._last = np.zeros((len(self._frame), self._stack, *space.shape), dtype=space.dtype)
        draw_events(cars, self._seed, self._frame, self._place, self._chance, self._is_dropped)
        fresh = cars[~self._is_dropped[cars] | (self._frame[cars] == 0)]
        if len(fresh):
            self._reader.read(inputs, fresh, self._frame, self._new)
        first = cars[self._frame[cars] == 0]
        self._last[first] = self._new[first, None]
        self._last[cars, :-1] = self._last[cars, 1:]
        self._last[cars, -1] = self._new[cars]
        out[cars] = np.concatenate([self._last[cars, k] for k in range(self._stack)], axis=-1)
