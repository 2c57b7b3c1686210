"""How far a car may move before it could touch anything: a lower bound that costs little.

Seen from above, circles along the body's axis enclose the car, and grow as it tilts. Walls are a
grid of distances, boxes are circles. Where these circles could touch a wall, the distance of the
body's outline from the wall's segments decides. A bound that is too low only hands a car to Bullet
early.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from racer.track.nearest_point import nearest_on_line, segment_boxes
from racer.track.segment_grid import segment_grid

CONTACT_SHARE, CONTACT_SPARE_M = 0.02, 0.002
"""Bullet makes contact points for a car from this share of its body's half diagonal and 0.001 m
(the margin of a mesh) on, between the places that bodies have at the beginning of a physics step.
Measured: up to 0.0046 m for `deepracer` and 0.0074 m for `f1tenth`. A car nearer to a solid than
the share and the spare length [m] is Bullet's."""
FINEST_CELL_M = 0.0125
"""Cell of the grid of distances to walls [m], on tracks up to some 12 m x 12 m."""
MAX_CELLS = 1_000_000
"""A larger track has larger cells, so that its grid has no more than these."""
GRID_PADDING_M = 0.5
"""How far the grid reaches beyond the walls [m]; a car outside it is Bullet's."""
EXACT_RANGE_M = 0.3
"""Up to this distance from a wall the distances are exact [m]; further off, a cell too short."""


SEGMENT_RANGE_M = 0.1
"""Up to this distance from a car's outline the walls' segments are looked at [m]."""
MOST_TILT = 0.5
"""The outline of a car that is tilted more, by this sine, is not looked at."""
SEGMENT_CELL_M = 0.25
"""Cell of the grid of the walls' segments [m]."""


class WallDistances(NamedTuple):
    """Distances to the walls of each set, in one flat array."""

    distance: np.ndarray
    """Lower bound of the distance from the centre of a cell to the walls [m], (cells,) float32."""
    frame: np.ndarray
    """Of each set: x and y of the grid's corner, and the length of its cells [m], (sets, 3)."""
    shape: np.ndarray
    """Of each set: its rows, its columns and the index of its first cell, (sets, 3) int."""


class NearSegments(NamedTuple):
    """The segments of the walls of each set that a car in a cell could be near, in flat arrays."""

    ends: np.ndarray
    """x y x y of both ends [m] of the segments in each cell, cell after cell, (m, 4)."""
    start: np.ndarray
    """Index of each cell's first segment, set after set, and last m, (cells + 1,) int."""
    origin: np.ndarray
    """Of each set: x and y of the grid's corner [m], (sets, 2)."""
    shape: np.ndarray
    """Of each set: its rows, its columns and the index of its first cell, (sets, 3) int."""
    reach: float
    """What is not listed in a cell is further from all its points than this [m]."""


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
    half_width: float
    """Half of its width [m]."""
    half_height: float
    """Half of its height [m]."""
    half_diagonal: float
    """Distance from its centre to a corner [m]."""
    margin: float
    """A car nearer to a solid than this [m] is Bullet's."""
    top: float
    """Height of the highest solid [m]; a car that waits high above the road touches none."""
    walls: WallDistances
    segments: NearSegments
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


def contact_margin(half_diagonal: float) -> float:
    """Return how near to a solid a body of some half diagonal [m] is Bullet's [m]."""
    return CONTACT_SHARE * half_diagonal + CONTACT_SPARE_M


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


