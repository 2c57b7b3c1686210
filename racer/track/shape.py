"""What makes three rings of points a road: borders beside a line, and what is refused."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from shapely import contains_xy
from shapely.geometry import LinearRing, Polygon

from racer.errors import TrackError
from racer.track.geometry import Track, signed_area

WIDTHS = (0.2, 20.0)
"""Least and greatest width of a road [m]."""

REACH = 90.0
"""Farthest a point of a line may lie from the origin along either axis [m]."""

TOUCH = 1e-6
"""Points nearer to each other than this [m] are one point."""


def steps(line: np.ndarray) -> np.ndarray:
    """Distance from each point of a closed line (N, 2) to the next, (N,)."""
    return np.hypot(*(np.roll(line, -1, axis=0) - line).T)


def periodic(line: np.ndarray, values: np.ndarray) -> CubicSpline:
    """A periodic cubic spline of values (N, ...) over the distance along a closed line's chords."""
    knots = np.concatenate([[0.0], np.cumsum(steps(line))])
    return CubicSpline(knots, np.concatenate([values, values[:1]]), bc_type="periodic")


def borders(
    line: CubicSpline, u: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The two borders beside a smooth line.

    Args:
        line: The line, from a parameter to (x, y) [m].
        u: Parameters of N points of it.
        left: Road to the left of each [m], (N,).
        right: Road to the right of each [m], (N,).

    Returns:
        The left and the right border [m], each (N, 2).

    Raises:
        TrackError: The line bends so tightly that the inner border folds.
    """
    centre, tangent, second = line(u), line(u, 1), line(u, 2)
    speed = np.hypot(*tangent.T)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / speed[:, None]
    curvature = (tangent[:, 0] * second[:, 1] - tangent[:, 1] * second[:, 0]) / speed**3
    fold = np.where(curvature > 0.0, left, right) * np.abs(curvature)
    worst = int(fold.argmax())
    if fold[worst] >= 1.0:
        x, y = centre[worst]
        raise TrackError(
            f"its inner border folds at ({x:.2f}, {y:.2f}): half width x curvature is "
            f"{fold[worst]:.2f}, must be below 1; widen the bend or narrow the road"
        )
    return centre + left[:, None] * normal, centre - right[:, None] * normal


def refuse_a_point_twice(line: np.ndarray, what: str = "point") -> None:
    """Refuse a closed line (N, 2) on which a point follows itself."""
    step = steps(line)
    if step.min() < TOUCH:
        x, y = line[int(step.argmin())]
        raise TrackError(f"the {what} ({x:g}, {y:g}) stands twice in a row; drop one")


def checked(track: Track) -> Track:
    """The track itself, where it is a road.

    Raises:
        TrackError: It is out of reach, too narrow or too wide, or a line crosses itself or another.
    """
    rings = {"centre line": track.centre, "left border": track.left, "right border": track.right}
    _refuse_distance(rings)
    refuse_a_point_twice(track.centre)
    for at in (int(track.width.argmin()), int(track.width.argmax())):
        if not WIDTHS[0] - TOUCH <= track.width[at] <= WIDTHS[1] + TOUCH:
            x, y = track.centre[at]
            raise TrackError(
                f"its road is {track.width[at]:.3g} m wide at ({x:.2f}, {y:.2f}); "
                f"{WIDTHS[0]:g}-{WIDTHS[1]:g} m is allowed"
            )
    centre, left, right = (LinearRing(ring) for ring in rings.values())
    for what, ring in zip(rings, (centre, left, right)):
        if not ring.is_simple:
            raise TrackError(f"its {what} crosses itself; narrow it or move its points")
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
    for what, ring in rings.items():
        farthest = float(np.abs(ring).max())
        allowed = REACH if what == "centre line" else REACH + WIDTHS[1]
        if farthest > allowed:
            raise TrackError(
                f"its {what} goes {farthest:,.0f} m from the origin along an axis; {allowed:g} m is "
                "allowed: scale it with `racer tracks import FILE --length METRES`"
            )
