"""How far a car may move before it could touch anything: a lower bound that costs little.

Seen from above, circles along the body's axis enclose the car, and grow as it tilts. Walls are a
grid of distances, boxes are circles. A bound that is too low only hands a car to Bullet early.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from racer.track.nearest_point import nearest_on_line, segment_boxes

CONTACT_MARGIN_M = 0.012
"""A car nearer to a solid than this [m] is Bullet's. Bullet makes contact points for bodies of this
size from 0.004 to 0.007 m (2 % of the smaller body's radius, and margins), between the places that
bodies have at the beginning of a physics step."""
FINEST_CELL_M = 0.0125
"""Cell of the grid of distances to walls [m], on tracks up to some 12 m x 12 m."""
MAX_CELLS = 1_000_000
"""A larger track has larger cells, so that its grid has no more than these."""
GRID_PADDING_M = 0.5
"""How far the grid reaches beyond the walls [m]; a car outside it is Bullet's."""
EXACT_RANGE_M = 0.3
"""Up to this distance from a wall the distances are exact [m]; further off, a cell too short."""


class WallDistances(NamedTuple):
    """Distances to the walls of each set, in one flat array."""

    distance: np.ndarray
    """Lower bound of the distance from the centre of a cell to the walls [m], (cells,) float32."""
    frame: np.ndarray
    """Of each set: x and y of the grid's corner, and the length of its cells [m], (sets, 3)."""
    shape: np.ndarray
    """Of each set: its rows, its columns and the index of its first cell, (sets, 3) int."""


class Solids(NamedTuple):
    """What n cars can touch in a control step, for the kernels."""

    is_any: bool
    """Whether there is anything to touch."""
    circles: int
    """Number of circles along each car's body."""
    spacing: float
    """Distance from one to the next [m]."""
    radius: float
    """Radius of each while the car is level [m]."""
    half_length: float
    """Half of the body's length [m]."""
    half_height: float
    """Half of its height [m]."""
    half_diagonal: float
    """Distance from its centre to a corner [m]."""
    top: float
    """Height of the highest solid [m]; a car that waits high above the road touches none."""
    walls: WallDistances
    walled_in: np.ndarray
    """The set of walls that each car meets, (n,) int."""
    boxes: np.ndarray
    """x and y of each box at the beginning [m], (groups, K, 2); a group is a car or all cars."""
    box_change: np.ndarray
    """How far each moves in the control step [m], (groups, K, 2)."""
    box_radius: float
    """Radius of a circle around a box [m]."""
    box_step: float
    """The furthest that any box moves in a physics step [m]."""


def wall_distances(sets: Sequence[Sequence[np.ndarray]]) -> WallDistances:
    """Return the distances to sets of closed walls, rings of points (N, 2) [m]."""
    # A tenth of a second that only races with walls have to spend.
    from scipy.ndimage import distance_transform_edt

    distances, frames, shapes, first = [], [], [], 0
    for rings in sets:
        points = np.vstack(rings)
        low, high = points.min(axis=0) - GRID_PADDING_M, points.max(axis=0) + GRID_PADDING_M
        cell = max(FINEST_CELL_M, math.sqrt(float(np.prod(high - low)) / MAX_CELLS))
        columns, rows = (np.ceil((high - low) / cell).astype(int) + 1).tolist()
        is_free = np.ones((rows, columns), dtype=bool)
        for ring in rings:
            column, row = np.floor((_sampled(ring, cell / 2) - low) / cell).astype(int).T
            is_free[row, column] = False
        # From centre to centre of cells: the wall and its samples lie beside these by up to 0.71
        # and 0.25 cells.
        cells = np.asarray(distance_transform_edt(is_free))
        away = np.maximum(cell * (cells - 1.0), 0.0)
        near_row, near_column = np.nonzero(away < EXACT_RANGE_M)
        centres = low + cell * (np.column_stack([near_column, near_row]) + 0.5)
        sides = [_distance_to_ring(ring, centres) for ring in rings]
        away[near_row, near_column] = np.minimum.reduce(sides)
        # Rounded down to float32, so that it stays a lower bound.
        distances.append(np.nextafter(away.astype(np.float32), np.float32(-1.0)).ravel())
        frames.append((*low.tolist(), cell))
        shapes.append((rows, columns, first))
        first += rows * columns
    return WallDistances(
        np.concatenate([np.zeros(0, np.float32), *distances]),
        np.array(frames, dtype=float).reshape(-1, 3),
        np.array(shapes, dtype=np.int64).reshape(-1, 3),
    )


def _distance_to_ring(ring: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return the distances of points (M, 2) [m] to a closed ring of points (N, 2) [m], (M,)."""
    corners = np.vstack([ring, ring[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    s, d, segment = np.empty(len(xy)), np.empty(len(xy)), np.empty(len(xy), dtype=np.int64)
    nearest_on_line(np.ascontiguousarray(ring), segment_boxes(ring), along, xy, s, d, segment)
    return np.abs(d)


def _sampled(ring: np.ndarray, step: float) -> np.ndarray:
    """Return points on a closed ring (N, 2), at most a step apart [m], (M, 2)."""
    sides = np.roll(ring, -1, axis=0) - ring
    counts = np.ceil(np.hypot(*sides.T) / step).astype(int) + 1
    start = np.repeat(np.arange(len(ring)), counts)
    share = (np.arange(len(start)) - np.repeat(np.cumsum(counts) - counts, counts)) / counts[start]
    return ring[start] + share[:, None] * sides[start]


@njit(cache=True)
def free_distance(solids, car, place, turn, share):
    """Return how far every point of a car may move before it could touch anything [m].

    Args:
        solids: What cars can touch.
        car: Index of the car.
        place: Its centre of mass [m], x y z.
        turn: Its orientation, x y z w.
        share: Share of the control step that has passed for the boxes, 0-1.
    """
    x, y, z, w = turn
    ahead_x, ahead_y = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + z * w)
    tilt = math.hypot(2.0 * (x * z + y * w), 2.0 * (y * z - x * w))
    group = min(car, solids.boxes.shape[0] - 1)
    free = np.inf
    for k in range(solids.circles):
        ahead = (k - 0.5 * (solids.circles - 1)) * solids.spacing
        px, py = place[0] + ahead * ahead_x, place[1] + ahead * ahead_y
        if solids.walls.frame.shape[0] > 0:
            free = min(free, _wall_distance(solids.walls, solids.walled_in[car], px, py))
        for box in range(solids.boxes.shape[1]):
            bx = solids.boxes[group, box, 0] + share * solids.box_change[group, box, 0]
            by = solids.boxes[group, box, 1] + share * solids.box_change[group, box, 1]
            free = min(free, math.hypot(px - bx, py - by) - solids.box_radius)
    free -= solids.radius + solids.half_height * tilt
    return max(free, place[2] - solids.top - solids.half_diagonal) - CONTACT_MARGIN_M


@njit(cache=True)
def _wall_distance(walls, which, x, y):
    """Return a lower bound of the distance from a point to a set of walls [m]; 0 off the grid."""
    cell = walls.frame[which, 2]
    across, along = (x - walls.frame[which, 0]) / cell, (y - walls.frame[which, 1]) / cell
    column, row = math.floor(across), math.floor(along)
    rows, columns, first = walls.shape[which, 0], walls.shape[which, 1], walls.shape[which, 2]
    if row < 0 or column < 0 or row >= rows or column >= columns:
        return 0.0
    aside = math.hypot(across - column - 0.5, along - row - 0.5)
    return walls.distance[first + row * columns + column] - cell * aside


@njit(cache=True)
def is_clear(solids, cars, body, margin, out):
    """Find the cars that are further than a margin from touching anything.

    Args:
        solids: What cars can touch.
        cars: Indices of the cars, (k,).
        body: Body rows of all cars, (n, 13).
        margin: How far every point of a car must be free to move [m].
        out: Filled with whether it is, (k,) bool.
    """
    for row in range(cars.shape[0]):
        i = cars[row]
        place = body[i, 0], body[i, 1], body[i, 2]
        turn = body[i, 3], body[i, 4], body[i, 5], body[i, 6]
        out[row] = free_distance(solids, i, place, turn, 1.0) > margin