def near_segments(sets: Sequence[Sequence[np.ndarray]], reach: float) -> NearSegments:
    """Return the segments of sets of closed walls, rings of points (N, 2) [m].

    Args:
        sets: The walls.
        reach: How far from a point its segments are listed [m].
    """
    grids = [segment_grid(rings, SEGMENT_CELL_M, reach) for rings in sets]
    starts, shapes, first, cells = [np.zeros(0, dtype=np.int64)], [], 0, 0
    for grid in grids:
        starts.append(first + grid.start[:-1])
        shapes.append((grid.rows, grid.columns, cells))
        first, cells = first + len(grid.segments), cells + grid.rows * grid.columns
    return NearSegments(
        np.concatenate([np.zeros((0, 4)), *(grid.segments for grid in grids)]),
        np.concatenate([*starts, [first]]),
        np.array([grid.origin for grid in grids]).reshape(-1, 2),
        np.array(shapes, dtype=np.int64).reshape(-1, 3),
        reach,
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
    to_walls = to_boxes = np.inf
    for k in range(solids.circles):
        ahead = (k - 0.5 * (solids.circles - 1)) * solids.spacing
        px, py = place[0] + ahead * ahead_x, place[1] + ahead * ahead_y
        if solids.walls.frame.shape[0] > 0:
            to_walls = min(to_walls, _wall_distance(solids.walls, solids.walled_in[car], px, py))
        for box in range(solids.boxes.shape[1]):
            bx = solids.boxes[group, box, 0] + share * solids.box_change[group, box, 0]
            by = solids.boxes[group, box, 1] + share * solids.box_change[group, box, 1]
            to_boxes = min(to_boxes, math.hypot(px - bx, py - by) - solids.box_radius)
    to_walls -= solids.radius + solids.half_height * tilt
    if to_walls <= solids.margin and tilt < MOST_TILT:
        # The outline is a rectangle but for what the tilt adds.
        growth = tilt * (solids.half_height + tilt * (solids.half_length + 2.0 * solids.half_width))
        level = math.hypot(ahead_x, ahead_y)
        to_walls = _gap_to_walls(solids, car, place, ahead_x / level, ahead_y / level) - growth
    free = min(to_walls, to_boxes - solids.radius - solids.half_height * tilt)
    return max(free, place[2] - solids.top - solids.half_diagonal) - solids.margin


@njit(cache=True)
def _gap_to_walls(solids, car, place, cos, sin):
    """Return the distance of a level car's outline from the walls [m]; 0 if it cuts one.

    Args:
        solids: What cars can touch.
        car: Index of the car.
        place: Its centre of mass [m], x y z.
        cos: Cosine of its heading.
        sin: Sine of its heading.
    """
    walls, which = solids.segments, solids.walled_in[car]
    length, width = solids.half_length, solids.half_width
    gap = walls.reach - math.hypot(length, width)
    column = math.floor((place[0] - walls.origin[which, 0]) / SEGMENT_CELL_M)
    row = math.floor((place[1] - walls.origin[which, 1]) / SEGMENT_CELL_M)
    rows, columns, first = walls.shape[which]
    if row < 0 or column < 0 or row >= rows or column >= columns:
        return gap
    cell = first + row * columns + column
    for k in range(walls.start[cell], walls.start[cell + 1]):
        ax, ay = walls.ends[k, 0] - place[0], walls.ends[k, 1] - place[1]
        bx, by = walls.ends[k, 2] - place[0], walls.ends[k, 3] - place[1]
        ax, ay = ax * cos + ay * sin, ay * cos - ax * sin
        bx, by = bx * cos + by * sin, by * cos - bx * sin
        beyond = max(min(ax, bx) - length, -max(ax, bx) - length)
        aside = max(min(ay, by) - width, -max(ay, by) - width)
        if max(beyond, aside) < gap:
            gap = min(gap, _to_rectangle(ax, ay, bx, by, length, width))
    return gap


@njit(cache=True)
def _to_rectangle(ax, ay, bx, by, length, width):
    """Return the distance from a segment a b to a rectangle around the origin; 0 if they meet.

    Args:
        ax: One end of the segment.
        ay: The same.
        bx: The other end.
        by: The same.
        length: Half of the rectangle's side along x.
        width: Half of its side along y.
    """
    dx, dy = bx - ax, by - ay
    # The part of the segment between both pairs of sides.
    enters, leaves = 0.0, 1.0
    for start, way, half in ((ax, dx, length), (ay, dy, width)):
        if way != 0.0:
            one, other = (-half - start) / way, (half - start) / way
            enters, leaves = max(enters, min(one, other)), min(leaves, max(one, other))
        elif abs(start) > half:
            leaves = -1.0
    if enters <= leaves:
        return 0.0
    nearest = min(
        math.hypot(max(abs(ax) - length, 0.0), max(abs(ay) - width, 0.0)),
        math.hypot(max(abs(bx) - length, 0.0), max(abs(by) - width, 0.0)),
    )
    for corner in range(4):
        px = (length if corner & 1 else -length) - ax
        py = (width if corner & 2 else -width) - ay
        along = min(max((px * dx + py * dy) / max(dx * dx + dy * dy, 1e-30), 0.0), 1.0)
        nearest = min(nearest, math.hypot(px - along * dx, py - along * dy))
    return nearest


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
