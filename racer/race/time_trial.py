"""Laps against the clock, for n cars that race alone."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import numpy as np
from pydantic import Field

from racer.assets.document import Document
from racer.car.spec import CarSpec
from racer.track import Place, Track
from racer.world import CONTROL_RATE, ROOM, CarState

PERIOD = 1.0 / CONTROL_RATE
STILL = 0.0003
"""A car that moves no further than this a step [m] stands still (DeepRacer's rule)."""
PATIENCE = 15
"""Steps in a row of standing still or of falling progress that end an episode."""
CRASH_TILT = 0.3
"""Below this vertical part of the body's z axis a car lies on its side or roof."""


class RaceConfig(Document):
    """What one episode asks of a car."""

    laps: int = Field(default=1, ge=1, le=100, description="laps to complete, 1-100")
    start: Literal["line", "random"] = Field(
        default="random", description="at the start line, or anywhere, from the env's seed"
    )
    off_track: Literal["end", "reset"] = Field(
        default="end", description="leaving the road ends the episode, or costs a penalty"
    )
    off_track_penalty: float = Field(
        default=3.0, ge=0, le=60, description="seconds added for each reset, 0-60"
    )
    time_limit: float = Field(
        default=60.0, gt=0, le=36_000, description="simulated seconds until truncation, to 36000"
    )


class Ending(IntEnum):
    """How an episode stands. All but RUNNING and TIME_UP are terminations."""

    RUNNING = 0
    LAPS_COMPLETE = 1
    OFF_TRACK = 2
    CRASHED = 3
    IMMOBILISED = 4
    REVERSED = 5
    TIME_UP = 6


class TimeTrial:
    """The rules for n cars. Every public array has a leading axis of n and is read-only to others.

    Attributes:
        place: Where the cars are on the track.
        distance: Way made good along the centre line since the start [m], (n,).
        time: Race time [s], penalties included, (n,).
        steps: Control steps since the start, (n,).
        laps: Laps completed, (n,).
        wheels_on_road: Number of wheel centres between the borders, (n,).
        off_tracks: Times the car left the road, (n,).
        ending: `Ending` of the episode, (n,).
        lap_times: The times of the completed laps [s], a list a car.
    """

    def __init__(self, config: RaceConfig, track: Track, spec: CarSpec, n: int) -> None:
        self.config, self.track, self.n = config, track, n
        half = spec.tread / 2
        front, rear = spec.to_front_axle, -spec.to_rear_axle
        self._wheels = np.array([[front, half], [front, -half], [rear, half], [rear, -half]])
        self.place = Place(np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64))
        self.distance, self.time = np.zeros(n), np.zeros(n)
        self.steps, self.laps = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.wheels_on_road = np.full(n, 4)
        self.off_tracks = np.zeros(n, dtype=np.int64)
        self.ending = np.zeros(n, dtype=np.int64)
        self.lap_times: list[list[float]] = [[] for _ in range(n)]
        self._lap_began, self._xy = np.zeros(n), np.zeros((n, 2))
        self._still, self._falling = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)

    def start(
        self, cars: np.ndarray, generators: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clear the cars' records and say where they start.

        A random start lies anywhere along the line, up to a tenth of the width beside it and up
        to 0.1 rad askew, so that no policy learns one start by heart.

        Args:
            cars: Indices of the cars, (k,).
            generators: One source of randomness a car, n of them.

        Returns:
            Points [m], (k, 2), and headings [rad], (k,).
        """
        s, d, skew = np.zeros((3, len(cars)))
        if self.config.start == "random":
            for k, car in enumerate(cars):
                s[k], d[k], skew[k] = generators[car].uniform((0, -0.1, -0.1), (1, 0.1, 0.1))
        xy, yaw = self.track.at(s * self.track.length)
        aside = d * self.track.width.mean()
        xy = xy + aside[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
        for values in (self.distance, self.time, self.steps, self.laps, self.off_tracks):
            values[cars] = 0
        for values in (self.ending, self._lap_began, self._still, self._falling):
            values[cars] = 0
        self.wheels_on_road[cars] = 4
        for car in cars:
            self.lap_times[car] = []
        self._put(cars, xy)
        return xy, yaw + skew

    def _put(self, cars: np.ndarray, xy: np.ndarray) -> None:
        for mine, now in zip(self.place, self.track.locate(xy)):
            mine[cars] = now
        self._xy[cars] = xy

    @property
    def progress(self) -> np.ndarray:
        """Share of all laps made good since the start [percent], (n,)."""
        return 100.0 * self.distance / (self.config.laps * self.track.length)

    def update(self, state: CarState) -> None:
        """Judge one control step: place, laps and endings of every car."""
        self.steps += 1
        self.time += PERIOD
        place = self.track.locate(state.xy, near=self.place.segment)
        gained = place.s - self.place.s
        length = self.track.length
        gained -= length * np.round(gained / length)
        before = self.distance.copy()
        self.place = place
        self.distance += gained
        self._count_laps(before, gained)

        self._count_wheels(state)
        moved = np.hypot(*(state.xy - self._xy).T)
        self._xy[:] = state.xy
        self._still = np.where(moved <= STILL, self._still + 1, 0)
        self._falling = np.where(gained < 0.0, self._falling + 1, 0)
        self._end(state)

    def _count_wheels(self, state: CarState) -> None:
        self.wheels_on_road[:] = 4
        reach = np.hypot(*self._wheels.T).max()
        near = np.flatnonzero(np.abs(self.place.d) + reach >= self.track.clearance)
        if len(near):
            yaw = state.yaw[near, None]
            cos, sin = np.cos(yaw), np.sin(yaw)
            x, y = self._wheels.T
            wheels = np.stack([x * cos - y * sin, x * sin + y * cos], axis=2)
            on_road = self.track.on_road(wheels + state.xy[near, None])
            self.wheels_on_road[near] = on_road.sum(axis=1)

    def _count_laps(self, before: np.ndarray, gained: np.ndarray) -> None:
        length = self.track.length
        for car in np.flatnonzero(self.distance >= (self.laps + 1) * length):
            into = ((self.laps[car] + 1) * length - before[car]) / gained[car]
            crossed = self.time[car] - PERIOD * (1.0 - into)
            self.lap_times[car].append(float(crossed - self._lap_began[car]))
            self._lap_began[car] = crossed
            self.laps[car] += 1

    def _end(self, state: CarState) -> None:
        crashed = (state.up < CRASH_TILT) | (np.abs(state.body[:, :3]) > ROOM).any(axis=1)
        off = self.wheels_on_road == 0
        self.off_tracks += off
        verdicts = [
            (self.time >= self.config.time_limit - 0.5 * PERIOD, Ending.TIME_UP),
            (self._falling >= PATIENCE, Ending.REVERSED),
            (self._still >= PATIENCE, Ending.IMMOBILISED),
            (off & (self.config.off_track == "end"), Ending.OFF_TRACK),
            (crashed, Ending.CRASHED),
            (self.laps >= self.config.laps, Ending.LAPS_COMPLETE),
        ]
        self.ending[:] = Ending.RUNNING
        for happened, ending in verdicts:
            self.ending[happened] = ending

    def returns(self) -> np.ndarray:
        """Indices of the cars that left the road and go on: put them where `put_back` says."""
        if self.config.off_track == "end":
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero((self.wheels_on_road == 0) & (self.ending == Ending.RUNNING))

    def put_back(self, cars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Charge the penalty and give back the centre line at the same progress.

        Returns:
            Points [m], (k, 2), and headings [rad], (k,), for cars (k,).
        """
        self.time[cars] += self.config.off_track_penalty
        self._still[cars] = self._falling[cars] = 0
        xy, yaw = self.track.at(self.place.s[cars])
        self._xy[cars] = xy
        return xy, yaw
