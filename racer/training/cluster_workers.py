"""Cars on the nodes of a cluster: a supervisor that replaces workers which are lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from racer.car.spec import car_named
from racer.errors import RacerError, RunError
from racer.reward.reward_file import LOADING_TIMEOUT_S
from racer.sensors import Observations, make_sensors
from racer.track import load_track
from racer.training.cluster_cars import CarsAnswer, ClusterCars
from racer.training.config import RunConfig
from racer.training.episodes import ControlStep
from racer.training.file_copies import carried_config
from racer.training.worker import WorkerFailure
from racer.training.workers import START_TIMEOUT_S, STEP_TIMEOUT_S, worker_count

if TYPE_CHECKING:
    from pathlib import Path

    from racer.cluster.ray_cluster import RayCluster, RemoteObject

SNAPSHOT_STEPS = 128
"""Control steps between two states of a worker that the supervisor keeps."""
MAX_REPLACEMENTS = 100
"""How often the workers of one training may be replaced."""


class _ClusterWorker:
    """A worker, as its supervisor sees it.

    Args:
        name: Its name in error messages.
        first: Index of its first car.
        last: Index of the car after its last one.

    Attributes:
        remote: Its cars, in a process on a node.
        snapshot: A state of them; None before the first reset, or if it cannot be saved.
        actions: The actions of each control step since that state.
        order: The method that was called last, with its arguments; empty before the first.
        seconds: Time limit of the next answer [s].
    """

    def __init__(self, name: str, first: int, last: int) -> None:
        self.name, self.first, self.last = name, first, last
        self.remote: RemoteObject
        self.snapshot: bytes | None = None
        self.actions: list[np.ndarray] = []
        self.order: tuple[Any, ...] = ()
        self.seconds = START_TIMEOUT_S

    @property
    def label(self) -> str:
        """Its name and its node's."""
        node = self.remote.node
        return f"{self.name} on node {node}" if node else self.name


