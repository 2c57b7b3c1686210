"""The nearest point of a closed line: on a part of it, or on all of it by a tree of boxes."""

from __future__ import annotations

import numpy as np
from numba import njit

SEGMENTS_PER_LEAF = 4
"""Segments in a box of the lowest level; the fastest of 2, 4, 8 and 16 on lines of 170-600
segments."""

BOX_SLACK = 1e-9
"""A box is skipped only if it is farther than the nearest point so far by this share and, squared,
by this distance [m]. Rounding errors are a million times smaller, so no nearer point is ever
skipped."""


def segment_boxes(line: np.ndarray) -> np.ndarray:
    """Return the bounding boxes of runs of a closed line's segments, as a binary tree.

    Args:
        line: Points [m], (N, 2).

    Returns:
        Smallest x and y, largest x and y [m], (2 L, 4) with L a power of two. Row 1 bounds the
        whole line, rows 2 k and 2 k + 1 bound the two halves of row k, and row L + j bounds the
        `SEGMENTS_PER_LEAF` segments from j x `SEGMENTS_PER_LEAF` on. A row without segments is
        infinitely far from any point; row 0 is not used.
    """
    after = np.roll(line, -1, axis=0)
    leaves = 1
    while leaves * SEGMENTS_PER_LEAF < len(line):
        leaves *= 2
    padding = ((0, leaves * SEGMENTS_PER_LEAF - len(line)), (0, 0))
    low = np.pad(np.minimum(line, after), padding, constant_values=np.inf)
    high = np.pad(np.maximum(line, after), padding, constant_values=-np.inf)
    boxes = np.empty((2 * leaves, 4))
    boxes[leaves:, :2] = low.reshape(leaves, SEGMENTS_PER_LEAF, 2).min(axis=1)
    boxes[leaves:, 2:] = high.reshape(leaves, SEGMENTS_PER_LEAF, 2).max(axis=1)
    level = leaves
    while level > 1:
        halves = boxes[level : 2 * level].reshape(-1, 2, 4)
        level //= 2
        boxes[level : 2 * level, :2] = halves[..., :2].min(axis=1)
        boxes[level : 2 * level, 2:] = halves[..., 2:].max(axis=1)
    return boxes


@njit(cache=True)
def _foot(line, i, x, y):
    """Return the nearest point of segment i: squared distance, share of the segment, side.

    The side is positive to the left of the segment.
    """
    i1 = i + 1 if i + 1 < line.shape[0] else 0
    ax, ay = line[i, 0], line[i, 1]
    ex, ey = line[i1, 0] - ax, line[i1, 1] - ay
    px, py = x - ax, y - ay
    t = (px * ex + py * ey) / (ex * ex + ey * ey)
    t = min(max(t, 0.0), 1.0)
    qx, qy = px - t * ex, py - t * ey
    return qx * qx + qy * qy, t, ex * qy - ey * qx


@njit(cache=True)
def _gap(boxes, k, x, y):
    """Return the squared distance of a point from box k, 0 inside."""
    dx = max(boxes[k, 0] - x, x - boxes[k, 2], 0.0)
    dy = max(boxes[k, 1] - y, y - boxes[k, 3], 0.0)
    return dx * dx + dy * dy


@njit(cache=True)
def nearest_on_line(line, boxes, along, xy, s, d, segment):
    """Find the nearest point of a closed line; of equally near segments the first.

    Args:
        line: Points [m], (N, 2).
        boxes: What `segment_boxes` returns for the line.
        along: Distance along the line of each point, and last the whole length [m], (N + 1,).
        xy: Points to locate [m], (M, 2).
        s: Filled with the distance along the line [m], (M,); NaN for a point that is not finite.
        d: Filled with the signed distance to the line, positive to the left [m], (M,).
        segment: Filled with the index of the nearest segment, (M,).
    """
    n, leaves = line.shape[0], boxes.shape[0] // 2
    # A depth-first search with its own stack, which holds at most one box for each level: 64 are
    # more than enough for any line.
    waiting, gaps = np.empty(64, dtype=np.int64), np.empty(64)
    for k in range(xy.shape[0]):
        x, y = xy[k, 0], xy[k, 1]
        best = np.inf
        s[k], d[k], segment[k] = np.nan, np.nan, 0
        count, waiting[0], gaps[0] = 1, 1, 0.0
        while count > 0:
            count -= 1
            node = waiting[count]
            if gaps[count] > best * (1.0 + BOX_SLACK) + BOX_SLACK * BOX_SLACK:
                continue
            if node < leaves:
                near, far = 2 * node, 2 * node + 1
                gap, gap_far = _gap(boxes, near, x, y), _gap(boxes, far, x, y)
                if gap_far < gap:
                    near, far, gap, gap_far = far, near, gap_far, gap
                # The nearer half on top, so that it is searched first and the other often skipped.
                waiting[count], gaps[count] = far, gap_far
                waiting[count + 1], gaps[count + 1] = near, gap
                count += 2
                continue
            first = (node - leaves) * SEGMENTS_PER_LEAF
            for i in range(first, min(first + SEGMENTS_PER_LEAF, n)):
                q, t, side = _foot(line, i, x, y)
                if q < best or (q == best and i < segment[k]):
                    best = q
                    segment[k] = i
                    s[k] = along[i] + t * (along[i + 1] - along[i])
                    d[k] = np.sqrt(q) if side >= 0.0 else -np.sqrt(q)
        if s[k] >= along[n]:
            s[k] = 0.0


