"""The segments of lines, sorted into the square cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class SegmentGrid(NamedTuple):
    """The segments that are in, or near, each cell of a grid."""

    segments: np.ndarray
    """Both ends x y x y [m] of the segments in each cell, cell after cell, (m, 4)."""
    start: np.ndarray
    """Index of each cell's first segment, row after row, and last m, (rows * columns + 1,)
    int64."""
    origin: np.ndarray
    """The corner of smallest x and y [m], (2,)."""
    rows: int
    columns: int


def segment_grid(rings: Sequence[np.ndarray], cell: float, padding: float) -> SegmentGrid:
    """Return the segments of closed rings of points (N, 2) [m] in a grid; empty without rings.

    Args:
        rings: The rings.
        cell: Side of a cell [m].
        padding: A segment is also in the cells that it misses by up to this [m].
    """
    if not rings:
        return SegmentGrid(np.zeros((0, 4)), np.zeros(1, dtype=np.int64), np.zeros(2), 0, 0)
    segments = np.concatenate([np.hstack([ring, np.roll(ring, -1, axis=0)]) for ring in rings])
    ends = segments.reshape(-1, 2, 2)
    origin = ends.min(axis=(0, 1)) - max(cell, padding)
    low = np.floor((ends.min(axis=1) - origin - padding) / cell).astype(int)
    high = np.floor((ends.max(axis=1) - origin + padding) / cell).astype(int)
    columns, rows = (high.max(axis=0) + 2).tolist()
    cells: list[list[int]] = [[] for _ in range(rows * columns)]
    for k, ((x0, y0), (x1, y1)) in enumerate(zip(low.tolist(), high.tolist())):
        for row in range(y0, y1 + 1):
            for column in range(x0, x1 + 1):
                cells[row * columns + column].append(k)
    start = np.concatenate([[0], np.cumsum([len(inside) for inside in cells])])
    flat = segments[np.array([k for inside in cells for k in inside], dtype=int)]
    return SegmentGrid(flat, start, origin, rows, columns)
