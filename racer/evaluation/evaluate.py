"""Evaluate policies and controllers in a race, alone or together, and record every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from racer.car.action_space import ActionSpace
from racer.car.spec import car_named
from racer.controllers import Controller
from racer.errors import ConfigError, EntryError
from racer.evaluation.lap_result import LapResult, RaceScene
from racer.laptime import LapTimeLimit, committed_limit
from racer.race import Ending, Race, RaceConfig
from racer.randomisation import NO_RANDOMISATION, Randomisation
from racer.sensors import Sensors, observation_of_car
from racer.simulation import Simulation
from racer.track import load_track

Policy = Callable[[Any], np.ndarray]
"""A function of observations (1, ...), for several sensors a dict of them, to actions (1, ...).

A recurrent policy is an object with the attribute `hidden_state_size` and the method `reset`, which
is called at the start of each race; each car needs its own."""
POLICY_FAILURES = {"hang": "policy_hang", "memory": "policy_memory", "retired": "retired"}
"""The ending of a race whose driver fails, by the code of its `EntryError`; else policy_crash.

A person who gives up has the code `retired`."""


class Driver(NamedTuple):
    """A policy with its sensors and its action space."""

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
    """Return the result of one race that a policy drives alone.

    Args:
        policy: Called with observations (1, ...) in each control step.
        sensor: The sensors that the policy observes.
        actions: The action space that its actions belong to.
        track: A shipped track's name, or a YAML file.
        race: Kind, laps, resets and time limit; see `make_race_rules`.
        seed: Seed of the environment, not negative.
        car: Name of the car's preset.

    Raises:
        RacerError: A track, car or number cannot be used.
    """
    return evaluate_drivers([Driver(policy, sensor, actions)], track, race, seed, car)[0]


def evaluate_together(
    drivers: Sequence[Driver | Controller],
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
) -> list[LapResult]:
    """Return the results of one race of several cars, from a grid in the drivers' order.

    The cars see and touch each other. When two touch, the rear one is at fault.

    Args:
        drivers: The drivers: policies with their sensors and actions, or controllers.
        track: A shipped track's name, or a YAML file.
        race: The rules.
        seed: Seed of the first driver; the next have the numbers after it.
        car: Name of the preset of every car.

    Raises:
        RacerError: A track, car or number cannot be used.
    """
    return evaluate_drivers(drivers, track, race, seed, car, is_together=True)


def evaluate_drivers(
    drivers: Sequence[Driver | Controller],
    track: str,
    rules: RaceConfig,
    seed: int,
    car: str,
    is_together: bool = False,
    randomisation: Randomisation = NO_RANDOMISATION,
) -> list[LapResult]:
    """Return the results of a race of each driver alone, or of all of them against each other.

    Args:
        drivers: The drivers; see `evaluate_together`.
        track: A shipped track's name, or a YAML file.
        rules: The race.
        seed: Seed of the first driver; the next have the numbers after it.
        car: Name of the preset of every car.
        is_together: Whether the cars start from a grid and meet each other.
        randomisation: What each car draws for its race.

    Returns:
        The result of each driver, in their order.
    """
    stepped = SteppedRace(drivers, track, rules, seed, car, is_together, randomisation)
    try:
        while not stepped.is_over:
            stepped.step()
        return [stepped.result(i) for i in range(len(drivers))]
    finally:
        stepped.close()


class SteppedRace:
    """A race of one driver, or of several against each other, driven one control step at a time.

    Args:
        drivers: The drivers; see `evaluate_together`.
        track: A shipped track's name, or a YAML file.
        rules: The race.
        seed: Seed of the first driver; the next have the numbers after it.
        car: Name of the preset of every car.
        is_together: Whether the cars start from a grid and meet each other.
        randomisation: What each car draws for its race.

    Attributes:
        race: The race as it is now.

    Raises:
        RacerError: A track, car or number cannot be used.
    """

    def __init__(
        self,
        drivers: Sequence[Driver | Controller],
        track: str,
        rules: RaceConfig,
        seed: int,
        car: str,
        is_together: bool = False,
        randomisation: Randomisation = NO_RANDOMISATION,
    ) -> None:
        if seed < 0:
            raise ConfigError(f"seed: {seed}; it must be 0 or more")
        _reset_policies(drivers)
        road, spec = load_track(track), car_named(car)
        carried = [driver.sensor if isinstance(driver, Driver) else () for driver in drivers]
        self._drivers, self._seed, count = drivers, seed, len(drivers)
        self._generators = [np.random.default_rng(seed + i) for i in range(count)]
        self._command = np.zeros((count, 2))
        self._simulation = Simulation(
            *(rules, [road], spec, carried),
            observes_ended=False,
            is_together=is_together,
            randomisation=randomisation,
        )
        self.race = self._simulation.race
        try:
            self._simulation.start(np.arange(count), self._generators)
        except BaseException:
            self.close()
            raise
        self._recorders = [_Recorder(self.race, i) for i in range(count)]
        is_alone = not is_together and rules.start == "line" and rules.start_offset == 0.0
        has_limit = is_alone and rules.direction == "forward"
        self._limit = committed_limit(road, spec) if has_limit else None
        self._scenes = [
            None if is_together else RaceScene(road, rules, sees, car) for sees in carried
        ]

    @property
    def is_over(self) -> bool:
        """Whether every driver's race has ended."""
        return not bool((self.race.ending == Ending.RUNNING).any())

    def step(self) -> None:
        """Let the drivers who still race act, and drive all cars for one control period."""
        race, command = self.race, self._command
        racing = np.flatnonzero(race.ending == Ending.RUNNING).tolist()
        for i in racing:
            observation = observation_of_car(self._simulation.observations_of(i), np.array([i]))
            try:
                command[i] = self._recorders[i].act(self._drivers[i], observation)
            except EntryError as problem:
                self._recorders[i].failure = problem
                race.ending[i] = Ending.IMMOBILISED  # so that its race ends here

        def reach() -> None:
            for i in racing:
                self._recorders[i].reach()

        self._simulation.step(command, self._generators, reach)
        for i in racing:
            self._recorders[i].record()

    def result(self, car: int) -> LapResult:
        """Return what a car has driven so far; its ending is `running` if its race goes on."""
        return self._recorders[car].result(self._seed + car, self._limit, self._scenes[car])

    def close(self) -> None:
        """Close the world."""
        self._simulation.close()


