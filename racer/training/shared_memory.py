"""What n cars see and do, as arrays in memory that several processes share."""

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
"""Each array begins at a multiple of so many bytes, a line of cache."""


class ArrayField(NamedTuple):
    """Where one array lies."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


class MemoryLayout(NamedTuple):
    """Where each array lies in a block, by its name, and how large the block is."""

    fields: dict[str, ArrayField]
    size: int


class SharedArrays(NamedTuple):
    """Arrays (n, ...) of n cars."""

    seen: Observations
    """What they see."""
    last: Observations
    """What they saw at the end of their episodes; of cars that are done."""
    actions: np.ndarray
    rewards: np.ndarray
    done: np.ndarray
    truncated: np.ndarray


def memory_layout(space: spaces.Space, action_space: spaces.Space, n: int) -> MemoryLayout:
    """Room for n cars of a single car's observation and action spaces."""
    boxes: Mapping[str, Any] = (
        space if isinstance(space, spaces.Dict) else {OBSERVATION_INPUT: space}
    )
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {
        "actions": ((n, *(action_space.shape or ())), action_space.dtype),
        "rewards": ((n,), np.dtype(np.float32)),
        "done": ((n,), np.dtype(bool)),
        "truncated": ((n,), np.dtype(bool)),
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
    """Zeroed memory for a layout, which goes when its last process does.

    Args:
        layout: What it must hold.
        context: That of `multiprocessing` by which the other processes are started.

    Raises:
        RunError: This machine has no such memory, or too little of it.
    """
    try:
        return context.RawArray(ctypes.c_uint8, layout.size)
    except OSError as problem:
        raise RunError(
            f"the workers need {layout.size / 1e6:.1f} MB of shared memory, and there is none: "
            f"{problem}; make /dev/shm writable, or train without workers: --workers 1"
        ) from problem


def shared_arrays(layout: MemoryLayout, block: ctypes.Array, first: int, last: int) -> SharedArrays:
    """The rows of cars `first` to before `last` in a block; whoever writes there, all see."""
    whole = np.frombuffer(memoryview(block), np.uint8)
    rows = {}
    for name, (offset, shape, dtype) in layout.fields.items():
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        rows[name] = whole[offset : offset + size].view(dtype).reshape(shape)[first:last]
    plain = {name: values for name, values in rows.items() if "/" not in name}
    return SharedArrays(seen=_sensors(rows, "seen"), last=_sensors(rows, "last"), **plain)


def copy_into(values: Observations, into: Observations) -> None:
    """Copy observations into arrays of the same shapes."""
    if isinstance(values, dict) and isinstance(into, dict):
        for name, rows in into.items():
            rows[:] = values[name]
    else:
        into[:] = values  # pyright: ignore[reportArgumentType, reportCallIssue]


def _sensors(rows: dict[str, np.ndarray], when: str) -> Observations:
    found = {name.partition("/")[2]: rows[name] for name in rows if name.startswith(f"{when}/")}
    return found.get(OBSERVATION_INPUT, found)
