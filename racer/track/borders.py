"""Borders beside a centre line, and the checks that three rings of points make a road."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline
from shapely import contains_xy
from shapely.geometry import LinearRing, Polygon

from racer.errors import TrackError
from racer.track.geometry import Track, signed_area

WIDTH_RANGE_M = (0.2, 20.0)
"""Smallest and largest width of a road [m]."""

MAX_COORDINATE_M = 90.0
"""Largest x or y that a point of a centre line may have, to either side of the origin [m]."""

SAME_POINT_STEP_SHARE = 1e-6
"""Points closer to each other than this share of the median step are the same point."""

SHORT_STEP_SHARE = 0.01
"""A step shorter than this share of the median step is too short to have a direction."""


def step_lengths(line: np.ndarray) -> np.ndarray:
    """Return the distance from each point of a closed line (N, 2) to the next, (N,)."""
    return np.hypot(*(np.roll(line, -1, axis=0) - line).T)


def periodic_spline(line: np.ndarray, values: np.ndarray) -> CubicSpline:
    """Return a periodic cubic spline through a closed line's values.

    Args:
        line: Points of the line, (N, 2); the spline's parameter is the length of its chords.
        values: A value at each point, (N, ...).
    """
    knots = np.concatenate([[0.0], np.cumsum(step_lengths(line))])
    return CubicSpline(knots, np.concatenate([values, values[:1]]), bc_type="periodic")


def distinct_points(line: np.ndarray, place: Callable[[int], str]) -> np.ndarray:
    """Return the indices of the points of a closed line that differ from the one before.

    A point that repeats the one before is left out, as in DeepRacer's loader, and so are points at
    the end that repeat the first.

    Args:
        line: N points (N, 2), in any unit.
        place: Returns what a message calls point i.

    Returns:
        Indices of the points that stay, (M,).

    Raises:
        TrackError: Two points are almost the same, and the line turns back between them.
    """
    step = np.roll(step_lengths(line), 1)
    nonzero = step[step > 0.0]
    if not nonzero.size:
        return np.zeros(1, dtype=int)
    usual = float(np.median(nonzero))
    is_new = step > SAME_POINT_STEP_SHARE * usual
    is_new[0] = True
    kept = np.flatnonzero(is_new)
    while len(kept) > 1 and np.hypot(*(line[kept[-1]] - line[0])) <= SHORT_STEP_SHARE * usual:
        kept = kept[:-1]
    _refuse_turning_back(line, kept, usual, place)
    return kept


def _refuse_turning_back(
    line: np.ndarray, kept: np.ndarray, usual: float, place: Callable[[int], str]
) -> None:
    """Raise TrackError if a step too short to have a direction points backwards."""
    ring = line[kept]
    step = np.roll(ring, -1, axis=0) - ring
    around = np.roll(ring, -2, axis=0) - np.roll(ring, 1, axis=0)
    length, span = np.hypot(*step.T), np.hypot(*around.T)
    # More than 60 degrees off the direction from the point before the step to the one after it.
    is_back = (step * around).sum(axis=1) < 0.5 * length * span
    for i in np.flatnonzero((length < SHORT_STEP_SHARE * usual) & is_back)[:1]:
        x, y = ring[i]
        pair = f"{place(int(kept[i]))} and {place(int(kept[(i + 1) % len(kept)]))}"
        raise TrackError(
            f"{pair}, at ({x:g}, {y:g}), are almost the same point: {length[i]:.2g} apart, where "
            f"{usual:.2g} is usual, and the line turns back between them; remove one of the two"
        )


def borders_of_line(
    line: CubicSpline, u: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two borders beside a smooth line.

    Args:
        line: The line, from a parameter to (x, y) [m].
        u: Parameters of N of its points, (N,).
        left: Width of the road to the left of each [m], (N,).
        right: Width of the road to the right of each [m], (N,).

    Returns:
        The left and the right border [m], each (N, 2). Inside a bend whose radius is smaller than
        the width on that side, the border has a loop.
    """
    centre, tangent = line(u), line(u, 1)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / np.hypot(*tangent.T)[:, None]
    return centre + left[:, None] * normal, centre - right[:, None] * normal


def refuse_a_fold(line: CubicSpline, u: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Raise TrackError if `borders_of_line` would return a border with a loop.

    Args:
        line: The line, from a parameter to (x, y) [m].
        u: Parameters of N of its points, (N,).
        left: Width of the road to the left of each [m], (N,).
        right: Width of the road to the right of each [m], (N,).
    """
    tangent, second = line(u, 1), line(u, 2)
    speed = np.hypot(*tangent.T)
    curvature = (tangent[:, 0] * second[:, 1] - tangent[:, 1] * second[:, 0]) / speed**3
    fold = np.where(curvature > 0.0, left, right) * np.abs(curvature)
    worst = int(fold.argmax())
    if fold[worst] >= 1.0:
        x, y = line(u[worst])
        raise TrackError(
            f"its inner border folds at ({x:.2f}, {y:.2f}): half width x curvature is "
            f"{fold[worst]:.2f}, must be below 1; widen the bend or narrow the road"
        )


def check_track(track: Track) -> Track:
    """Return the track itself if it is a road that can be driven.

    Raises:
        TrackError: It is too far from the origin, too narrow or too wide, or one of its lines
            crosses itself or another.
    """
    rings = {"centre line": track.centre, "left border": track.left, "right border": track.right}
    _refuse_distance(rings)
    for at in (int(track.width.argmin()), int(track.width.argmax())):
        if not WIDTH_RANGE_M[0] - 1e-6 <= track.width[at] <= WIDTH_RANGE_M[1] + 1e-6:
            x, y = track.centre[at]
            raise TrackError(
                f"its road is {track.width[at]:.3g} m wide at ({x:.2f}, {y:.2f}); "
                f"{WIDTH_RANGE_M[0]:g}-{WIDTH_RANGE_M[1]:g} m is allowed: `racer tracks import "
                "FILE` gives it another width with --width METRES, or another scale with "
                "--length METRES"
            )
    centre, left, right = (LinearRing(ring) for ring in rings.values())
    for name, ring in zip(rings, (centre, left, right)):
        if not ring.is_simple:
            raise TrackError(f"its {name} crosses itself; narrow the road or move its points")
    if left.intersects(right):
        raise TrackError("its borders cross each other: two parts of the road overlap")
    inner, outer = sorted((track.left, track.right), key=lambda ring: abs(signed_area(ring)))
    if not contains_xy(Polygon(outer), *inner[0]):
        raise TrackError("its borders lie beside each other; one must go around the other")
    is_outside = ~track.on_road(track.centre)
    if is_outside.any() or centre.intersects(left) or centre.intersects(right):
        x, y = track.centre[int(is_outside.argmax())]
        where = f" at ({x:.2f}, {y:.2f})" if is_outside.any() else ""
        raise TrackError(f"its centre line leaves the road{where}; it must lie between the borders")
    return track


def _refuse_distance(rings: dict[str, np.ndarray]) -> None:
    """Raise TrackError if one of the named rings lies too far from the origin."""
    for name, ring in rings.items():
        farthest = float(np.abs(ring).max())
        allowed = MAX_COORDINATE_M if name == "centre line" else MAX_COORDINATE_M + WIDTH_RANGE_M[1]
        if farthest > allowed:
            raise TrackError(
                f"its {name} goes {farthest:,.0f} m from the origin along an axis; {allowed:g} m "
                "is allowed: scale it with `racer tracks import FILE --length METRES`"
            )