@njit(cache=True)
def _stretch(along, middle, reach):
    """Return the segments within `reach` [m] of the segment `middle`: the first, and their number.

    The first may be negative; take it modulo the number of segments.
    """
    n = along.shape[0] - 1
    first, last = middle, middle
    back = ahead = 0.0
    while last - first + 1 < n and back <= reach:
        first -= 1
        i = first % n
        back += along[i + 1] - along[i]
    while last - first + 1 < n and ahead <= reach:
        last += 1
        i = last % n
        ahead += along[i + 1] - along[i]
    return first, last - first + 1


@njit(cache=True)
def nearest_on_stretch(line, along, xy, near, reach, s, d, segment):
    """Find the nearest point on the segments of a closed line near a known one.

    Where the nearest of them is the first or the last, the search continues from there, so that a
    car that moves further than `reach` in one step is not lost.

    Args:
        line: Points [m], (N, 2).
        along: Distance along the line of each point, and last the whole length [m], (N + 1,).
        xy: Points to locate [m], (M, 2).
        near: The segment that each search begins at, (M,).
        reach: How far along the line each search goes from there, to both sides [m].
        s: Filled with the distance along the line [m], (M,); NaN for a point that is not finite.
        d: Filled with the signed distance to the line, positive to the left [m], (M,).
        segment: Filled with the index of the nearest segment, (M,).
    """
    for k in range(xy.shape[0]):
        s[k], d[k], segment[k] = nearest_near(line, along, xy[k, 0], xy[k, 1], near[k], reach)


@njit(cache=True)
def nearest_near(line, along, x, y, near, reach):
    """Return s, d and the segment of one point; see `nearest_on_stretch`.

    Args:
        line: Points [m], (N, 2).
        along: Distance along the line of each point, and last the whole length [m], (N + 1,).
        x: The point [m].
        y: The point [m].
        near: The segment that the search begins at.
        reach: How far along the line it goes from there, to both sides [m].
    """
    n = line.shape[0]
    best, middle, share = np.inf, near % n, 0.0
    segment, aside, is_found = near, 0.0, False
    while True:
        first, count = _stretch(along, middle, reach)
        at, i = middle, first % n
        for _ in range(count):
            q, t, side = _foot(line, i, x, y)
            if q < best:
                best, share, aside, at, segment, is_found = q, t, side, i, i, True
            i = i + 1 if i + 1 < n else 0
        is_edge = at == first % n or at == (first + count - 1) % n
        if at == middle or count == n or not is_edge:
            break
        middle = at
    if not is_found:  # The point is not finite.
        return np.nan, np.nan, near
    s = along[segment] + share * (along[segment + 1] - along[segment])
    d = np.sqrt(best) if aside >= 0.0 else -np.sqrt(best)
    return (0.0 if s >= along[n] else s), d, segment


@njit(cache=True)
def _inside(ring, x, y):
    """Return whether a point lies inside a ring: an odd number of edges lies to its right."""
    inside = False
    j = ring.shape[0] - 1
    for i in range(ring.shape[0]):
        yi, yj = ring[i, 1], ring[j, 1]
        if (yi > y) != (yj > y):
            xi = ring[i, 0]
            if x < (ring[j, 0] - xi) * (y - yi) / (yj - yi) + xi:
                inside = not inside
        j = i
    return inside


@njit(cache=True)
def between_rings(left, right, xy, out):
    """Fill `out` with whether points lie between two rings.

    Args:
        left: Points of one ring [m], (N, 2).
        right: Points of the other [m], (K, 2).
        xy: Points [m], (M, 2).
        out: Filled with booleans, (M,).
    """
    for k in range(xy.shape[0]):
        out[k] = is_between_rings(left, right, xy[k, 0], xy[k, 1])


@njit(cache=True)
def is_between_rings(left, right, x, y):
    """Return whether a point lies between two rings.

    Args:
        left: Points of one ring [m], (N, 2).
        right: Points of the other [m], (K, 2).
        x: The point [m].
        y: The point [m].
    """
    return _inside(left, x, y) != _inside(right, x, y)
