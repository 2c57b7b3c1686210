"""Some of the cars that train, in a process on a node of a cluster. It does not import torch."""

from __future__ import annotations

import pickle
import random
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from racer.envs import RacerVectorEnv
from racer.errors import RacerError, RewardError
from racer.sensors import Observations, observation_of_car
from racer.training.episodes import EpisodeRunner
from racer.training.file_copies import read_carried
from racer.training.live_frames import car_poses
from racer.training.worker import WorkerFailure, seed_everything

P = ParamSpec("P")
T = TypeVar("T")


class CarsAnswer(NamedTuple):
    """What the cars of a worker did on an order.

    Attributes:
        seen: Current observations of its k cars, each array (k, ...).
        poses: Where each car is, (k, 4); see `racer.training.live_frames.car_poses`.
        rewards: Rewards, (k,) float32; zeros after a reset.
        done: Whether each car's episode ended, (k,) bool.
        truncated: Whether a time limit ended it, (k,) bool.
        last: Observations of the cars that are done before they were reset, each array (m, ...).
        episodes: The records of the ended episodes by the cars' indices among all cars.
        snapshot: The state after the order, if it was asked for and the reward's can be saved.
    """

    seen: Observations
    poses: np.ndarray
    rewards: np.ndarray
    done: np.ndarray
    truncated: np.ndarray
    last: Observations | None = None
    episodes: dict[int, dict[str, Any]] = {}
    snapshot: bytes | None = None


class ClusterCars:
    """Cars that are driven on orders from the learner's machine.

    An order that fails returns a `WorkerFailure`.

    Args:
        folder: The folder with the run's config and its files; see `read_carried`.
        first: Index of the first car among all cars that train.
        last: Index of the car after the last one.
    """

    def __init__(self, folder: Path, first: int, last: int) -> None:
        self._folder, self._first, self._last = folder, first, last
        self._cars: EpisodeRunner | None = None

    def begin(self) -> WorkerFailure | None:
        """Make the cars."""

        def make() -> None:
            env = RacerVectorEnv(self._last - self._first, **read_carried(self._folder).env)
            self._cars = EpisodeRunner(env, self._first)

        return _failing_softly(make)

    def reset(self, seeds: Sequence[int | None]) -> CarsAnswer | WorkerFailure:
        """Reset every car, and return its state too; see `EpisodeRunner.reset`.

        Args:
            seeds: A seed for each car, or None where a car's generator continues.
        """
        return _failing_softly(self._reset, seeds)

    def step(self, actions: np.ndarray, is_kept: bool) -> CarsAnswer | WorkerFailure:
        """Drive one control step; see `EpisodeRunner.step`.

        Args:
            actions: Actions of the cars, (k, ...).
            is_kept: Whether the answer holds the state afterwards.
        """
        return _failing_softly(self._step, actions, is_kept)

    def restore(self, snapshot: bytes, actions: Sequence[np.ndarray]) -> WorkerFailure | None:
        """Go on where another process was: from a state, by the actions since.

        Args:
            snapshot: The state.
            actions: The actions of each control step since, (k, ...).
        """

        def go_on() -> None:
            state = pickle.loads(snapshot)
            self._runner.set_state(state["cars"])
            random.setstate(state["random"])
            np.random.set_state(state["numpy"])  # noqa: NPY002
            for one in actions:
                self._runner.step(one.copy())

        return _failing_softly(go_on)

    @property
    def _runner(self) -> EpisodeRunner:
        assert self._cars is not None
        return self._cars

    def _reset(self, seeds: Sequence[int | None]) -> CarsAnswer:
        if seeds[0] is not None:
            seed_everything(seeds[0])
        seen = self._runner.reset(seeds)
        nobody = np.zeros(len(seeds), dtype=bool)
        rewards = np.zeros(len(seeds), np.float32)
        poses = car_poses(self._runner.env)
        return CarsAnswer(seen, poses, rewards, nobody, nobody, snapshot=self._snapshot())

    def _step(self, actions: np.ndarray, is_kept: bool) -> CarsAnswer:
        runner = self._runner
        driven = runner.step(actions.copy())
        last = None
        if driven.last is not None:
            last = observation_of_car(driven.last, np.flatnonzero(driven.done))
        return CarsAnswer(
            runner.env.observations,
            car_poses(runner.env),
            *driven[:3],
            last,
            {self._first + car: episode for car, episode in driven.episodes.items()},
            self._snapshot() if is_kept else None,
        )

    def _snapshot(self) -> bytes | None:
        try:
            cars = self._runner.get_state()
        except RewardError:  # A variable of it cannot be saved; it can still train.
            return None
        numpy_state = np.random.get_state()  # noqa: NPY002
        state = {"cars": cars, "random": random.getstate(), "numpy": numpy_state}
        return pickle.dumps(state, pickle.HIGHEST_PROTOCOL)


def _failing_softly(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | WorkerFailure:
    """Call a function, and return its value or a `WorkerFailure`.

    Args:
        work: The function.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """
    try:
        return work(*args, **kwargs)
    except RacerError as problem:
        return WorkerFailure(type(problem), str(problem))
    except Exception:
        return WorkerFailure(None, traceback.format_exc())
