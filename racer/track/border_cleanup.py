"""Clean borders as people draw them: without small loops inside tight bends, and without spikes."""

from __future__ import annotations

import numpy as np
from shapely.geometry import LinearRing

from racer.track.borders import step_lengths
from racer.track.geometry import signed_area

MAX_LOOP_WIDTHS = 3.0
"""A loop up to this long, in road widths, belongs to a tight bend; a longer one is part of the
road."""

MAX_KNOT_WIDTHS = 0.5
"""A loop up to this long, in road widths, is removed whichever way it turns: its points were drawn
in a wrong order."""


def clean_border(ring: np.ndarray, turn: int, width: float) -> np.ndarray:
    """Return a border without the small loops that it has inside tight bends.

    A loop shrinks to the point where it begins and ends, so that the number of points stays and
    each stays beside its point of the centre line.

    Args:
        ring: Points of the border [m], (N, 2).
        turn: The direction in which such loops turn, 1 counter-clockwise: -1 for a left border,
            whose loops lie in left-hand bends, and 1 for a right one. A loop that turns the other
            way is part of the road.
        width: Width of the road [m].

    Returns:
        Points [m], (N, 2). Where the border crosses itself in any other way, it still does.
    """
    if LinearRing(ring).is_simple:
        return ring
    ring, n = _without_spikes(ring), len(ring)
    along = np.concatenate([[0.0], np.cumsum(np.tile(step_lengths(ring), 2))])
    here = np.arange(n)
    # The most points that a loop may have. The largest loops go first: a small one inside a
    # larger one is then gone with it.
    most = int((np.searchsorted(along, along[1 : n + 1] + MAX_LOOP_WIDTHS * width) - here).max())
    for apart in range(min(most, n // 2), 1, -1):
        length = along[here + apart] - along[here + 1]
        near = here[length <= MAX_LOOP_WIDTHS * width]
        for i in near[_crosses(ring, near, apart)]:
            inside = (i + 1 + np.arange(apart)) % n
            meet = _crossing(ring, i, apart)
            if meet is None:
                continue
            area = signed_area(np.vstack([meet, ring[inside]]))
            if turn * area > 0.0 or length[i] <= MAX_KNOT_WIDTHS * width:
                ring[inside] = meet
    return ring


def _without_spikes(ring: np.ndarray) -> np.ndarray:
    """Return a copy of a closed ring without points at which the line goes straight back on itself.

    Such a point is moved onto the nearer of its two neighbours.
    """
    ring = ring.copy()
    for _ in range(len(ring)):
        before, after = np.roll(ring, 1, axis=0) - ring, np.roll(ring, -1, axis=0) - ring
        across = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        along = (before * after).sum(axis=1)
        tips = np.flatnonzero((along > 0.0) & (across <= 1e-9 * along))
        if not tips.size:
            break
        tip = tips[0]
        nearer = min(before[tip], after[tip], key=lambda way: float(np.hypot(*way)))
        ring[tip] = ring[tip] + nearer
    return ring


def _crosses(ring: np.ndarray, i: np.ndarray, apart: int) -> np.ndarray:
    """Return whether the segments from points i cross those from the points `apart` on, (M,)."""
    n = len(ring)
    a, b, c, d = (ring[(i + k) % n] for k in (0, 1, apart, apart + 1))
    sides = _side(a, b, c) * _side(a, b, d) < 0.0
    return sides & (_side(c, d, a) * _side(c, d, b) < 0.0)


def _crossing(ring: np.ndarray, i: int, apart: int) -> np.ndarray | None:
    """Return where the segment from point i crosses that from the point `apart` on, or None."""
    if not _crosses(ring, np.array([i]), apart)[0]:
        return None
    a, b, c, d = (ring[(i + k) % len(ring)] for k in (0, 1, apart, apart + 1))
    before, after = _side(c, d, a), _side(c, d, b)
    return a + (b - a) * before / (before - after)


def _side(a: np.ndarray, b: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return twice the area of a triangle, positive if the point is left of the line a to b."""
    ab, ap = b - a, point - a
    return ab[..., 0] * ap[..., 1] - ab[..., 1] * ap[..., 0]
