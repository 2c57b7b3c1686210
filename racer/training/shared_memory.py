"""Observations, actions and rewards of n cars, as arrays in memory that processes share."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from racer.errors import RunError
from racer.networks.network_config import OBSERVATION_INPUT
from racer.sensors import Observations

CACHE_LINE_BYTES = 64
"""Alignment of the arrays: the size of a processor's cache line [bytes]."""


class ArrayField(NamedTuple):
    """The place of an array in a block of memory.

    Attributes:
        offset: Its first byte in the block.
        shape: Its shape.
        dtype: Its data type, as `numpy.dtype.str`.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: str


class MemoryLayout(NamedTuple):
    """The places of all arrays in a block of memory.

    Attributes:
        fields: The place of each array by its name: `actions`, `rewards`, `done`, `truncated`,
            `poses`, and `seen/<sensor>` and `last/<sensor>` for each sensor.
        size: The size of the block [bytes].
    """

    fields: dict[str, ArrayField]
    size: int


class SharedArrays(NamedTuple):
    """Views of the arrays in a block of memory, for n cars.

    Attributes:
        seen: Current observations, each array (n, ...).
        last: Observations at the end of the last step, each array (n, ...), before cars were
            reset; only the rows of cars that are done are up to date.
        actions: Actions, (n, ...).
        rewards: Rewards, (n,) float32.
        done: Whether the episode ended in the last step, (n,) bool.
        truncated: Whether a time limit ended it, (n,) bool.
        poses: Where each car is after the step, (n, 4); see `racer.training.live_frames.car_poses`.
    """

    seen: Observations
    last: Observations
    actions: np.ndarray
    rewards: np.ndarray
    done: np.ndarray
    truncated: np.ndarray
    poses: np.ndarray


def memory_layout(space: spaces.Space, action_space: spaces.Space, n: int) -> MemoryLayout:
    """Return the places of the arrays for n cars in one block of memory.

    Args:
        space: The observation space of one car.
        action_space: The action space of one car.
        n: Number of cars.
    """
    boxes: Mapping[str, Any] = (
        space if isinstance(space, spaces.Dict) else {OBSERVATION_INPUT: space}
    )
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {
        "actions": ((n, *(action_space.shape or ())), action_space.dtype),
        "rewards": ((n,), np.dtype(np.float32)),
        "done": ((n,), np.dtype(bool)),
        "truncated": ((n,), np.dtype(bool)),
        "poses": ((n, 4), np.dtype(np.float32)),
    }
    for name, box in boxes.items():
        for when in ("seen", "last"):
            wanted[f"{when}/{name}"] = ((n, *(box.shape or ())), box.dtype)
    fields, offset = {}, 0
    for name, (shape, dtype) in wanted.items():
        fields[name] = ArrayField(offset, shape, np.dtype(dtype).str)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        offset += -(-size // CACHE_LINE_BYTES) * CACHE_LINE_BYTES
    return MemoryLayout(fields, offset)


def shared_block(layout: MemoryLayout, context: Any) -> ctypes.Array:
    """Allocate shared memory for a layout, filled with zeros.

    It is freed when the last process that uses it ends.

    Args:
        layout: The places of the arrays.
        context: The context of `multiprocessing` that starts the other processes.

    Raises:
        RunError: The machine has no shared memory, or not enough.
    """
    try:
        return context.RawArray(ctypes.c_uint8, layout.size)
    except OSError as problem:
        raise RunError(
            f"the workers need {layout.size / 1e6:.1f} MB of shared memory, and there is none: "
            f"{problem}; make /dev/shm writable, or train without workers: --workers 1"
        ) from problem


def shared_arrays(layout: MemoryLayout, block: ctypes.Array, first: int, last: int) -> SharedArrays:
    """Return views of some cars' rows in a block; every process sees what is written to them.

    Args:
        layout: The places of the arrays in the block.
        block: The shared memory.
        first: Index of the first car.
        last: Index of the car after the last one.
    """
    whole = np.frombuffer(memoryview(block), np.uint8)
    rows = {}
    for name, (offset, shape, dtype) in layout.fields.items():
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        rows[name] = whole[offset : offset + size].view(dtype).reshape(shape)[first:last]
    plain = {name: values for name, values in rows.items() if "/" not in name}
    return SharedArrays(seen=_sensors(rows, "seen"), last=_sensors(rows, "last"), **plain)


def copy_into(values: Observations, into: Observations) -> None:
    """Copy observations into arrays of the same shapes.

    Args:
        values: The observations, an array or a dict of arrays by sensor name.
        into: The arrays that are written to.
    """
    if isinstance(values, dict) and isinstance(into, dict):
        for name, rows in into.items():
            rows[:] = values[name]
    else:
        into[:] = values  # pyright: ignore[reportArgumentType, reportCallIssue]


def _sensors(rows: dict[str, np.ndarray], when: str) -> Observations:
    found = {name.partition("/")[2]: rows[name] for name in rows if name.startswith(f"{when}/")}
    return found.get(OBSERVATION_INPUT, found)
