"""A process that drives some of the cars that train. It knows neither torch nor the learner."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import random
import signal
import traceback
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from racer.assets.library_logs import keep_libraries_quiet
from racer.envs import RacerVectorEnv
from racer.errors import RacerError
from racer.training.episodes import EpisodeRunner
from racer.training.shared_memory import MemoryLayout, SharedArrays, copy_into, shared_arrays
from racer.training.shared_output import shared_output

LOCATE_SIGNAL = signal.SIGUSR1
"""A worker that gets it writes down where it is."""
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent dies."""


class WorkerPlan(NamedTuple):
    """What one worker does."""

    first: int
    """Number of its first car."""
    last: int
    """Number of the car after its last."""
    config: dict[str, Any]
    """The environment's fields."""
    supervisor: int
    """Process that it works for."""


class WorkerFailure(NamedTuple):
    """What a worker says before it ends."""

    kind: type[RacerError] | None
    """None for what is nobody's mistake but ours."""
    message: str


def run_worker(
    plan: WorkerPlan,
    layout: MemoryLayout,
    block: ctypes.Array,
    orders: Connection,
    where: Connection,
) -> None:
    """Drive cars as `orders` say, until nobody is left to give any.

    An order is the cars' seeds for a reset, or None for a control step of the actions in the
    block. The answer is the stories of the episodes that ended, by the cars' numbers, or a
    `WorkerFailure`, after which the worker ends.

    Args:
        plan: Which cars.
        layout: What lies where in `block`.
        block: The shared memory.
        orders: To the supervisor.
        where: Gets the stack, as text, on the signal `LOCATE_SIGNAL`.
    """
    _die_with(plan.supervisor)
    faulthandler.register(LOCATE_SIGNAL, where.fileno())
    keep_libraries_quiet()
    with shared_output():
        _drive(plan, shared_arrays(layout, block, plan.first, plan.last), orders)


def _drive(plan: WorkerPlan, mine: SharedArrays, orders: Connection) -> None:
    try:
        cars = EpisodeRunner(RacerVectorEnv(plan.last - plan.first, **plan.config), plan.first)
        orders.send({})
        while True:
            orders.send(_obey(orders.recv(), cars, mine, plan.first))
    except (EOFError, BrokenPipeError):
        return
    except RacerError as problem:
        orders.send(WorkerFailure(type(problem), str(problem)))
    except Exception:
        orders.send(WorkerFailure(None, traceback.format_exc()))


def _obey(
    seeds: list[int | None] | None, cars: EpisodeRunner, mine: SharedArrays, first: int
) -> dict[int, dict[str, Any]]:
    if seeds is not None:
        if seeds[0] is not None:
            _seed_everything(seeds[0])
        copy_into(cars.reset(seeds), mine.seen)
        return {}
    driven = cars.step(mine.actions.copy())
    mine.rewards[:], mine.done[:], mine.truncated[:] = driven[:3]
    if driven.last is not None:
        copy_into(driven.last, mine.last)
    copy_into(cars.env.observations, mine.seen)
    return {first + car: story for car, story in driven.episodes.items()}


def _seed_everything(seed: int) -> None:
    """A reward may draw from these; nothing of ours does."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002


def _die_with(supervisor: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)  # It was gone before.
