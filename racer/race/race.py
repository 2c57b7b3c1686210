"""The race of n cars: starts, lap counting, faults, penalties and endings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import CarSpec
from racer.race.config import CRASHED, RUNNING, RaceConfig
from racer.race.obstacles import Obstacles
from racer.race.roads import Road, Roads
from racer.race.step_rules import (
    CAR_RECORD_DTYPE,
    LAP_SECTORS,
    StepLimits,
    apply_rules,
    clear_records,
    note_progress,
)
from racer.randomisation import NO_RANDOMISATION, Draws, Randomisation
from racer.snapshot import restore_snapshot, take_snapshot
from racer.track import Track, TrackPosition
from racer.track.geometry import LOCATE_WINDOW_M
from racer.world import CONTROL_RATE_HZ, CarState, Contact, Engine, World

ROUND_ROBIN_LAP_SHARE = 0.05
"""Distance from one round-robin start to the next, as a share of the lap."""
GRID_SPACING_M = 0.75
"""Distance along the line between two cars of a starting grid [m]."""
RESET_GAP_BEHIND_M, RESET_GAP_AHEAD_M = 1.0, 0.5
"""Least distance of a reset car behind the next object, and ahead of the one that follows [m]."""
OWN_FAULT = int(Contact.WALL | Contact.BOX)
"""Contacts that are always the fault of the car itself."""
RACE_STATE = (
    *("resets", "lap_times", "sector_times", "last_lap_time"),
    *("_lap_began", "_episode", "_grid", "is_reversed", "records"),
)
"""Attributes of `Race` that a step or a start changes."""
CAR_COLOURS = (
    (226, 61, 40),
    (38, 92, 204),
    (246, 196, 38),
    (60, 160, 84),
    (150, 80, 190),
    (240, 240, 236),
)
"""Colours of the cars of one race, in their order, repeated when used up."""


class OtherCars(NamedTuple):
    """The K boxes, bots and cars that each of n cars shares the road with; arrays (n, K)."""

    s: np.ndarray
    """Distance along the line that the car drives [m]."""
    d: np.ndarray
    """Distance left of it [m]."""
    pose: np.ndarray
    """x, y [m] and heading [rad], (n, K, 3)."""
    speed: np.ndarray
    """[m/s]."""


class Race:
    """A race of n cars, each alone or all together; others must not write to its arrays (n, ...).

    A car whose episode has ended keeps its records until its next `start`. If `faults` is `reset`,
    a car that races alone gets its penalty added at once, its bots drive on for as long, and it
    continues from the nearer lane; a car among others waits off the road until its penalty is
    over.

    Args:
        config: The rules.
        tracks: The tracks. Each car draws one of them for each episode; cars that race each other
            take the first.
        spec: The vehicle of every car.
        n: Number of cars.
        gui: Whether Bullet's own window opens.
        is_together: Whether the cars race each other, from a grid.
        randomisation: What each car draws for its episodes.
        rate: Control steps per second [Hz].
        max_steps: Control steps until truncation, if `time_limit` is longer.
        engine: What computes the motion; see `World`.

    Attributes:
        world: The physics.
        objects: Boxes and bots.
        draws: What the cars have drawn.
        records: Rows of `CAR_RECORD_DTYPE`, (n,); many attributes below are fields of it.
        colours: Red, green and blue of each car's `world.boxes`, (n, K, 3) uint8.
        tracks: The tracks.
        roads: The lines of the tracks, forward and in reverse.
        road: The track that each car drives, and its direction, (n,).
        place: Positions of the cars along the lines that they drive.
        is_reversed: Whether each car drives its track against the track's own direction, (n,).
        progress: Progress of the current lap [percent], (n,). It is 100 in the step that completes
            a lap, and negative behind the start.
        distance: Progress along the centre line since the start [m], (n,); negative before the
            start line of a grid.
        time: Race time including penalties [s], (n,).
        steps: Control steps since the start, (n,).
        laps: Completed laps, (n,).
        wheels_on_road: Number of wheel centres between the borders, (n,).
        off_tracks: Number of times the car left the road, (n,).
        collisions: Number of crashes, (n,).
        resets: Number of resets to the track, for any fault, (n,).
        ending: `Ending` of the episode, (n,).
        fault: `Ending` that the last step's fault corresponds to, else RUNNING, (n,).
        last_lap_time: Time of the last completed lap [s], 0 before the first, (n,).
        lap_times: Times of the completed laps [s], a list for each car.
        sector_times: Times of the completed sectors [s], for each car a list for each lap of up
            to `LAP_SECTORS` times.
    """

    def __init__(
        self,
        config: RaceConfig,
        tracks: Sequence[Track],
        spec: CarSpec,
        n: int,
        gui: bool = False,
        is_together: bool = False,
        randomisation: Randomisation = NO_RANDOMISATION,
        rate: int = CONTROL_RATE_HZ,
        max_steps: int | None = None,
        engine: Engine = "auto",
    ) -> None:
        self.config, self.n, self.is_together = config, n, is_together
        self.tracks, self.roads = list(tracks), Roads(tracks)
        self.objects = Obstacles(config, self.roads, spec, 1 if is_together else n)
        walls = [(track.left, track.right) for track in tracks] if config.walls else []
        boxes = self.objects.count, self.objects.size
        self.world = World(spec, n, gui, walls, *boxes, is_together, rate, engine=engine)
        self._period = 1.0 / rate
        self.draws = Draws(randomisation, n)
        paint = [CAR_COLOURS[i % len(CAR_COLOURS)] for i in range(n * is_together)]
        colours = np.vstack([self.objects.colours, np.array(paint, np.uint8).reshape(-1, 3)])
        self.colours = np.tile(colours, (n, 1, 1))
        half = spec.tread / 2
        front, rear = spec.to_front_axle, -spec.to_rear_axle
        self._wheels = np.array([[front, half], [front, -half], [rear, half], [rear, -half]])
        self.records = records = np.zeros(n, dtype=CAR_RECORD_DTYPE)
        records["wheels_on_road"] = 4
        self.road, self.is_reversed = Road(records["line"]), np.zeros(n, dtype=bool)
        self.place = TrackPosition(np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64))
        self.distance, self.progress = records["distance"], records["progress"]
        self.time, self.steps, self.laps = records["time"], records["steps"], records["laps"]
        self.wheels_on_road = records["wheels_on_road"]
        self.off_tracks, self.collisions = records["off_tracks"], records["collisions"]
        self.ending, self.fault, self._wait = records["ending"], records["fault"], records["wait"]
        self.resets, self._episode = np.zeros((2, n), dtype=np.int64)
        self.lap_times: list[list[float]] = [[] for _ in range(n)]
        self.sector_times: list[list[list[float]]] = [[] for _ in range(n)]
        self._lap_began, self.last_lap_time, self._grid = np.zeros(n), np.zeros(n), 0.0
        laps, ends_at_fault = config.laps, config.faults == "end"
        steps, time_limit = float(max_steps or np.inf), float(config.time_limit)
        self._faulty, self._is_blameless = 0, np.zeros(n, dtype=bool)
        self._limits = StepLimits(self._period, time_limit, steps, laps, ends_at_fault)

    def get_state(self) -> dict[str, Any]:
        """Return everything that steps and starts change except generators; it can be pickled."""
        return {
            "race": take_snapshot(self, RACE_STATE),
            "place": [values.copy() for values in self.place],
            "draws": self.draws.rows.copy(),
            "objects": self.objects.get_state(),
            "world": self.world.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state of a race with the same config, tracks, vehicle and number of cars.

        The following steps are bit-identical, unless a car touched something in the step before:
        Bullet keeps contact impulses between steps and offers no way to set them.
        """
        restore_snapshot(self, state["race"])
        for values, taken in zip(self.place, state["place"]):
            values[:] = taken
        self.draws.rows[:] = state["draws"]
        self.objects.set_state(state["objects"])
        self.world.set_state(state["world"])

    def rewind(self, car: int) -> None:
        """Restart the sequence of a car's round-robin starts and alternating directions."""
        self._episode[car] = 0

    def start(self, cars: np.ndarray, generators: list[np.random.Generator]) -> None:
        """Start the next episode of some cars: clear records, draw, and place cars and obstacles.

        A random start lies anywhere along the line, up to a tenth of the width beside it and up
        to 0.1 rad askew, so that a policy cannot memorise one start. Each car draws from its own
        generator; for cars that race each other, the first car's generator draws the position of
        the grid and the obstacles.

        Args:
            cars: Indices of the cars, (k,).
            generators: The random generator of each of the n cars.
        """
        self.draws.draw(cars, generators)
        if not self.draws.is_neutral:
            self.world.vary(cars, self.draws.rows)
        clear_records(self.records, cars)
        self.resets[cars] = 0
        self._lap_began[cars] = self.last_lap_time[cars] = 0.0
        direction, turns = self.config.direction, self._episode[cars] % 2
        is_reversed = turns == 1 if direction == "alternate" else direction == "reverse"
        self.road.assign(cars, Road.on(np.zeros(len(cars)), is_reversed))
        s, d, skew = np.zeros((3, len(cars)))
        for row, car in enumerate(cars.tolist()):
            self.lap_times[car], self.sector_times[car] = [], []
            if len(self.tracks) > 1 and not self.is_together:
                track = int(generators[car].integers(len(self.tracks)))
                self.road.assign(car, Road.on(track, self.road.of(car).is_reversed))
                self.world.set_walls(car, track)
            s[row], d[row], skew[row] = self._draw_start(car, generators[car])
            if not self.is_together or car == 0:
                self.objects.place(car, generators[car], float(s[row]), self.road.of(car))
        self._episode[cars] += 1
        self.is_reversed[cars] = self.road.of(cars).is_reversed
        lane = d / (self.roads.width[self.road.line[cars]] / 4)
        self.set_on_track(cars, s, lane, skew)
        groups = cars[cars == 0] if self.is_together else cars
        if self.objects.count and len(groups):
            self.world.place_boxes(groups, self.objects.pose[groups])

    def _draw_start(self, car: int, generator: np.random.Generator) -> tuple[float, float, float]:
        """Draw one car's start: s [m], distance left of the centre line [m], turn from it [rad]."""
        road = self.road.of(car)
        length, width = float(self.roads.length[road.line]), float(self.roads.width[road.line])
        s, aside, skew = self.config.start_offset * length, 0.0, 0.0
        if self.config.start == "random":
            share, aside, skew = generator.random(3).tolist()
            s += share * length
            aside, skew = 0.2 * aside - 0.1, 0.2 * skew - 0.1
        elif self.config.start == "round_robin":
            s += ROUND_ROBIN_LAP_SHARE * int(self._episode[car]) * length
        if self.is_together:
            self._grid = s if car == 0 else self._grid
            self.distance[car] = -GRID_SPACING_M * car
            return self._grid - GRID_SPACING_M * car, width / 4 * (-1.0) ** car, 0.0
        return self._behind(s, self.objects.fixed(road), length), aside * width, skew

    def set_on_track(
        self, cars: np.ndarray, s: np.ndarray, lane: np.ndarray, skew: np.ndarray
    ) -> None:
        """Place cars on their lines, at rest.

        Args:
            cars: Their indices, (k,).
            s: Distance along each car's line [m], (k,).
            lane: 1 on the left lane, -1 on the right one, 0 on the centre line, (k,).
            skew: Turn from the line's heading, positive to the left [rad], (k,).
        """
        road = self.road.of(cars)
        _, xy, yaw = self.roads.on_lane(road, s, lane)
        self.world.reset(cars, xy, yaw + skew)
        for mine, now in zip(self.place, self.roads.locate(road, xy)):
            mine[cars] = now
        records = self.records
        records["x"][cars], records["y"][cars] = xy.T
        records["still"][cars] = records["falling"][cars] = 0
        note_progress(records, self.roads.arrays, cars)

    @property
    def max_steps(self) -> int:
        """Control steps until an episode is truncated."""
        in_time = max(math.ceil(self.config.time_limit / self._period - 0.5), 1)
        return int(min(in_time, self._limits.steps))

    @property
    def is_crashed(self) -> np.ndarray:
        """Whether each car crashed in the last step, (n,)."""
        return self.fault == CRASHED

    @property
    def is_waiting(self) -> np.ndarray:
        """Whether each car waits for its penalty to end, off the road that it shares, (n,)."""
        return self._is_lifted & (self.ending == RUNNING)

    @property
    def others(self) -> OtherCars:
        """The boxes or bots of each car, followed by the other cars of the race."""
        objects, n = self.objects, self.n
        if not self.is_together:
            speed = np.full(objects.s.shape, objects.speed)
            return OtherCars(objects.s, objects.d, objects.pose, speed)
        s, d = (np.tile(values, (n, 1)) for values in (objects.s, objects.d))
        state = self.world.state
        own = np.column_stack([state.xy, state.yaw])
        own[self._is_lifted, :2] = np.inf
        speed = np.hypot(*state.velocity[:, :2].T)
        cars = [np.delete(np.arange(n), i) for i in range(n)]
        return OtherCars(
            np.hstack([s, self.place.s[cars]]),
            np.hstack([d, self.place.d[cars]]),
            np.concatenate([np.tile(objects.pose, (n, 1, 1)), own[cars]], axis=1),
            np.hstack([np.full(s.shape, objects.speed), speed[cars]]),
        )

    def step(self, command: np.ndarray, generators: list[np.random.Generator]) -> CarState:
        """Hold commands for one control step, and apply the rules.

        Args:
            command: Steering [rad, positive to the left] and speed [m/s], (n, 2).
            generators: The random generator of each of the n cars.

        Returns:
            The state of the cars, before faulty ones return to the track.
        """
        boxes = None
        if self.objects.is_moving:
            groups = np.arange(len(self.objects.s))
            if not self.is_together:
                groups = np.flatnonzero(self.ending == RUNNING)
            self.objects.advance(self._period, generators, groups)
            boxes = self.objects.pose
        state = self.world.step(command, boxes)
        self.update(state, self.world.contact)
        return state

    def update(self, state: CarState, contact: np.ndarray) -> None:
        """Apply the rules to one control step: positions, laps, faults and endings of every car.

        Args:
            state: The state of the cars.
            contact: What each car has touched, flags of `Contact`, (n,).
        """
        ended_sectors, self._faulty = apply_rules(
            *(self.records, self.place, self.roads.arrays, self._limits, self._wheels),
            *(state.body, state.yaw, self._is_to_blame(state, contact), LOCATE_WINDOW_M),
        )
        if ended_sectors:
            self._note_times()

    def _note_times(self) -> None:
        """Note the times of the sectors and laps that ended in this step."""
        crossed = self.records["crossed"]
        for car in np.flatnonzero(np.isfinite(crossed)).tolist():
            if self.records["sectors"][car] % LAP_SECTORS == 1:
                self.sector_times[car].append([])
            times = self.sector_times[car][-1]
            times.append(float(crossed[car] - self._lap_began[car] - sum(times)))
            if len(times) == LAP_SECTORS:
                self.lap_times[car].append(float(crossed[car] - self._lap_began[car]))
                self.last_lap_time[car] = self.lap_times[car][-1]
                self._lap_began[car] = crossed[car]

    def _is_to_blame(self, state: CarState, contact: np.ndarray) -> np.ndarray:
        """Return whether a contact is the car's own fault, (n,); of two cars, the rear one's."""
        if not np.count_nonzero(contact):
            return self._is_blameless
        blame = (contact & OWN_FAULT) != 0
        if not self.is_together:
            return blame
        for car in np.flatnonzero(~blame & (contact & int(Contact.CAR) != 0)):
            away = state.xy - state.xy[car]
            apart = np.hypot(*away.T)
            apart[self._is_lifted | (np.arange(self.n) == car)] = np.inf
            yaw, other = state.yaw[car], away[int(apart.argmin())]
            blame[car] = np.cos(yaw) * other[0] + np.sin(yaw) * other[1] > 0.0
        return blame

    def reset_to_track(self, generators: list[np.random.Generator]) -> None:
        """Apply the penalty of cars with a fault that go on, and reset them to the track."""
        if not self._faulty and not self.is_together:
            return
        cars = np.flatnonzero((self.fault > 0) & (self.ending == RUNNING))
        rules = self.config
        penalty = np.where(self.is_crashed, rules.collision_penalty, rules.off_track_penalty)
        if self.is_together:
            self._call_back(cars, penalty)
            return
        for car in cars.tolist():
            self.time[car] += penalty[car]
            for _ in range(round(penalty[car] / self._period) * self.objects.is_moving):
                self.objects.advance(self._period, generators, np.array([car]))
            if self.objects.is_moving:
                self.world.place_boxes(np.array([car]), self.objects.pose[[car]])
            self._set_down(car)

    @property
    def _is_lifted(self) -> np.ndarray:
        """Whether each car is off the shared road, waiting or finished, (n,)."""
        return self.is_together & ((self._wait > 0) | (self.ending != RUNNING))

    def _call_back(self, cars: np.ndarray, penalty: np.ndarray) -> None:
        """Take faulty cars off the shared road, and return those whose penalty is over."""
        is_over = self.ending != RUNNING
        for car in np.flatnonzero((self._wait > 0) & ~is_over).tolist():
            self._wait[car] -= 1
            if self._wait[car] == 0:
                self._set_down(car)
        self._wait[cars] = np.maximum(np.round(penalty[cars] / self._period), 1)
        leaving = np.flatnonzero(self._is_lifted)
        if len(leaving):
            self.world.hold(leaving)

    def _set_down(self, car: int) -> None:
        """Return one car to its nearer lane, at its position or behind an object there."""
        there = self.others
        mine = self.records[car]
        away = np.zeros((0, 2))
        if there.s.size:
            away = there.pose[car, :, :2] - (mine["x"], mine["y"])
        is_close = (
            np.hypot(*away.T) < 4 * RESET_GAP_BEHIND_M if len(away) else np.zeros(0, dtype=bool)
        )
        s = float(self.place.s[car])
        length = float(self.roads.length[self.road.line[car]])
        free = self._behind(s, there.s[car][is_close], length)
        self.distance[car] += free - s
        self.resets[car] += 1
        lane = 1.0 if self.place.d[car] >= 0.0 else -1.0
        self.set_on_track(np.array([car]), np.array([free]), np.array([lane]), np.zeros(1))

    def _behind(self, s: float, taken: np.ndarray, length: float) -> float:
        """Return the first free position at or behind s [m]; it may be negative."""
        for _ in range(len(taken)):
            gap = (taken - s + length / 2) % length - length / 2
            blocked = (gap > -RESET_GAP_AHEAD_M) & (gap < RESET_GAP_BEHIND_M)
            if not blocked.any():
                break
            s += float(gap[blocked].min()) - RESET_GAP_BEHIND_M
        return s
