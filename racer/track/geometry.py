"""A closed track as three rings of points, and the position of a point relative to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from shapely.geometry import LinearRing

from racer.assets.notebook import html_card
from racer.track.nearest_point import (
    between_rings,
    nearest_on_line,
    nearest_on_stretch,
    segment_boxes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOCATE_WINDOW_M = 1.0
"""How far along the line from the last segment `locate(near=...)` searches, each way [m]."""


class TrackPosition(NamedTuple):
    """The position of points relative to the centre line; fields have the points' batch shape."""

    s: np.ndarray
    """Distance along the centre line from the start line [m], 0 <= s < length."""
    d: np.ndarray
    """Signed distance to the centre line [m], positive to the left of the driving direction."""
    segment: np.ndarray
    """Index of the centre-line segment that the point projects onto; pass it as `near` next
    time."""


@dataclass(frozen=True)
class Track:
    """A closed road: three rings of N points in driving order.

    The first point of a ring is not repeated at its end.

    Attributes:
        name: The name that is shown.
        description: One line of prose.
        centre: The centre line [m], shape (N, 2); the start line crosses its first point.
        left: The border left of the driving direction [m], shape (N, 2).
        right: The border right of the driving direction [m], shape (N, 2).
    """

    name: str
    description: str
    centre: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def __post_init__(self) -> None:
        for name in ("centre", "left", "right"):
            ring = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            ring.setflags(write=False)
            object.__setattr__(self, name, ring)

    def __repr__(self) -> str:
        return f"<Track {self.name}: {self.length:.1f} m long, {self._wide} m wide>"

    @property
    def _wide(self) -> str:
        """The smallest and largest width [m], as text; one number where they are equal."""
        least, most = f"{self.width.min():.2f}", f"{self.width.max():.2f}"
        return least if least == most else f"{least} to {most}"

    def _repr_html_(self) -> str:
        from racer.track.picture import road_svg

        way = "clockwise" if self.is_clockwise else "counter-clockwise"
        rows = {"length": f"{self.length:.1f} m", "width": f"{self._wide} m", "direction": way}
        about = {"about": self.description} if self.description else {}
        return html_card(self.name, rows | about, road_svg(self))

    def plot(self) -> Figure:
        """Return a figure of the road from above; a notebook displays it."""
        from racer.track.picture import track_picture

        return track_picture(self)

    @cached_property
    def s(self) -> np.ndarray:
        """Distance along the centre line of each point, and last the whole length [m], (N + 1,)."""
        step = np.roll(self.centre, -1, axis=0) - self.centre
        return np.concatenate([[0.0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])

    @property
    def length(self) -> float:
        """Length of the centre line [m]."""
        return float(self.s[-1])

    @cached_property
    def width(self) -> np.ndarray:
        """Road width at each centre point [m], (N,)."""
        return np.hypot(*(self.left - self.right).T)

    @cached_property
    def clearance(self) -> float:
        """Distance of the centre line from the nearest border [m]; all within it is road."""
        centre = LinearRing(self.centre)
        return float(min(centre.distance(LinearRing(ring)) for ring in (self.left, self.right)))

    @cached_property
    def heading(self) -> np.ndarray:
        """Direction of each segment from point i to point i + 1 [rad], (N,)."""
        step = np.roll(self.centre, -1, axis=0) - self.centre
        return np.arctan2(step[:, 1], step[:, 0])

    @cached_property
    def is_clockwise(self) -> bool:
        """Whether the driving direction runs clockwise seen from above."""
        return signed_area(self.centre) < 0.0

    def reversed(self) -> Track:
        """Return the same road driven the other way, from the same start line."""
        flip = np.concatenate([[0], np.arange(len(self.centre) - 1, 0, -1)])
        return Track(
            self.name, self.description, self.centre[flip], self.right[flip], self.left[flip]
        )

    def locate(self, xy: np.ndarray, near: np.ndarray | None = None) -> TrackPosition:
        """Return the position of points along the centre line.

        It is exact for the closed polygon through the centre line's points.

        Args:
            xy: Points [m], shape (..., 2).
            near: Each point's last `segment`, shape (...). The search then starts from there and
                runs along the line, in constant time, so that a car never jumps to the other leg of
                a hairpin. Without it the whole line is searched.

        Returns:
            The positions. A point that is not finite has s = d = NaN and stays on its segment.

        Example:
            >>> from racer.track import load_track
            >>> track = load_track("oval")
            >>> point, heading = track.at(2.05)  # then 0.1 m to the left
            >>> place = track.locate(point + 0.1 * np.array([-np.sin(heading), np.cos(heading)]))
            >>> round(float(place.s), 2), round(float(place.d), 2)
            (2.05, 0.1)
        """
        xy = np.asarray(xy, dtype=np.float64)
        flat = np.ascontiguousarray(xy.reshape(-1, 2))
        m = len(flat)
        found = np.empty(m), np.empty(m), np.empty(m, dtype=np.int64)
        if near is None:
            nearest_on_line(self.centre, self._boxes, self.s, flat, *found)
        else:
            last = np.ascontiguousarray(near, dtype=np.int64).reshape(-1)
            nearest_on_stretch(self.centre, self.s, flat, last, LOCATE_WINDOW_M, *found)
        s, d, segment = (values.reshape(xy.shape[:-1]) for values in found)
        return TrackPosition(s, d, segment)

    @cached_property
    def _boxes(self) -> np.ndarray:
        """The centre line's boxes, for the search of the whole line."""
        return segment_boxes(self.centre)

    def on_road(self, xy: np.ndarray) -> np.ndarray:
        """Return whether points lie between the two borders, exact for both polygons.

        Args:
            xy: Points [m], shape (..., 2).

        Returns:
            Booleans of shape (...).
        """
        xy = np.asarray(xy, dtype=np.float64)
        out = np.empty(xy.reshape(-1, 2).shape[0], dtype=np.bool_)
        between_rings(self.left, self.right, np.ascontiguousarray(xy.reshape(-1, 2)), out)
        return out.reshape(xy.shape[:-1])

    def at(self, s: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Return the centre-line point and the heading at a distance along the line.

        Args:
            s: Distances [m] of any shape; taken modulo the length.

        Returns:
            Points (..., 2) [m] and headings (...) [rad].
        """
        s = np.mod(np.asarray(s, dtype=np.float64), self.length)
        i = np.minimum(np.searchsorted(self.s, s, side="right") - 1, len(self.centre) - 1)
        heading = self.heading[i]
        along = (s - self.s[i])[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        return self.centre[i] + along, heading


def signed_area(ring: np.ndarray) -> float:
    """Return the area inside a closed ring of points (N, 2), positive if counter-clockwise."""
    after = np.roll(ring, -1, axis=0)
    return float(0.5 * np.sum(ring[:, 0] * after[:, 1] - after[:, 0] * ring[:, 1]))
