"""The lines that the cars of a race may drive, each track in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from racer.track import Track, TrackPosition


class Roads:
    """The lines that cars may drive: each track forward, then the same in reverse.

    Attributes:
        lines: A `Track` for each, two a track.
        length: [m], (2 x tracks,).
        width: Mean width [m], (2 x tracks,).
        clearance: See `Track.clearance` [m], (2 x tracks,).
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.lines = [line for track in tracks for line in (track, track.reversed())]
        self.length = np.array([line.length for line in self.lines])
        self.width = np.array([line.width.mean() for line in self.lines])
        self.clearance = np.array([line.clearance for line in self.lines])

    def each(self, road: np.ndarray) -> Iterator[tuple[Track, Any]]:
        """Every line that `road` (k,) names, and an index of the places where it does."""
        if not len(road):
            return
        if (road == road[0]).all():
            yield self.lines[road[0]], slice(None)
            return
        for one in np.unique(road):
            yield self.lines[one], road == one

    def locate(
        self, road: np.ndarray, xy: np.ndarray, near: np.ndarray | None = None
    ) -> TrackPosition:
        """Where points (k, 2) are, each on its own road (k,); see `Track.locate`."""
        k = len(road)
        found = TrackPosition(np.empty(k), np.empty(k), np.empty(k, dtype=np.int64))
        for line, mine in self.each(road):
            part = line.locate(xy[mine], None if near is None else near[mine])
            for values, some in zip(found, part):
                values[mine] = some
        return found

    def on_lane(
        self, road: np.ndarray, s: np.ndarray, lane: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points on a lane, whose middle is a quarter of the width beside the centre line.

        Args:
            road: The road of each row, (k,).
            s: Distance along it [m], (k, ...).
            lane: 1 on the left lane, -1 on the right one, between them in proportion, (k, ...).

        Returns:
            Distance left of the centre line [m] (k, ...), points [m] (k, ..., 2) and headings
            [rad] (k, ...).
        """
        d, xy, yaw = np.empty(s.shape), np.empty((*s.shape, 2)), np.empty(s.shape)
        for line, mine in self.each(road):
            where = np.mod(s[mine], line.length)
            segment = np.searchsorted(line.s, where, side="right") - 1
            d[mine] = lane[mine] * line.width[np.clip(segment, 0, len(line.width) - 1)] / 4
            xy[mine], yaw[mine] = line.at(where)
        aside = np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
        return d, xy + d[..., None] * aside, yaw