class ClusterWorkers:
    """n cars, divided among workers on the nodes of a cluster, each of which holds a core.

    Each car drives bit for bit as it would alone. A worker that is lost, with its node or alone, is
    replaced: the new one goes on from the last state that the supervisor has, by the actions since,
    so the training has the same bytes. Only if a car touched something in the step before that
    state may its last digits differ.

    Args:
        config: The run's config. `workers` is their number; auto: one for each core of the cluster,
            but for few cars less.
        cluster: The cluster, whose `say` is called with a line for each loss.
        deadline: Time limit of a control step [s].

    Attributes:
        num_envs: Number of cars.
        count: Number of workers.
        single_observation_space: Observation space of one car.
        single_action_space: Action space of one car.
        observations: Current observations, each array (n, ...); later steps do not write to them.
        poses: Where each car is, (n, 4).
        render_mode: None; the cars cannot be rendered.

    Raises:
        RacerError: The config, a track or the reward file cannot be used.
        RunError: The cluster has fewer cores than workers, or a worker cannot be started.
        ClusterError: A node has other software than this machine.
    """

    def __init__(
        self, config: RunConfig, cluster: RayCluster, deadline: float = STEP_TIMEOUT_S
    ) -> None:
        track, car = load_track(config.track[0]), car_named(config.car)
        suite = make_sensors(config.sensor, car, track, 1, config.race.walls)
        cars = config.num_envs
        self.num_envs, self.render_mode, self._deadline = cars, None, deadline
        self.single_observation_space = suite.space
        self.single_action_space = config.actions.space()
        self.poses = np.zeros((cars, 4), np.float32)
        self.cluster, self._config, self._replaced = cluster, config, 0
        self.count = worker_count(config.workers, cars, lambda: cluster.cores)
        if self.count > cluster.cores:
            raise RunError(
                f"workers {self.count}: the cluster has {cluster.cores} cores, and each worker "
                f"needs one; give --workers {max(1, cluster.cores)} or auto, or start more nodes"
            )
        ends = [cars * k // self.count for k in range(self.count + 1)]
        self._workers = [
            _ClusterWorker(
                f"worker {number} of {self.count} (cars {first} to {last - 1})", first, last
            )
            for number, (first, last) in enumerate(pairwise(ends), 1)
        ]
        try:
            with carried_config(config) as folder:
                for worker in self._workers:
                    self._start(worker, folder)
                for worker in self._workers:
                    self._begin_or_replace(worker)
        except BaseException:
            self.close()
            raise
        self.observations: Observations = {}

    def _start(self, worker: _ClusterWorker, folder: Path) -> None:
        """Start a worker's process.

        Args:
            worker: The worker.
            folder: The folder with the config and its files.
        """
        worker.remote = self.cluster.start(ClusterCars, folder, worker.first, worker.last)
        worker.seconds = START_TIMEOUT_S

    def _begin(self, worker: _ClusterWorker) -> None:
        """Wait until a worker's process is there, and let it make its cars."""
        try:
            worker.remote.started(START_TIMEOUT_S)
        except TimeoutError as problem:
            raise RunError(
                f"{worker.name}: no node had a free core for it within {START_TIMEOUT_S:g} s; "
                "start more, or train with fewer --workers; a run that has begun can be resumed"
            ) from problem
        worker.remote.call("begin")
        self._result(worker, START_TIMEOUT_S)

    def _begin_or_replace(self, worker: _ClusterWorker) -> None:
        from racer.cluster.ray_cluster import WorkerLost

        try:
            self._begin(worker)
        except WorkerLost as problem:
            self._replace(worker, problem)

    def reset(self, seeds: Sequence[int | None] | None) -> Observations:
        """Reset every car; see `EpisodeRunner.reset`.

        Args:
            seeds: A seed for each car, or None where a car's generator continues; None for all.

        Returns:
            The first observations, each array (n, ...).

        Raises:
            RunError: A worker hangs, raised an exception, or cannot be replaced.
            RewardError: The reward file raises or hangs.
        """
        given = [None] * self.num_envs if seeds is None else list(seeds)
        for worker in self._workers:
            self._order(worker, "reset", given[worker.first : worker.last])
        answers = self._gather(LOADING_TIMEOUT_S + self._deadline)
        for worker, answer in zip(self._workers, answers):
            worker.snapshot, worker.actions = answer.snapshot, []
        return self._take(answers)

    def step(self, actions: np.ndarray) -> ControlStep:
        """Drive every car for one control step; see `EpisodeRunner.step`.

        Args:
            actions: Actions of the cars, (n, ...).

        Raises:
            RunError: A worker hangs, raised an exception, or cannot be replaced.
            RewardError: The reward function raises, hangs or does not return a number.
        """
        for worker in self._workers:
            own = np.array(actions[worker.first : worker.last])
            is_kept = worker.snapshot is not None and len(worker.actions) + 1 >= SNAPSHOT_STEPS
            self._order(worker, "step", own, is_kept)
        answers = self._gather(self._deadline)
        for worker, answer in zip(self._workers, answers):
            worker.actions.append(worker.order[1])
            if answer.snapshot is not None:
                worker.snapshot, worker.actions = answer.snapshot, []
        self._take(answers)
        done = np.concatenate([answer.done for answer in answers])
        last = None
        if done.any():
            ended = [answer.last for answer in answers if answer.last is not None]
            last = _spread(_joined(ended), done)
        episodes = {car: one for answer in answers for car, one in answer.episodes.items()}
        return ControlStep(
            np.concatenate([answer.rewards for answer in answers]),
            done,
            np.concatenate([answer.truncated for answer in answers]),
            last,
            dict(sorted(episodes.items())),
        )

    def _take(self, answers: Sequence[CarsAnswer]) -> Observations:
        """Set and return the current observations."""
        self.observations = _joined([answer.seen for answer in answers])
        self.poses = np.concatenate([answer.poses for answer in answers])
        return self.observations

    def _order(self, worker: _ClusterWorker, method: str, *arguments: Any) -> None:
        worker.order = (method, *arguments)
        worker.remote.call(method, *arguments)

    def _gather(self, seconds: float) -> list[CarsAnswer]:
        """Return the answers of all workers to the last order, in their order.

        Args:
            seconds: Time limit of each [s].
        """
        return [self._answer(worker, seconds) for worker in self._workers]

    def _answer(self, worker: _ClusterWorker, seconds: float) -> CarsAnswer:
        """Return a worker's answer; if it is lost, that of its replacement."""
        from racer.cluster.ray_cluster import WorkerLost

        while True:
            try:
                # In the first step numba may have to compile.
                answer = self._result(worker, max(seconds, worker.seconds))
                worker.seconds = 0.0 if worker.order[0] == "step" else worker.seconds
                return answer
            except WorkerLost as problem:
                self._replace(worker, problem)

    def _replace(self, worker: _ClusterWorker, why: RacerError) -> None:
        """Let a new process go on in place of a lost one, and repeat the order to it.

        Args:
            worker: The worker.
            why: How it was lost.

        Raises:
            RunError: Its state is not known, or too many were lost.
        """
        from racer.cluster.ray_cluster import WorkerLost

        while True:
            self._replaced += 1
            where, lost = worker.label, f"{worker.label} is lost: {why}"
            worker.remote.end()
            if worker.snapshot is None and worker.order[:1] == ("step",):
                self._end(
                    f"{lost}; its cars cannot go on elsewhere, because a variable of the reward "
                    "cannot be saved; the run can be resumed"
                )
            if self._replaced > MAX_REPLACEMENTS:
                self._end(
                    f"{lost}; workers were replaced {MAX_REPLACEMENTS} times, which is too often: "
                    "look into Ray's logs on the nodes; the run can be resumed"
                )
            self.cluster.tell_lost_nodes()
            self.cluster.say(f"{lost}; another one takes its cars over")
            began = time.perf_counter()
            try:
                with carried_config(self._config) as folder:
                    self._start(worker, folder)
                    self._begin(worker)
                if worker.snapshot is not None:
                    worker.remote.call("restore", worker.snapshot, worker.actions)
                    self._result(worker, START_TIMEOUT_S)
                if worker.order:
                    self._order(worker, *worker.order)
            except WorkerLost as problem:
                why = problem
                continue
            took = time.perf_counter() - began
            self.cluster.say(
                f"{worker.label} goes on for {where} after {took:.1f} s: {len(worker.actions)} "
                "control steps were driven again"
            )
            return

    def _result(self, worker: _ClusterWorker, seconds: float) -> Any:
        """Return a worker's answer.

        Args:
            worker: The worker.
            seconds: Time limit [s].

        Raises:
            WorkerLost: It is lost.
            RacerError: It failed, or the time is up.
        """
        try:
            answer = worker.remote.result(seconds)
        except TimeoutError:
            self._end(
                f"{worker.label}: still busy after {seconds:g} s; a loop that does not end, a call "
                "that hangs, or a node that stands still? the run can be resumed"
            )
        if isinstance(answer, WorkerFailure):
            self._fail(worker, answer)
        return answer

    def _fail(self, worker: _ClusterWorker, failure: WorkerFailure) -> NoReturn:
        """End the workers, and raise the error that one of them met.

        Args:
            worker: The worker.
            failure: Its error.
        """
        label = worker.label
        self.close()
        kind: type[RacerError] = failure.kind or RunError
        raise kind(f"{label}: {failure.message}")

    def _end(self, why: str) -> NoReturn:
        self.close()
        raise RunError(why)

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            if hasattr(worker, "remote"):
                worker.remote.end()
        self._workers = []


def _joined(parts: Sequence[Observations]) -> Observations:
    """Return the observations of all workers' cars in new arrays, each (n, ...)."""
    first = parts[0]
    if isinstance(first, dict):
        dicts: Any = parts
        return {name: np.concatenate([part[name] for part in dicts]) for name in first}
    return np.concatenate(list(parts))  # pyright: ignore[reportArgumentType, reportCallIssue]


def _spread(rows: Observations, done: np.ndarray) -> Observations:
    """Return arrays (n, ...) with the observations of the cars that are done, zeros elsewhere.

    Args:
        rows: The observations of these cars, each array (m, ...).
        done: Whether each car is done, (n,) bool.
    """
    if isinstance(rows, dict):
        return {name: _spread_one(values, done) for name, values in rows.items()}
    return _spread_one(rows, done)


def _spread_one(values: np.ndarray, done: np.ndarray) -> np.ndarray:
    whole = np.zeros((len(done), *values.shape[1:]), values.dtype)
    whole[done] = values
    return whole
