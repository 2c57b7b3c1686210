"""The lines that the cars of a race may drive: each track, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

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
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.lines = [line for track in tracks for line in (track, track.reversed())]
        self.length = np.array([line.length for line in self.lines])
        self.width = np.array([line.width.mean() for line in self.lines])
        self.clearance = np.array([line.clearance for line in self.lines])
        self.is_reversed = Road(np.arange(len(self.lines))).is_reversed

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
        if (road.line == first).all():
            yield int(first), slice(None)
            return
        for line in np.unique(road.line).tolist():
            yield line, road.line == line

    def locate(self, road: Road, xy: np.ndarray, near: np.ndarray | None = None) -> TrackPosition:
        """Return where points are, each on its own road; see `Track.locate`.

        Args:
            road: The roads of k cars.
            xy: Points [m], (k, 2).
            near: The segment near which each point is sought, (k,) int; the whole line by default.
        """
        k = len(road.line)
        found = TrackPosition(np.empty(k), np.empty(k), np.empty(k, dtype=np.int64))
        for line, cars in self.groups(road):
            part = self.lines[line].locate(xy[cars], None if near is None else near[cars])
            for values, located in zip(found, part):
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
        for index, cars in self.groups(road):
            line = self.lines[index]
            where = np.mod(s[cars], line.length)
            segment = np.searchsorted(line.s, where, side="right") - 1
            d[cars] = lane[cars] * line.width[np.clip(segment, 0, len(line.width) - 1)] / 4
            xy[cars], yaw[cars] = line.at(where)
        aside = np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
        return d, xy + d[..., None] * aside, yaw
