"""Cars in several processes: a supervisor that shares memory with workers and monitors them."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np

from racer.assets.document import validate_document
from racer.assets.processes import usable_cores
from racer.car.spec import car_named
from racer.envs import EnvConfig
from racer.errors import RacerError, RunError
from racer.reward.reward_file import CALLS_TIMEOUT_S, LOADING_TIMEOUT_S
from racer.sensors import Observations, copy_observations, make_sensors
from racer.track import load_track
from racer.training.episodes import ControlStep
from racer.training.shared_memory import memory_layout, shared_arrays, shared_block
from racer.training.worker import LOCATE_SIGNAL, WorkerFailure, WorkerPlan, run_worker

STEP_TIMEOUT_S = 2 * CALLS_TIMEOUT_S
"""Time limit of a control step [s]. A worker's own time limit for the calls of the reward is
shorter, so that a reward that hangs is reported by its worker."""
START_TIMEOUT_S = 300.0
"""Time limit until a worker is ready to drive [s]; numba may have to compile first."""
STOP_SIGNALS = tuple(one for one in signal.Signals if one.name in ("SIGINT", "SIGTERM", "SIGHUP"))
"""Signals that end a training after saving a checkpoint; Windows has no SIGHUP."""

POLL_S = 0.5
"""Longest time that a supervisor waits for an answer in one call [s]; see `WorkerPool._gather`."""
MIN_CARS_PER_WORKER = 32
"""Smallest number of cars per worker if `workers` is auto. For fewer cars, starting a process and
synchronizing with it takes longer than simulating them in the main process."""
_STARTING = threading.Lock()
"""Held while a worker starts, because all threads share `sys.modules["__main__"]`."""


def stop_signal_handlers() -> dict[signal.Signals, Any]:
    """Return the present handler of each of `STOP_SIGNALS`.

    Without SIGHUP if it is ignored, as nohup has it: it stays ignored.
    """
    handlers = {one: signal.getsignal(one) for one in STOP_SIGNALS}
    return {
        one: handler
        for one, handler in handlers.items()
        if one.name != "SIGHUP" or handler != signal.SIG_IGN
    }


class _Worker(NamedTuple):
    """A worker, as its supervisor sees it.

    Attributes:
        name: Its name in error messages.
        plan: Its task.
        process: The process.
        orders: Pipe for orders and answers.
        where: Pipe for the worker's call stack.
    """

    name: str
    plan: WorkerPlan
    process: BaseProcess
    orders: Connection
    where: Connection


def worker_count(
    wanted: int | Literal["auto"], cars: int, cores: Callable[[], int] = usable_cores
) -> int:
    """Return the number of worker processes for a number of cars; 1 means the main process.

    `auto` is one worker for each core, but at least
    `MIN_CARS_PER_WORKER` cars each. No core is reserved for the learner, because the learner and
    the workers wait for each other.

    Args:
        wanted: The config's `workers`.
        cars: Number of cars.
        cores: Returns the number of cores; those that this process may use by default.
    """
    if wanted == "auto":
        wanted = min(cores(), cars // MIN_CARS_PER_WORKER)
    return max(1, min(wanted, cars))


class WorkerPool:
    """n cars, divided among several worker processes.

    Each car drives bit for bit as it would alone. If a worker dies, does not answer in time or
    sends an error, all workers are ended, and an error with the worker's name is raised. No worker
    outlives this process, however this process ends.

    Args:
        cars: Number of cars.
        count: Number of workers.
        config: The fields of `EnvConfig`.
        deadline: Time limit of a control step [s].

    Attributes:
        num_envs: Number of cars.
        count: Number of workers.
        single_observation_space: Observation space of one car.
        single_action_space: Action space of one car.
        observations: Current observations, each array (n, ...); later steps do not write to them.
        render_mode: None; the cars cannot be rendered.

    Raises:
        RacerError: The config, a track or the reward file cannot be used.
        RunError: A worker cannot be started.
    """

    def __init__(
        self, cars: int, count: int, config: dict[str, Any], deadline: float = STEP_TIMEOUT_S
    ) -> None:
        checked = validate_document(config, EnvConfig, "racer environment")
        track, car = load_track(checked.track[0]), car_named(checked.car)
        suite = make_sensors(checked.sensor, car, track, 1, checked.race.walls)
        self.num_envs, self.count = cars, count
        self.render_mode, self._deadline = None, deadline
        self.single_observation_space = suite.space
        self.single_action_space = checked.actions.space()
        self._next_deadline = START_TIMEOUT_S  # In the first step, too, numba may have to compile.
        self._layout = memory_layout(suite.space, self.single_action_space, cars)
        context = multiprocessing.get_context("spawn")
        self._block = shared_block(self._layout, context)
        self._arrays = shared_arrays(self._layout, self._block, 0, cars)
        self.observations: Observations = copy_observations(self._arrays.seen)
        self._workers: list[_Worker] = []
        ends = [cars * k // count for k in range(count + 1)]
        try:
            for number, (first, last) in enumerate(pairwise(ends), 1):
                name = f"worker {number} of {count} (cars {first} to {last - 1})"
                plan = WorkerPlan(first, last, config, os.getpid())
                self._workers.append(self._start(name, plan, context))
            self._gather(START_TIMEOUT_S)
        except BaseException:
            self._kill()
            raise

    @property
    def poses(self) -> np.ndarray:
        """Where each car is; see `racer.training.live_frames.car_poses`."""
        return self._arrays.poses

    def _start(self, name: str, plan: WorkerPlan, context: Any) -> _Worker:
        """Start one worker.

        Args:
            name: Its name in error messages.
            plan: Its task.
            context: The context of `multiprocessing`.
        """
        orders, theirs = context.Pipe()
        where, its_where = context.Pipe(duplex=False)
        parts = (plan, self._layout, self._block, theirs, its_where)
        process = context.Process(target=run_worker, args=parts, name=name, daemon=True)
        with _without_signals_and_script():
            process.start()
        theirs.close()
        its_where.close()
        return _Worker(name, plan, process, orders, where)

    def reset(self, seeds: Sequence[int | None] | None) -> Observations:
        """Reset every car; see `EpisodeRunner.reset`.

        Args:
            seeds: A seed for each car, or None where a car's generator continues; None for all.

        Returns:
            The first observations, each array (n, ...).

        Raises:
            RunError: A worker died, hangs or raised an exception.
            RewardError: The reward file raises or hangs.
        """
        given = [None] * self.num_envs if seeds is None else list(seeds)
        for worker in self._workers:
            self._send_order(worker, given[worker.plan.first : worker.plan.last])
        self._gather(LOADING_TIMEOUT_S + self._deadline)
        self.observations = copy_observations(self._arrays.seen)
        return self.observations

    def step(self, actions: np.ndarray) -> ControlStep:
        """Drive every car for one control step; see `EpisodeRunner.step`.

        Args:
            actions: Actions of the cars, (n, ...).

        Raises:
            RunError: A worker died, hangs or raised an exception.
            RewardError: The reward function raises, hangs or does not return a number.
        """
        now = self._arrays
        now.actions[:] = actions
        for worker in self._workers:
            self._send_order(worker, None)
        episodes = self._gather(self._next_deadline)
        self._next_deadline = self._deadline
        self.observations = copy_observations(now.seen)
        last = copy_observations(now.last) if episodes else None
        return ControlStep(
            now.rewards.copy(), now.done.copy(), now.truncated.copy(), last, episodes
        )

    def _send_order(self, worker: _Worker, order: Any) -> None:
        try:
            worker.orders.send(order)
        except OSError:
            self._died(worker)

    def _gather(self, seconds: float) -> dict[int, dict[str, Any]]:
        """Wait for the answers of all workers, and return the records of the ended episodes.

        Args:
            seconds: Time limit for all answers [s].

        Returns:
            The records by the cars' indices, in ascending order.
        """
        waiting = {worker.orders: worker for worker in self._workers}
        episodes: dict[int, dict[str, Any]] = {}
        left = seconds
        while waiting:
            # The time limit is counted down in short waits instead of by the clock, so that a
            # process group that is suspended (SIGSTOP) and continued loses one wait at most.
            ready = wait(list(waiting), min(left, POLL_S))
            left -= 0.0 if ready else POLL_S
            if left <= 0.0:
                self._is_late(next(iter(waiting.values())), seconds)
            for pipe in ready:
                worker = waiting.pop(pipe)  # pyright: ignore[reportArgumentType]
                try:
                    answer = worker.orders.recv()
                except (EOFError, OSError):
                    self._died(worker)
                if isinstance(answer, WorkerFailure):
                    self._failed(worker, answer)
                episodes |= answer
        return dict(sorted(episodes.items()))

    def _failed(self, worker: _Worker, failure: WorkerFailure) -> NoReturn:
        self._kill()
        kind: type[RacerError] = failure.kind or RunError
        raise kind(f"{worker.name}: {failure.message}")

    def _died(self, worker: _Worker) -> NoReturn:
        worker.process.join(self._deadline)
        code = worker.process.exitcode
        self._kill()
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
            how += "; is the machine out of memory?" if -code == signal.SIGKILL else ""
        else:
            how = f"ended with exit code {code}; did the reward, or a package it uses, end it?"
        raise RunError(f"{worker.name}, process {worker.process.pid}, {how}")

    def _is_late(self, worker: _Worker, seconds: float) -> NoReturn:
        said = f"{worker.name}: still busy after {seconds:g} s"
        where = _where(worker, str(worker.plan.config.get("reward") or ""))
        self._kill()
        raise RunError(f"{said}{where}; a loop that does not end, or a call that hangs?")

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.orders.close()
        for worker in self._workers:
            worker.process.join(1.0)
        self._kill()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.orders.close()
            worker.where.close()
        self._workers = []


@contextmanager
def _without_signals_and_script() -> Iterator[None]:
    """Inside the `with` block, let processes start with `STOP_SIGNALS` blocked and no main script.

    Only the supervisor handles the signals that stop a training. And a spawned process would import
    the main script again to find the objects that it was given; workers need none from there.
    """
    with _STARTING, _signals_blocked():
        script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block `STOP_SIGNALS` inside the `with` block, where the system can (Windows cannot)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting a process starts multiprocessing's resource tracker if it does not run yet, and that
    # unblocks the signals.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _where(worker: _Worker, reward: str) -> str:
    """Return where in its code a worker is now, as `, in PATH:LINE`; "" if it does not answer.

    Args:
        worker: The worker.
        reward: The config's reward. The innermost line in the reward file is preferred.
    """
    if LOCATE_SIGNAL is None:
        return ""
    os.kill(worker.process.pid or 0, LOCATE_SIGNAL)
    stack = ""
    while wait([worker.where], 0.5):
        stack += (got := os.read(worker.where.fileno(), 65536).decode(errors="replace"))
        if not got:
            break
    found = re.findall(r'File "(.+)", line (\d+) in', stack)
    name = os.path.basename(reward).removesuffix(".py")
    mine = [at for at in found if os.path.basename(at[0]) == f"{name}.py"]
    return "".join(f", in {path}:{line}" for path, line in (mine or found)[:1])
