"""The lines that the cars of a race may drive: each track, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from racer.track import Track, TrackPosition


class Road(NamedTuple):
    """The track that each of k cars drives, and its direction.

    An index, mask or slice of cars picks theirs, as in an array: `road.of(cars)`.
    """

    line: np.ndarray
    """Index of the line in `Roads.lines`, (k,) int."""

    @classmethod
    def on(cls, track: Any, is_reversed: Any) -> Road:
        """Return the road on a track in one direction.

        Args:
            track: Index of the track among those of the race, int or (k,) int.
            is_reversed: Whether it is driven against its own direction, bool or (k,) bool.
        """
        return cls(2 * np.asarray(track, dtype=np.int64) + np.asarray(is_reversed, dtype=np.int64))

    @property
    def track(self) -> np.ndarray:
        """Index of the track among those of the race, (k,) int."""
        return self.line // 2

    @property
    def is_reversed(self) -> np.ndarray:
        """Whether the track is driven against its own direction, (k,) bool."""
        return self.line % 2 == 1

    def of(self, cars: Any) -> Road:
        """Return the roads of some cars: an index, an index array, a mask or a slice."""
        return Road(self.line[cars])

    def assign(self, cars: Any, road: Road) -> None:
        """Let some cars drive another road."""
        self.line[cars] = road.line


class LineArrays(NamedTuple):
    """The lines that cars drive, in flat arrays; line k has the points `first[k]:first[k + 1]`."""

    first: np.ndarray
    """Index of each line's first point, and last P, (lines + 1,)."""
    centre: np.ndarray
    """Points of the centre lines [m], (P, 2)."""
    left: np.ndarray
    """Points of the left borders [m], (P, 2)."""
    right: np.ndarray
    """Points of the right borders [m], (P, 2)."""
    along: np.ndarray
    """Distance along its line of each point, and of each line last its length [m], (P + lines,)."""
    width: np.ndarray
    """Width of the road at each point [m], (P,)."""
    heading: np.ndarray
    """Direction of each segment [rad], (P,)."""
    cos: np.ndarray
    """Its cosine, (P,)."""
    sin: np.ndarray
    """Its sine, (P,)."""
    length: np.ndarray
    """Length of each line [m], (lines,)."""
    clearance: np.ndarray
    """Distance from each centre line within which all is road [m], (lines,)."""


@njit(cache=True)
def _lane_points(lines, line, s, lane, d, xy, yaw):
    """Fill in points on lanes, `line.shape[0]` groups of as many; see `Roads.on_lane`.

    Args:
        lines: The `LineArrays`.
        line: The line of each group, (k,).
        s: Distances along it [m], (m,).
        lane: 1 on the left lane, -1 on the right one, (m,).
        d: Filled with distances left of the centre line [m], (m,).
        xy: Filled with points [m], (m, 2).
        yaw: Filled with headings [rad], (m,).
    """
    size = s.shape[0] // max(line.shape[0], 1)
    for m in range(s.shape[0]):
        k = line[m // size]
        first, last = lines.first[k], lines.first[k + 1] - 1
        along, length = lines.along[first + k : last + k + 2], lines.length[k]
        where = s[m] % length
        i = min(max(np.searchsorted(along, where, side="right") - 1, 0), last - first) + first
        d[m] = lane[m] * lines.width[i] / 4
        where = where % length
        i = min(np.searchsorted(along, where, side="right") - 1, last - first) + first
        cos, sin, ahead = lines.cos[i], lines.sin[i], where - along[i - first]
        yaw[m] = lines.heading[i]
        xy[m, 0] = lines.centre[i, 0] + ahead * cos + d[m] * -sin
        xy[m, 1] = lines.centre[i, 1] + ahead * sin + d[m] * cos


class Roads:
    """The lines that cars may drive: each track forward, then the same in reverse.

    Arrays are indexed by `Road.line`.

    Args:
        tracks: The tracks of the race.

    Attributes:
        lines: A `Track` for each line, two for each track of the race.
        length: Length of each line [m], (2 x tracks,).
        width: Mean width of each line [m], (2 x tracks,).
        clearance: See `Track.clearance` [m], (2 x tracks,).
        is_reversed: Whether a line runs against its track's own direction, (2 x tracks,).
        arrays: All lines, for kernels.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.lines = [line for track in tracks for line in (track, track.reversed())]
        self.length = np.array([line.length for line in self.lines])
        self.width = np.array([line.width.mean() for line in self.lines])
        self.clearance = np.array([line.clearance for line in self.lines])
        self.is_reversed = Road(np.arange(len(self.lines))).is_reversed
        sizes = [len(line.centre) for line in self.lines]
        self.arrays = LineArrays(
            np.concatenate([[0], np.cumsum(sizes)]),
            np.concatenate([line.centre for line in self.lines]),
            np.concatenate([line.left for line in self.lines]),
            np.concatenate([line.right for line in self.lines]),
            np.concatenate([line.s for line in self.lines]),
            np.concatenate([line.width for line in self.lines]),
            np.concatenate([line.heading for line in self.lines]),
            np.concatenate([np.cos(line.heading) for line in self.lines]),
            np.concatenate([np.sin(line.heading) for line in self.lines]),
            self.length,
            self.clearance,
        )

    def line_of(self, road: Road) -> Track:
        """Return the line of one car's road."""
        return self.lines[int(road.line)]

    def groups(self, road: Road) -> Iterator[tuple[int, Any]]:
        """Yield each line in use.

        Args:
            road: The roads of k cars.

        Yields:
            The line's index in `lines`, and an index of the cars that drive it.
        """
        if not len(road.line):
            return
        first = road.line[0]
        if len(road.line) == 1 or (road.line == first).all():
            yield int(first), slice(None)
            return
        for line in np.unique(road.line).tolist():
            yield line, road.line == line

    def locate(self, road: Road, xy: np.ndarray) -> TrackPosition:
        """Return where points (k, 2) [m] are, each on the road of one of k cars."""
        k = len(road.line)
        found = TrackPosition(np.empty(k), np.empty(k), np.empty(k, dtype=np.int64))
        for line, cars in self.groups(road):
            for values, located in zip(found, self.lines[line].locate(xy[cars])):
                values[cars] = located
        return found

    def on_lane(
        self, road: Road, s: np.ndarray, lane: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points on a lane, whose middle is a quarter of the width beside the centre line.

        Args:
            road: The roads of k cars.
            s: Distance along it [m], (k, ...).
            lane: 1 on the left lane, -1 on the right one, between them in proportion, (k, ...).

        Returns:
            Distance left of the centre line [m] (k, ...), points [m] (k, ..., 2) and headings
            [rad] (k, ...).
        """
        d, xy, yaw = np.empty(s.shape), np.empty((*s.shape, 2)), np.empty(s.shape)
        out = d.reshape(-1), xy.reshape(-1, 2), yaw.reshape(-1)
        _lane_points(self.arrays, road.line, s.reshape(-1), lane.reshape(-1), *out)
        return d, xy, yaw
