"""Drives policies and pilots over a track, alone or together, and records what they did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from racer.car.action_space import ActionSpace
from racer.car.spec import car_named
from racer.controllers import Controller
from racer.envs import sensor_input
from racer.errors import ConfigError, EntryError
from racer.evaluation.lap_result import LapResult, RaceScene
from racer.laptime import LapTimeLimit, committed_limit
from racer.race import Ending, Race, RaceConfig
from racer.sensors import Sensors, make_sensors, observation_of_car
from racer.track import load_track

Policy = Callable[[Any], np.ndarray]
"""Observations (1, ...), of several sensors a dict of them, to actions (1, ...)."""
POLICY_FAILURES = {"hang": "policy_hang", "memory": "policy_memory"}
"""How a race ends where its policy fails with a code of `EntryError`; others: policy_crash."""


class Driver(NamedTuple):
    """A policy, what it sees, and what its actions mean."""

    policy: Policy
    sensor: Sensors
    actions: ActionSpace


def evaluate_alone(
    policy: Policy,
    sensor: Sensors,
    actions: ActionSpace,
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
) -> LapResult:
    """Drive one race alone and record it.

    Args:
        policy: Called with observations (1, ...) each control step.
        sensor: What the policy sees.
        actions: What its actions mean.
        track: A shipped track's name, or a YAML file.
        race: Kind, laps, resets and time limit; see `race_rules`.
        seed: Seed of the environment, not negative.
        car: Name of the car's preset.

    Raises:
        RacerError: A track, car or number that cannot be used.
    """
    return evaluate_drivers([Driver(policy, sensor, actions)], track, race, seed, car)[0]


def evaluate_together(
    drivers: Sequence[Driver | Controller],
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
) -> list[LapResult]:
    """Drive one race of several cars in one world, from a grid in the drivers' order.

    The cars see and meet each other. Of two that touch, the hind one is at fault.

    Args:
        drivers: Who races, each with its own sensors and actions, or a pilot that needs none.
        track: A shipped track's name, or a YAML file.
        race: The rules.
        seed: Seed of the first driver; the next have the numbers after it.
        car: Name of the preset of every car.

    Raises:
        RacerError: A track, car or number that cannot be used.
    """
    return evaluate_drivers(drivers, track, race, seed, car, is_together=True)


def evaluate_drivers(
    drivers: Sequence[Driver | Controller],
    track: str,
    rules: RaceConfig,
    seed: int,
    car: str,
    is_together: bool = False,
) -> list[LapResult]:
    """Drive one race of one driver, or of several as `evaluate_together` does; see there."""
    if seed < 0:
        raise ConfigError(f"seed: {seed}; it must be 0 or more")
    road, spec, n = load_track(track), car_named(car), len(drivers)
    generators = [np.random.default_rng(seed + k) for k in range(n)]
    race = Race(rules, [road], spec, n, is_together=is_together)
    try:
        carried = [driver.sensor if isinstance(driver, Driver) else () for driver in drivers]
        sensors = [make_sensors(sensor, spec, road, n, rules.walls) for sensor in carried]
        everyone = np.arange(n)
        race.start(everyone, generators)
        for suite in sensors:
            suite.start(everyone, race.draws.rows)
        seen = [suite.buffer(n) for suite in sensors]
        command, tapes = np.zeros((n, 2)), [_Tape(race, i) for i in range(n)]
        while (racing := np.flatnonzero(race.ending == Ending.RUNNING)).size:
            around = sensor_input(race)
            for i in racing.tolist():
                sensors[i].observe(around, np.array([i]), seen[i])
                sight = observation_of_car(seen[i], np.array([i]))
                try:
                    command[i] = tapes[i].command(drivers[i], sight, race, i)
                except EntryError as problem:
                    tapes[i].failure = problem
                    race.ending[i] = Ending.IMMOBILISED  # so that its race ends here
            reached = race.step(command, generators).body.copy()
            race.reset_to_track(generators)
            for i in racing.tolist():
                tapes[i].add(race, i, reached[i])
        is_alone = not is_together and rules.start == "line" and rules.start_offset == 0.0
        limit = committed_limit(road, spec) if is_alone and rules.direction == "forward" else None
        scenes = [None if is_together else RaceScene(road, rules, sees, car) for sees in carried]
        return [
            tape.result(race, i, seed + i, limit, scene)
            for i, (tape, scene) in enumerate(zip(tapes, scenes))
        ]
    finally:
        race.world.close()


class _Tape:
    """What one car did, step by step."""

    def __init__(self, race: Race, car: int) -> None:
        self.failure: EntryError | None = None
        self._start = race.world.state.body[car].copy()
        self._actions: list[np.ndarray] = []
        self._body: list[np.ndarray] = []
        self._reached: list[np.ndarray] = []
        self._waiting: list[bool] = []
        self._steering: list[float] = []
        self._time: list[float] = []
        self._command: list[np.ndarray] = []
        self._judged: list[tuple[float, int, int]] = []
        self._boxes: list[np.ndarray] = []

    def command(self, driver: Driver | Controller, sight: Any, race: Race, car: int) -> np.ndarray:
        """What the driver asks for now, (2,); it is kept as the driver said it."""
        if not isinstance(driver, Driver):
            self._actions.append(driver.command(race.world.state, race.place, car))
            return self._actions[-1]
        action = driver.policy(sight)
        command = driver.actions.command(action)[0]
        self._actions.append(np.array(action[0]))
        return command

    def add(self, race: Race, car: int, reached: np.ndarray) -> None:
        """Keep what the step came to, unless the driver had failed before it.

        Args:
            race: The race, after it has put cars back.
            car: Which of its cars.
            reached: The car's body row before that, (13,).
        """
        if self.failure:
            return
        state = race.world.state
        self._body.append(state.body[car].copy())
        self._reached.append(reached)
        self._waiting.append(bool(race.is_waiting[car]))
        self._steering.append(float(state.steering[car]))
        self._time.append(float(race.time[car]))
        self._command.append(state.command[car].copy())
        judged = race.progress[car], race.wheels_on_road[car], race.fault[car]
        self._judged.append((float(judged[0]), int(judged[1]), int(judged[2])))
        self._boxes.append(race.world.boxes[car].copy())

    def result(
        self, race: Race, car: int, seed: int, limit: LapTimeLimit | None, scene: RaceScene | None
    ) -> LapResult:
        progress, wheels, fault = np.array(self._judged).reshape(-1, 3).T
        return LapResult(
            track=race.tracks[0].name,
            seed=seed,
            laps=race.config.laps,
            laps_completed=int(race.laps[car]),
            lap_times_s=list(race.lap_times[car]),
            sector_times_s=[list(times) for times in race.sector_times[car]],
            off_tracks=int(race.off_tracks[car]),
            collisions=int(race.collisions[car]),
            resets=int(race.resets[car]),
            distance=float(race.distance[car]),
            ending=self._ending(race, car),
            start=self._start,
            actions=np.array(self._actions),
            body=np.array(self._body).reshape(-1, 13),
            reached=np.array(self._reached).reshape(-1, 13),
            waiting=np.array(self._waiting, dtype=bool),
            steering=np.array(self._steering),
            time=np.array(self._time),
            command=np.array(self._command),
            progress=progress,
            wheels_on_road=wheels.astype(int),
            fault=fault.astype(int),
            boxes=np.array(self._boxes),
            colours=race.colours[car],
            limit=limit,
            failure=str(self.failure or ""),
            scene=scene,
        )

    def _ending(self, race: Race, car: int) -> str:
        if self.failure:
            return POLICY_FAILURES.get(self.failure.code, "policy_crash")
        return Ending(int(race.ending[car])).name.lower()
