"""Boxes and bot cars on the road."""

from __future__ import annotations

from typing import Any

import numpy as np

from racer.car.spec import CarSpec
from racer.race.config import RaceConfig
from racer.race.roads import Road, Roads
from racer.snapshot import restore_snapshot, take_snapshot

OBSTACLE_SIZE_M = (0.4, 0.3, 0.25)
"""Length, width and height of an obstacle [m] (DeepRacer's box)."""
FIRST_BOX_SHARE, LAST_BOX_SHARE, BOX_GAP_SHARE = 0.07, 0.90, 0.13
"""Range of random boxes ahead of the start, and their least distance, as shares of the lap."""
LANE_CHANGE_DISTANCE_M = 1.0
"""Distance along the road in which a bot changes lanes [m]."""
NO_DISTANCES = np.empty(0)
"""The distances of no obstacles [m]."""
OBSTACLE_STATE = ("s", "d", "pose", "_road", "_lane", "_left_lane", "_into", "_wait")
"""Attributes of `Obstacles` that a step or a start changes."""
BOX_COLOUR, BOT_COLOUR = (176, 128, 82), (38, 92, 204)


class Obstacles:
    """k boxes or bots for each car, or one set of them for cars that race each other.

    Arrays have leading axes (groups, k); a group is one car, or all cars that race each other.

    Args:
        config: The rules.
        roads: The lines of the tracks.
        spec: The vehicle, whose size the bots have.
        groups: Number of groups.

    Attributes:
        count: Number of obstacles in a group, k.
        size: Length, width and height of each [m].
        colours: Red, green and blue, (k, 3) uint8.
        speed: Speed of every obstacle along the road [m/s], a scalar.
        s: Distance along the line that the group drives [m].
        d: Distance left of it [m].
        pose: x, y [m] and heading [rad], (groups, k, 3).
    """

    def __init__(self, config: RaceConfig, roads: Roads, spec: CarSpec, groups: int) -> None:
        self._config, self._roads = config, roads
        self.is_moving = config.kind == "head_to_bot"
        places = config.obstacles.places
        if self.is_moving:
            k, self.size = config.bots.count, (spec.body_length, spec.body_width, spec.shell_height)
        else:
            k, self.size = len(places) or config.obstacles.count, OBSTACLE_SIZE_M
        k = self.count = 0 if config.kind == "time_trial" else k
        self.colours = np.tile(
            np.array(BOT_COLOUR if self.is_moving else BOX_COLOUR, np.uint8), (k, 1)
        )
        self.speed = config.bots.speed if self.is_moving and k else 0.0
        self.s, self.d = np.zeros((groups, k)), np.zeros((groups, k))
        self.pose = np.zeros((groups, k, 3))
        self._road = Road.on(np.zeros(groups), False)
        self._lane, self._left_lane = np.zeros((groups, k)), np.zeros((groups, k))
        self._into, self._wait = np.zeros((groups, k)), np.zeros((groups, k))

    def fixed(self, road: Road) -> np.ndarray:
        """Return the configured distances of boxes along a road [m], (k,); empty if random."""
        if self._config.kind != "object_avoidance" or not self._config.obstacles.places:
            return NO_DISTANCES
        shares = np.array([share for share, _ in self._config.obstacles.places])
        return (-shares % 1.0 if road.is_reversed else shares) * self._roads.length[road.line]

    def place(self, group: int, generator: np.random.Generator, start: float, road: Road) -> None:
        """Place a group's obstacles for an episode.

        Args:
            group: Index of the group.
            generator: The random generator that draws them.
            start: Where the episode starts, along the road [m].
            road: The road of the group.
        """
        k = self.count
        if not k:
            return
        length = self._roads.length[road.line]
        self._road.assign(group, road)
        fixed = self.fixed(road)
        if len(fixed):
            side = -1.0 if road.is_reversed else 1.0
            lanes = [side if lane == "left" else -side for _, lane in self._config.obstacles.places]
            self.s[group], self._lane[group] = fixed, lanes
        else:
            if self.is_moving:
                ahead = (np.arange(k) + 1 + generator.uniform(-0.25, 0.25, k)) / (k + 1)
            else:
                free = LAST_BOX_SHARE - FIRST_BOX_SHARE - (k - 1) * BOX_GAP_SHARE
                gaps = BOX_GAP_SHARE * np.arange(k)
                ahead = FIRST_BOX_SHARE + np.sort(generator.uniform(0.0, free, k)) + gaps
            self.s[group] = (start + ahead * length) % length
            self._lane[group] = generator.choice((-1.0, 1.0), k)
        self._left_lane[group] = self._lane[group]
        self._into[group] = LANE_CHANGE_DISTANCE_M
        if self.is_moving:
            self._wait[group] = generator.uniform(*self._config.bots.every, k)
        self._pose()

    def advance(
        self, seconds: float, generators: list[np.random.Generator], groups: np.ndarray
    ) -> None:
        """Move the bots of some groups; boxes stay.

        Args:
            seconds: Duration [s].
            generators: The random generator of each group.
            groups: Indices of the groups, (k,).
        """
        if not self.is_moving or not self.count:
            return
        way = self.speed * seconds
        length = self._roads.length[self._road.line[groups], None]
        self.s[groups] = (self.s[groups] + way) % length
        self._into[groups] = np.minimum(self._into[groups] + way, LANE_CHANGE_DISTANCE_M)
        if self._config.bots.changes_lanes:
            self._wait[groups] -= seconds
            is_due = (self._wait[groups] <= 0.0) & (self._into[groups] >= LANE_CHANGE_DISTANCE_M)
            for row, k in np.argwhere(is_due):
                group = groups[row]
                self._left_lane[group, k] = self._lane[group, k]
                self._lane[group, k] *= -1.0
                self._into[group, k] = 0.0
                self._wait[group, k] = generators[group].uniform(*self._config.bots.every)
        self._pose()

    def get_state(self) -> dict[str, Any]:
        """Return everything that steps and starts change."""
        return take_snapshot(self, OBSTACLE_STATE)

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a state of the same kind of race."""
        restore_snapshot(self, state)

    def _pose(self) -> None:
        part = self._into / LANE_CHANGE_DISTANCE_M
        lane = self._left_lane + (self._lane - self._left_lane) * part * part * (3.0 - 2.0 * part)
        self.d, xy, yaw = self._roads.on_lane(self._road, self.s, lane)
        self.pose[..., :2], self.pose[..., 2] = xy, yaw
