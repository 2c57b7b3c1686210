"""What stands and drives on the road besides the cars that race: boxes and bots."""

from __future__ import annotations

import numpy as np

from racer.car.spec import CarSpec
from racer.race.config import RaceConfig
from racer.track import Track

BOX = (0.4, 0.3, 0.25)
"""Length, width and height of an obstacle [m] (DeepRacer's box)."""
FIRST, LAST, APART = 0.07, 0.90, 0.13
"""Shares of the lap: where random boxes lie ahead of the start, and how far apart at least."""
CHANGE = 1.0
"""Way on which a bot moves from one lane to the other [m]."""
NOWHERE = np.empty(0)
CARDBOARD, BOT = (176, 128, 82), (38, 92, 204)


class Objects:
    """k boxes or bots on the road of each car, or one set of them for cars that race together.

    Every array has leading axes (groups, k); a group is one car, or all cars together.

    Attributes:
        sizes: Length, width and height [m], (k, 3).
        colours: Red, green and blue, (k, 3) uint8.
        speed: Of each object along the road [m/s]; a scalar.
        s: Distance along the line that the group drives [m].
        d: Distance left of it [m].
        pose: x, y [m] and heading [rad], (groups, k, 3).
    """

    def __init__(
        self, config: RaceConfig, tracks: tuple[Track, Track], spec: CarSpec, groups: int
    ) -> None:
        self._config, self._tracks = config, tracks
        self.is_moving = config.kind == "head_to_bot"
        places = config.obstacles.places
        if self.is_moving:
            k, size = config.bots.count, (spec.body_length, spec.body_width, spec.body_height)
        else:
            k, size = len(places) or config.obstacles.count, BOX
        k = 0 if config.kind == "time_trial" else k
        self.sizes = np.tile(np.array(size), (k, 1))
        self.colours = np.tile(np.array(BOT if self.is_moving else CARDBOARD, np.uint8), (k, 1))
        self.speed = config.bots.speed if self.is_moving and k else 0.0
        self.s, self.d = np.zeros((groups, k)), np.zeros((groups, k))
        self.pose = np.zeros((groups, k, 3))
        self._is_reversed = np.zeros(groups, dtype=bool)
        self._lane, self._left_lane = np.zeros((groups, k)), np.zeros((groups, k))
        self._into, self._wait = np.zeros((groups, k)), np.zeros((groups, k))

    @property
    def count(self) -> int:
        """Objects a group."""
        return len(self.sizes)

    def fixed(self, is_reversed: bool) -> np.ndarray:
        """Where the config says that objects stand, along the line driven [m]; maybe none."""
        if self._config.kind != "object_avoidance" or not self._config.obstacles.places:
            return NOWHERE
        shares = np.array([share for share, _ in self._config.obstacles.places])
        return (-shares % 1.0 if is_reversed else shares) * self._tracks[0].length

    def place(
        self, group: int, generator: np.random.Generator, start: float, is_reversed: bool
    ) -> None:
        """Set a group's objects for an episode that starts `start` metres along its line."""
        k, length = self.count, self._tracks[0].length
        if not k:
            return
        self._is_reversed[group] = is_reversed
        fixed = self.fixed(is_reversed)
        if len(fixed):
            side = -1.0 if is_reversed else 1.0
            lanes = [side if lane == "left" else -side for _, lane in self._config.obstacles.places]
            self.s[group], self._lane[group] = fixed, lanes
        else:
            if self.is_moving:
                ahead = (np.arange(k) + 1 + generator.uniform(-0.25, 0.25, k)) / (k + 1)
            else:
                free = LAST - FIRST - (k - 1) * APART
                ahead = FIRST + np.sort(generator.uniform(0.0, free, k)) + APART * np.arange(k)
            self.s[group] = (start + ahead * length) % length
            self._lane[group] = generator.choice((-1.0, 1.0), k)
        self._left_lane[group] = self._lane[group]
        self._into[group] = CHANGE
        if self.is_moving:
            self._wait[group] = generator.uniform(*self._config.bots.every, k)
        self._pose()

    def advance(
        self, seconds: float, generators: list[np.random.Generator], groups: np.ndarray
    ) -> None:
        """Let the bots of some groups drive on; boxes stay."""
        if not self.is_moving or not self.count:
            return
        way = self.speed * seconds
        self.s[groups] = (self.s[groups] + way) % self._tracks[0].length
        self._into[groups] = np.minimum(self._into[groups] + way, CHANGE)
        if self._config.bots.changes_lanes:
            self._wait[groups] -= seconds
            is_due = (self._wait[groups] <= 0.0) & (self._into[groups] >= CHANGE)
            for row, k in np.argwhere(is_due):
                group = groups[row]
                self._left_lane[group, k] = self._lane[group, k]
                self._lane[group, k] *= -1.0
                self._into[group, k] = 0.0
                self._wait[group, k] = generators[group].uniform(*self._config.bots.every)
        self._pose()

    def _pose(self) -> None:
        part = self._into / CHANGE
        lane = self._left_lane + (self._lane - self._left_lane) * part * part * (3.0 - 2.0 * part)
        self.d, xy, yaw = on_lane(self._tracks, self._is_reversed, self.s, lane)
        self.pose[..., :2], self.pose[..., 2] = xy, yaw


def on_lane(
    tracks: tuple[Track, Track], is_reversed: np.ndarray, s: np.ndarray, lane: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on a lane, whose middle is a quarter of the width beside the centre line.

    Args:
        tracks: The track as it is and as it is driven in reverse.
        is_reversed: Which of them each row means, (n,).
        s: Distance along it [m], (n, ...).
        lane: 1 on the left lane, -1 on the right one, between them in proportion, (n, ...).

    Returns:
        Distance left of the centre line [m] (n, ...), points [m] (n, ..., 2) and headings [rad].
    """
    d, xy, yaw = np.empty(s.shape), np.empty((*s.shape, 2)), np.empty(s.shape)
    for track, mine in zip(tracks, (~is_reversed, is_reversed)):
        if not mine.any():
            continue
        where = np.mod(s[mine], track.length)
        segment = np.clip(
            np.searchsorted(track.s, where, side="right") - 1, 0, len(track.width) - 1
        )
        d[mine] = lane[mine] * track.width[segment] / 4
        xy[mine], yaw[mine] = track.at(where)
    aside = np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
    return d, xy + d[..., None] * aside, yaw
