"""The simulation loop under the environments, the evaluation and the reward check."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from racer.car.spec import CarSpec
from racer.race import Race, RaceConfig
from racer.race.config import RUNNING
from racer.sensors import (
    Observations,
    SensorInput,
    Sensors,
    SensorSuite,
    copy_observations,
    make_sensors,
)
from racer.track import Track


def sensor_input(race: Race) -> SensorInput:
    """Return what the sensors of a race's cars can perceive now."""
    world = race.world
    return SensorInput(world.state, race.place, race.is_reversed, world.boxes, race.colours)


class Simulation:
    """n cars in a race, each with its sensors: the one place that fixes the order of a step.

    `start` draws the episode, puts cars on the track and observes. `step` drives one control
    period, applies the rules, lets `on_driven` see where the cars got, returns faulty cars to the
    track, and observes.

    Args:
        rules: The race.
        tracks: Where it is driven; of several each car draws one for each episode.
        spec: The vehicle.
        sensors: What each of the n cars carries; cars with the same sensors share their buffers.
        observes_ended: Whether a car whose episode has ended still observes: its final
            observation, which environments return.
        **race_options: Further arguments of `Race`: gui, is_together, randomisation, rate,
            max_steps, engine.

    Attributes:
        race: Rules, laps and endings.
        world: The physics.
        durations: Wall time of the steps so far by part [s]: physics, reward (`on_driven`) and
            sensors.

    Raises:
        RacerError: A track or vehicle that cannot be used.
    """

    def __init__(
        self,
        rules: RaceConfig,
        tracks: Sequence[Track],
        spec: CarSpec,
        sensors: Sequence[Sensors],
        observes_ended: bool = True,
        **race_options: Any,
    ) -> None:
        n = len(sensors)
        self.race = Race(rules, tracks, spec, n, **race_options)
        self.world = self.race.world
        self.durations = {"physics": 0.0, "sensors": 0.0, "reward": 0.0}
        self._observes_ended = observes_ended
        self._everyone = np.arange(n)
        kinds = list(dict.fromkeys(sensors))
        self._kind = np.array([kinds.index(carried) for carried in sensors])
        self._suites = [
            [make_sensors(kind, spec, track, n, rules.walls) for kind in kinds] for track in tracks
        ]
        self._observations = [suite.buffer(n) for suite in self._suites[0]]

    def suite_of(self, car: int) -> SensorSuite:
        """Return the sensors that a car carries on the first track."""
        return self._suites[0][self._kind[car]]

    def observations_of(self, car: int) -> Observations:
        """Return the current observations of all cars with the same sensors as this one.

        Returns:
            An array (n, ...), for several sensors a dict of them. No later step writes to it; the
            rows of cars with other sensors are 0.
        """
        return self._observations[self._kind[car]]

    def start(self, cars: np.ndarray, generators: list[np.random.Generator]) -> None:
        """Start the next episode of some cars, and observe.

        Args:
            cars: Their indices, (k,).
            generators: The random generator of each of the n cars.
        """
        self.race.start(cars, generators)
        for suite, _, members in self._carriers(cars):
            suite.start(members, self.race.draws.rows)
        self._observe(cars)

    def step(
        self,
        command: np.ndarray,
        generators: list[np.random.Generator],
        on_driven: Callable[[], None] | None = None,
    ) -> None:
        """Advance all cars by one control period.

        Args:
            command: Steering [rad, positive to the left] and speed [m/s], (n, 2).
            generators: The random generator of each of the n cars.
            on_driven: Called when the rules have been applied, before faulty cars return to the
                track: rewards and records are about the place that a car reached.
        """
        began = time.perf_counter()
        self.race.step(command, generators)
        driven = time.perf_counter()
        if on_driven is not None:
            on_driven()
        paid = time.perf_counter()
        self.race.reset_to_track(generators)
        self._observe(self._everyone)
        self.durations["physics"] += driven - began
        self.durations["reward"] += paid - driven
        self.durations["sensors"] += time.perf_counter() - paid

    def get_state(self) -> dict[str, Any]:
        """Return all that starts and steps change, but for the generators; it can be pickled."""
        return {
            "race": self.race.get_state(),
            "sensors": [[suite.get_state() for suite in suites] for suites in self._suites],
            "observations": [copy_observations(seen) for seen in self._observations],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state of a simulation of the same race, cars and sensors."""
        self.race.set_state(state["race"])
        for suites, taken in zip(self._suites, state["sensors"]):
            for suite, own in zip(suites, taken):
                suite.set_state(own, self.race.draws.rows)
        self._observations = [copy_observations(seen) for seen in state["observations"]]

    def close(self) -> None:
        """Close the world."""
        self.world.close()

    def _observe(self, cars: np.ndarray) -> None:
        """Observe for some cars, (k,); arrays of earlier steps are never written to."""
        if not self._observes_ended:
            cars = cars[self.race.ending[cars] == RUNNING]
        is_partial = len(cars) < self.race.n or len(self._observations) > 1
        self._observations = [
            copy_observations(seen) if is_partial else suite.buffer(self.race.n)
            for seen, suite in zip(self._observations, self._suites[0])
        ]
        perceived = sensor_input(self.race)
        for suite, kind, members in self._carriers(cars):
            suite.observe(perceived, members, self._observations[kind])

    def _carriers(self, cars: np.ndarray) -> Iterator[tuple[SensorSuite, int, np.ndarray]]:
        """Yield each suite in use, the index of its buffer, and which of cars (k,) carry it."""
        by_track = [(0, cars)]
        if len(self._suites) > 1:
            track = self.race.road.of(cars).track
            by_track = [(one, cars[track == one]) for one in np.unique(track).tolist()]
        for track, there in by_track:
            for kind, suite in enumerate(self._suites[track]):
                members = (
                    there if len(self._observations) == 1 else there[self._kind[there] == kind]
                )
                if len(members):
                    yield suite, kind, members
