"""Cars in several processes: a supervisor that shares memory with its workers and watches them."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np

from racer.assets.document import validate_document
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
"""So long may a control step take [s]; a reward that hangs is named by its worker before."""
START_TIMEOUT_S = 300.0
"""So long may a worker take until it can drive [s]; numba may have to compile first."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a training, saved."""
POLL_SHARE = 0.5
"""Of a deadline, for which a supervisor waits at a time [s]."""
MIN_CARS_PER_WORKER = 32
"""Cars that a worker is started for, at least, where `workers` is auto: fewer are driven sooner
than a process starts and is waited for."""
_STARTING = threading.Lock()
"""`__main__` is one for all threads."""


class _Hand(NamedTuple):
    """One worker as its supervisor holds it."""

    name: str
    plan: WorkerPlan
    process: BaseProcess
    orders: Connection
    where: Connection


def worker_count(wanted: int | Literal["auto"], cars: int) -> int:
    """How many processes drive so many cars.

    `auto` is one a core that this process may use, and no more than one for 32 cars. The learner
    waits while they drive, and they while it learns, so none is left for it alone.
    """
    if wanted == "auto":
        wanted = min(len(os.sched_getaffinity(0)), cars // MIN_CARS_PER_WORKER)
    return max(1, min(wanted, cars))


class WorkerPool:
    """n cars, a share of them in each of several processes; each car is driven as it were alone.

    What it cannot go on from, a dead or a silent worker or an error in one, ends all workers and
    is raised with the worker's name. No worker outlives this process, however that ends.

    Args:
        cars: How many cars.
        count: How many workers.
        config: The fields of `EnvConfig`.
        deadline: So long may a control step take [s].

    Attributes:
        num_envs: How many cars.
        single_observation_space: Of one car.
        single_action_space: Of one car.
        observations: What the cars see now, each array (n, ...); no later step writes to it.
        render_mode: None; nobody looks on.

    Raises:
        RacerError: A value, track or reward file that cannot be used.
    """

    def __init__(
        self, cars: int, count: int, config: dict[str, Any], deadline: float = STEP_TIMEOUT_S
    ) -> None:
        checked = validate_document(config, EnvConfig, "racer environment")
        track, car = load_track(checked.track[0]), car_named(checked.car)
        suite = make_sensors(checked.sensor, car, track, 1, checked.race.walls)
        self.num_envs, self.render_mode, self._deadline = cars, None, deadline
        self.single_observation_space = suite.space
        self.single_action_space = checked.actions.space()
        self._patience = START_TIMEOUT_S  # the first step, too, may find numba's cache empty
        self._layout = memory_layout(suite.space, self.single_action_space, cars)
        context = multiprocessing.get_context("spawn")
        self._block = shared_block(self._layout, context)
        self._scene = shared_arrays(self._layout, self._block, 0, cars)
        self.observations: Observations = copy_observations(self._scene.seen)
        self._hands: list[_Hand] = []
        ends = [cars * k // count for k in range(count + 1)]
        try:
            for number, (first, last) in enumerate(pairwise(ends), 1):
                name = f"worker {number} of {count} (cars {first} to {last - 1})"
                plan = WorkerPlan(first, last, config, os.getpid())
                self._hands.append(self._start(name, plan, context))
            self._gather(START_TIMEOUT_S)
        except BaseException:
            self._kill()
            raise

    def _start(self, name: str, plan: WorkerPlan, context: Any) -> _Hand:
        """Start one worker; see `_apart`."""
        orders, theirs = context.Pipe()
        where, its_where = context.Pipe(duplex=False)
        parts = (plan, self._layout, self._block, theirs, its_where)
        process = context.Process(target=run_worker, args=parts, name=name, daemon=True)
        with _apart():
            process.start()
        theirs.close()
        its_where.close()
        return _Hand(name, plan, process, orders, where)

    def reset(self, seeds: Sequence[int | None] | None) -> Observations:
        """Start every car from its seed; see `Cars.reset`."""
        given = [None] * self.num_envs if seeds is None else list(seeds)
        for hand in self._hands:
            self._tell(hand, given[hand.plan.first : hand.plan.last])
        self._gather(LOADING_TIMEOUT_S + self._deadline)
        self.observations = copy_observations(self._scene.seen)
        return self.observations

    def step(self, actions: np.ndarray) -> ControlStep:
        """Drive every car for one control period; see `Cars.step`.

        Raises:
            RunError: A worker died, hangs or met a bug.
            RewardError: The reward raises, hangs or pays what is no number.
        """
        now = self._scene
        now.actions[:] = actions
        for hand in self._hands:
            self._tell(hand, None)
        stories = self._gather(self._patience)
        self._patience = self._deadline
        self.observations = copy_observations(now.seen)
        last = copy_observations(now.last) if stories else None
        return ControlStep(now.rewards.copy(), now.done.copy(), now.truncated.copy(), last, stories)

    def _tell(self, hand: _Hand, order: Any) -> None:
        try:
            hand.orders.send(order)
        except OSError:
            self._died(hand)

    def _gather(self, seconds: float) -> dict[int, dict[str, Any]]:
        """The stories that all workers answer with, in the order of their cars."""
        waiting = {hand.orders: hand for hand in self._hands}
        stories: dict[int, dict[str, Any]] = {}
        left = seconds
        while waiting:
            # In small parts: who was stopped and woken again, all of us, lost but one.
            ready = wait(list(waiting), min(left, POLL_SHARE))
            left -= 0.0 if ready else POLL_SHARE
            if left <= 0.0:
                self._is_late(next(iter(waiting.values())), seconds)
            for pipe in ready:
                hand = waiting.pop(pipe)  # pyright: ignore[reportArgumentType]
                try:
                    answer = hand.orders.recv()
                except (EOFError, OSError):
                    self._died(hand)
                if isinstance(answer, WorkerFailure):
                    self._failed(hand, answer)
                stories |= answer
        return dict(sorted(stories.items()))

    def _failed(self, hand: _Hand, failure: WorkerFailure) -> NoReturn:
        self._kill()
        kind: type[RacerError] = failure.kind or RunError
        raise kind(f"{hand.name}: {failure.message}")

    def _died(self, hand: _Hand) -> NoReturn:
        hand.process.join(self._deadline)
        code = hand.process.exitcode
        self._kill()
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
            how += "; is the machine out of memory?" if -code == signal.SIGKILL else ""
        else:
            how = f"ended with exit code {code}; did the reward, or a package it uses, end it?"
        raise RunError(f"{hand.name}, process {hand.process.pid}, {how}")

    def _is_late(self, hand: _Hand, seconds: float) -> NoReturn:
        said = f"{hand.name}: still busy after {seconds:g} s"
        where = _where(hand, str(hand.plan.config.get("reward") or ""))
        self._kill()
        raise RunError(f"{said}{where}; a loop that does not end, or a call that hangs?")

    def close(self) -> None:
        """End the workers."""
        for hand in self._hands:
            hand.orders.close()
        for hand in self._hands:
            hand.process.join(1.0)
        self._kill()

    def _kill(self) -> None:
        for hand in self._hands:
            hand.process.kill()
        for hand in self._hands:
            hand.process.join()
            hand.orders.close()
            hand.where.close()
        self._hands = []


@contextmanager
def _apart() -> Iterator[None]:
    """Let a process that is started within be deaf to `STOP_SIGNALS`, and leave our script be.

    What stops a run is the supervisor's to hear. And a spawned process would run the script that
    started us once more, to find there what its work needs; ours needs nothing of it.
    """
    # The tracker, which each start looks for, would let the signals in again.
    resource_tracker.ensure_running()
    with _STARTING:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _where(hand: _Hand, reward: str) -> str:
    """Where a worker is now, in the reward's file if it can be; may be nothing."""
    os.kill(hand.process.pid or 0, LOCATE_SIGNAL)
    stack = ""
    while wait([hand.where], 0.5):
        stack += (got := os.read(hand.where.fileno(), 65536).decode(errors="replace"))
        if not got:
            break
    found = re.findall(r'File "(.+)", line (\d+) in', stack)
    name = os.path.basename(reward).removesuffix(".py")
    mine = [at for at in found if os.path.basename(at[0]) == f"{name}.py"]
    return "".join(f", in {path}:{line}" for path, line in (mine or found)[:1])
