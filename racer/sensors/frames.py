"""The last frames of a reader: stacked, and now and then dropped."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from racer.sensors.surroundings import Reader, Surroundings


class Frames:
    """A sensor that shows the last `stack` frames of a reader, the oldest first.

    Frames (H, W, C) are joined along their channels, vectors end to end. Before a car's first
    frame of an episode there was none, so that one fills its stack.

    Args:
        reader: What takes the frames.
        stack: How many it shows.
        n: How many cars.
    """

    def __init__(self, reader: Reader, stack: int, n: int) -> None:
        self._reader, self._stack = reader, stack
        self._frame = np.zeros(n, dtype=np.int64)
        low, high = (np.concatenate([end] * stack, axis=-1) for end in _ends(reader.space))
        dtype: type = reader.space.dtype.type  # pyright: ignore[reportOptionalMemberAccess]
        self.space = spaces.Box(low, high, dtype=dtype)
        rows = n if stack > 1 else 0
        self._held = np.zeros((rows, stack, *reader.space.shape), dtype=dtype)
        self._new = np.zeros((rows, *reader.space.shape), dtype=dtype)

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        self._frame[cars] = 0
        self._reader.start(cars, draws)

    def observe(self, around: Surroundings, cars: np.ndarray, out: np.ndarray) -> None:
        """See `Sensor.observe`."""
        if self._stack == 1:
            self._reader.read(around, cars, self._frame, out)
        else:
            self._reader.read(around, cars, self._frame, self._new)
            self._push(cars)
            last = self._held[cars]
            out[cars] = np.concatenate(list(np.moveaxis(last, 1, 0)), axis=-1)
        self._frame[cars] += 1

    def _push(self, cars: np.ndarray) -> None:
        first = cars[self._frame[cars] == 0]
        self._held[first] = self._new[first, None]
        self._held[cars, :-1] = self._held[cars, 1:]
        self._held[cars, -1] = self._new[cars]


def _ends(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    return space.low, space.high
