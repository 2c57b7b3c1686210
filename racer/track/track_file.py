"""A track file: control points and a width in YAML, which are fitted with a spline and checked."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from pydantic import Field, field_validator
from scipy.interpolate import CubicSpline

from racer.assets.document import Document
from racer.errors import TrackError
from racer.track.borders import (
    MAX_COORDINATE_M,
    WIDTH_RANGE_M,
    borders_of_line,
    check_track,
    distinct_points,
    periodic_spline,
    refuse_a_fold,
)
from racer.track.geometry import Track, signed_area

TRACK_POINT_SPACING_M = 0.1
"""Approximate distance between the points of a fitted track [m]."""

ControlPoint = tuple[float, float]

TrackSet = Literal["train", "validation", "held-out"]
TRACK_SETS: tuple[TrackSet, ...] = get_args(TrackSet)
"""The sets of shipped tracks, in the order in which a policy should meet them."""


class TrackFile(Document):
    """The content of `tracks/<name>.yaml`."""

    name: str = Field(description="what the track is called", min_length=1, max_length=60)
    description: str = Field(default="", description="one line of prose")
    set: TrackSet | None = Field(
        default=None, description="what a shipped track is for; nothing is tuned on held-out ones"
    )
    direction: Literal["counterclockwise", "clockwise"] = Field(
        default="counterclockwise", description="how it is driven; the points may run either way"
    )
    width: float | list[float] = Field(
        description="road width [m], 0.2-20, or a list of one for each control point"
    )
    control_points: list[ControlPoint] = Field(
        min_length=4, description="points [m] a smooth line goes through; the first is the start"
    )

    @field_validator("width", mode="before")
    @classmethod
    def _width_is_drivable(cls, width: object) -> object:
        low, high = WIDTH_RANGE_M
        widths = width if isinstance(width, list) else [width]
        if not widths or not all(isinstance(w, (int, float)) and low <= w <= high for w in widths):
            raise ValueError(f"each width must be a number in {low:g}-{high:g} m")
        return width

    @field_validator("control_points")
    @classmethod
    def _points_are_in_reach(cls, points: list[ControlPoint]) -> list[ControlPoint]:
        if any(abs(x) > MAX_COORDINATE_M or abs(y) > MAX_COORDINATE_M for x, y in points):
            raise ValueError(
                f"each point must lie within {MAX_COORDINATE_M:g} m of the origin along x and y; "
                "move the points, or multiply them and the width by one factor"
            )
        return points


def fit_track(file: TrackFile) -> Track:
    """Return the track whose centre line is a periodic cubic spline through the control points.

    The line is resampled evenly, and the borders lie half a width to each side. A control point
    that repeats the one before, or at the end the first, is left out.

    Raises:
        TrackError: The number of widths does not match, or a border folds or crosses itself.
    """
    points = np.array(file.control_points)
    widths = np.atleast_1d(np.array(file.width, dtype=float))
    if widths.size not in (1, len(points)):
        raise TrackError(
            f"{widths.size} widths for {len(points)} control points; give one for all, or one for "
            "each point"
        )
    kept = distinct_points(points, lambda i: f"control point {i + 1}")
    if len(kept) < 4:
        raise TrackError(f"at least 4 different control points are needed; got {len(kept)}")
    points, widths = points[kept], np.broadcast_to(widths, len(points))[kept]
    if (signed_area(points) < 0) != (file.direction == "clockwise"):
        order = np.concatenate([[0], np.arange(len(points) - 1, 0, -1)])
        points, widths = points[order], widths[order]
    line, half = periodic_spline(points, points), periodic_spline(points, widths / 2)
    u = _even(line)
    refuse_a_fold(line, u, half(u), half(u))
    left, right = borders_of_line(line, u, half(u), half(u))
    return check_track(Track(file.name, file.description, line(u), left, right))


def _even(line: CubicSpline) -> np.ndarray:
    """Return the parameters of points spaced evenly, about `TRACK_POINT_SPACING_M` apart."""
    fine = np.linspace(0.0, line.x[-1], 20_001)
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line(fine), axis=0).T))])
    count = max(round(s[-1] / TRACK_POINT_SPACING_M), 16)
    return np.interp(np.arange(count) * s[-1] / count, s, fine)