def _reset_policies(drivers: Sequence[Driver | Controller]) -> None:
    """Let recurrent policies forget what they saw before the race.

    Raises:
        ConfigError: Two cars share one.
    """
    policies = [driver.policy for driver in drivers if isinstance(driver, Driver)]
    recurrent: list[Any] = [one for one in policies if getattr(one, "hidden_state_size", 0)]
    if len({id(one) for one in recurrent}) < len(recurrent):
        raise ConfigError(
            "two cars share one recurrent policy, which remembers what one car saw; make a policy "
            "for each car"
        )
    for policy in recurrent:
        policy.reset()


class _Recorder:
    """Records what one car does, step by step.

    Args:
        race: The race.
        car: Index of the car in it.

    Attributes:
        failure: The error by which its policy ended its race, if it did.
    """

    def __init__(self, race: Race, car: int) -> None:
        self._race, self._car = race, car
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

    def act(self, driver: Driver | Controller, observation: Any) -> np.ndarray:
        """Return the driver's command, (2,), and record its action as the driver gave it."""
        race = self._race
        if not isinstance(driver, Driver):
            self._actions.append(driver.command(race.world.state, race.place, self._car))
            return self._actions[-1]
        action = driver.policy(observation)
        command = driver.actions.command(action)[0]
        self._actions.append(np.array(action[0]))
        return command

    def reach(self) -> None:
        """Record the body row that the car reached, before a fault returns it to the track."""
        if not self.failure:
            self._reached.append(self._race.world.state.body[self._car].copy())

    def record(self) -> None:
        """Record the step's end, unless the policy had failed before it."""
        if self.failure:
            return
        race, car, state = self._race, self._car, self._race.world.state
        self._body.append(state.body[car].copy())
        self._waiting.append(bool(race.is_waiting[car]))
        self._steering.append(float(state.steering[car]))
        self._time.append(float(race.time[car]))
        self._command.append(state.command[car].copy())
        judged = race.progress[car], race.wheels_on_road[car], race.fault[car]
        self._judged.append((float(judged[0]), int(judged[1]), int(judged[2])))
        self._boxes.append(race.world.boxes[car].copy())

    def result(self, seed: int, limit: LapTimeLimit | None, scene: RaceScene | None) -> LapResult:
        """Return the race of this car.

        Args:
            seed: Of the car.
            limit: The minimum lap time that holds for it, if there is one.
            scene: What a picture of the race shows beside the car, if it raced alone.
        """
        race, car = self._race, self._car
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
            ending=self._ending(),
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

    def _ending(self) -> str:
        if self.failure:
            return POLICY_FAILURES.get(self.failure.code, "policy_crash")
        return Ending(int(self._race.ending[self._car])).name.lower()
