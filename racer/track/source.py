"""A track file: control points and a width in YAML, fitted and checked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator
from scipy.interpolate import CubicSpline
from shapely.geometry import LinearRing

from racer import assets
from racer.assets.document import Document, read
from racer.errors import TrackError
from racer.track.geometry import Track, signed_area

SPACING = 0.1
"""Distance between the points of a fitted track [m], about."""

REACH = 90.0
"""Farthest a control point may lie from the origin along either axis [m]."""

Point = tuple[float, float]


class TrackFile(Document):
    """What a person writes in `tracks/<name>.yaml`."""

    name: str = Field(description="what the track is called", min_length=1, max_length=60)
    description: str = Field(default="", description="one line of prose")
    direction: Literal["counterclockwise", "clockwise"] = Field(
        default="counterclockwise", description="how it is driven; the points may run either way"
    )
    width: float | list[float] = Field(description="road width [m], 0.2-20, or one a control point")
    control_points: list[Point] = Field(
        min_length=4, description="points [m] a smooth line goes through; the first is the start"
    )

    @field_validator("width", mode="before")
    @classmethod
    def _width_is_drivable(cls, width: object) -> object:
        widths = width if isinstance(width, list) else [width]
        if not widths or not all(isinstance(w, (int, float)) and 0.2 <= w <= 20.0 for w in widths):
            raise ValueError("each width must be a number in 0.2-20 m")
        return width

    @field_validator("control_points")
    @classmethod
    def _points_are_in_reach(cls, points: list[Point]) -> list[Point]:
        if any(abs(x) > REACH or abs(y) > REACH for x, y in points):
            raise ValueError(f"each point must lie within {REACH:g} m of the origin along x and y")
        return points


def load_track(name: str) -> Track:
    """The track that a person means: a shipped name or the path of a YAML file.

    Raises:
        TrackError: There is no such track, or it cannot be driven; the message says why.
    """
    path = assets.find(name, "tracks", TrackError)
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _load(path: Path, _changed: int) -> Track:
    file = read(path, TrackFile, TrackError)
    try:
        return fit(file)
    except TrackError as problem:
        raise TrackError(f"{path}: {problem}") from None


def fit(file: TrackFile) -> Track:
    """A periodic cubic spline through the control points, resampled evenly, with its borders.

    Raises:
        TrackError: The widths do not match, or a border folds or crosses itself.
    """
    points = np.array(file.control_points)
    widths = np.atleast_1d(np.array(file.width, dtype=float))
    if widths.size not in (1, len(points)):
        raise TrackError(
            f"{widths.size} widths for {len(points)} control points; give one, or one a point"
        )
    widths = np.broadcast_to(widths, len(points))
    if (signed_area(points) < 0) != (file.direction == "clockwise"):
        order = np.concatenate([[0], np.arange(len(points) - 1, 0, -1)])
        points, widths = points[order], widths[order]

    loop = np.vstack([points, points[:1]])
    chord = np.hypot(*np.diff(loop, axis=0).T)
    if chord.min() < 1e-6:
        x, y = points[int(chord.argmin())]
        raise TrackError(f"the control point ({x:g}, {y:g}) stands twice in a row; drop one")
    knots = np.concatenate([[0.0], np.cumsum(chord)])
    line = CubicSpline(knots, loop, bc_type="periodic")
    half = CubicSpline(knots, np.append(widths, widths[0]) / 2, bc_type="periodic")

    u = _even(line, knots[-1])
    centre, tangent = line(u), line(u, 1)
    speed = np.hypot(*tangent.T)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / speed[:, None]
    second = line(u, 2)
    curvature = (tangent[:, 0] * second[:, 1] - tangent[:, 1] * second[:, 0]) / speed**3
    _refuse_a_fold(half(u) * np.abs(curvature), centre)
    left, right = centre + half(u)[:, None] * normal, centre - half(u)[:, None] * normal
    for side, ring in (("left", left), ("right", right)):
        if not LinearRing(ring).is_simple:
            raise TrackError(f"its {side} border crosses itself; narrow it or move its points")
    if LinearRing(left).intersects(LinearRing(right)):
        raise TrackError("its borders cross each other: two parts of the road overlap")
    return Track(file.name, file.description, centre, left, right)


def _even(line: CubicSpline, end: float) -> np.ndarray:
    """Parameters of the points that lie evenly along the line."""
    fine = np.linspace(0.0, end, 20_001)
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line(fine), axis=0).T))])
    count = max(round(s[-1] / SPACING), 16)
    return np.interp(np.arange(count) * s[-1] / count, s, fine)


def _refuse_a_fold(fold: np.ndarray, centre: np.ndarray) -> None:
    worst = int(fold.argmax())
    if fold[worst] >= 1.0:
        x, y = centre[worst]
        raise TrackError(
            f"its inner border folds at ({x:.2f}, {y:.2f}): half width x curvature is "
            f"{fold[worst]:.2f}, must be below 1; widen the bend or narrow the road"
        )
