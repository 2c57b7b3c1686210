"""The drivers that a policy can imitate: baseline controllers, and the policies of entries."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from racer.controllers import CONTROLLERS, Controller, make_controller
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import Entry
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError
from racer.sensors import make_sensors, observation_of_car
from racer.simulation import sensor_input


class Teacher(Protocol):
    """A driver that knows a command in every state of a car, so that it can correct a learner."""

    def start(self, cars: np.ndarray) -> None:
        """Begin an episode of some cars, (k,)."""
        ...

    def commands(self) -> np.ndarray:
        """Return the command for each of the n cars: steering [rad] and speed [m/s], (n, 2).

        It is called once in each control step, before the cars are driven.
        """
        ...


class ControllerTeacher:
    """A baseline controller, which knows the true state of a car.

    Args:
        name: The controller's name.
        env: The environment of the n cars.
    """

    def __init__(self, name: str, env: RacerVectorEnv) -> None:
        self._name, self._env = name, env
        self._by_line: dict[int, Controller] = {}
        self._of_car: dict[int, Controller] = {}

    def start(self, cars: np.ndarray) -> None:
        """See `Teacher.start`."""
        for car in cars.tolist():
            line = int(self._env.race.road.line[car])
            if line not in self._by_line:
                track = self._env.race.roads.lines[line]
                self._by_line[line] = make_controller(self._name, track, self._env.car)
            # A controller may remember where its car was, so each car has its own.
            self._of_car[car] = copy.copy(self._by_line[line])

    def commands(self) -> np.ndarray:
        """See `Teacher.commands`."""
        race = self._env.race
        state, place = race.world.state, race.place
        return np.array(
            [self._of_car[car].command(state, place, car) for car in range(self._env.num_envs)]
        )


class PolicyTeacher:
    """The policy of an entry, which sees each car's surroundings through its own sensors.

    Args:
        entry: The entry.
        env: The environment of the n cars.

    Raises:
        EntryError: The entry's graph cannot be used.
        ConfigError: The entry drives another car than the environment's.
    """

    def __init__(self, entry: Entry, env: RacerVectorEnv) -> None:
        manifest = entry.manifest
        if manifest.car != env.config.car:
            raise ConfigError(
                f"{manifest.name} drives the car {manifest.car}, the config's car is "
                f"{env.config.car}; a driver can only be cloned for its own car: set car: "
                f"{manifest.car} in the config"
            )
        self._env, self._actions = env, manifest.actions
        # A recurrent policy remembers what its car saw, so each car has its own.
        count = env.num_envs if manifest.hidden_state_size else 1
        self._policies = [OnnxPolicy(entry) for _ in range(count)]
        walls = env.config.race.walls
        self._suites = [
            make_sensors(manifest.sensor, env.car, track, env.num_envs, walls)
            for track in env.tracks
        ]

    def start(self, cars: np.ndarray) -> None:
        """See `Teacher.start`."""
        for car in cars.tolist() if self._policies[0].hidden_state_size else ():
            self._policies[car].reset()
        for track, members in self._by_track(cars):
            self._suites[track].start(members, self._env.race.draws.rows)

    def commands(self) -> np.ndarray:
        """See `Teacher.commands`."""
        n = self._env.num_envs
        seen, perceived = self._suites[0].buffer(n), sensor_input(self._env.race)
        for track, members in self._by_track(np.arange(n)):
            self._suites[track].observe(perceived, members, seen)
        actions = [
            self._policies[car % len(self._policies)](observation_of_car(seen, np.array([car])))
            for car in range(n)
        ]
        return self._actions.command(np.concatenate(actions))

    def _by_track(self, cars: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the index of each track on which some of the cars drive, and these cars."""
        track = self._env.race.road.of(cars).track
        for one in np.unique(track).tolist():
            yield one, cars[track == one]


def make_teacher(driver: Entry | str, env: RacerVectorEnv) -> Teacher:
    """Return a driver as a teacher of the cars of an environment.

    Args:
        driver: An entry, or the name of a baseline controller.
        env: The environment.

    Raises:
        RacerError: There is no such controller, or the entry cannot be used.
    """
    if not isinstance(driver, str):
        return PolicyTeacher(driver, env)
    if driver not in CONTROLLERS:
        raise ConfigError(f"no controller {driver!r}; known: {', '.join(CONTROLLERS)}")
    return ControllerTeacher(driver, env)
