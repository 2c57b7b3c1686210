"""A worker process, which simulates some of the cars that train. It does not import torch."""

from __future__ import annotations

import ctypes
import faulthandler
import random
import signal
import traceback
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from racer.assets.library_logs import keep_libraries_quiet
from racer.assets.processes import end_with_parent
from racer.envs import RacerVectorEnv
from racer.errors import RacerError
from racer.training.episodes import EpisodeRunner
from racer.training.live_frames import car_poses
from racer.training.shared_memory import MemoryLayout, SharedArrays, copy_into, shared_arrays
from racer.training.shared_output import shared_output

LOCATE_SIGNAL: int | None = getattr(signal, "SIGUSR1", None)
"""Signal on which a worker writes its call stack to a pipe; None on Windows, which has no such."""


class WorkerPlan(NamedTuple):
    """The task of one worker.

    Attributes:
        first: Index of its first car.
        last: Index of the car after its last one.
        config: The fields of the environment's config.
        supervisor: Process id of the supervisor, which started the worker.
    """

    first: int
    last: int
    config: dict[str, Any]
    supervisor: int


class WorkerFailure(NamedTuple):
    """The error that ends a worker, as it is sent to the supervisor.

    Attributes:
        kind: The class of the error; None for an exception that is a bug in racer.
        message: The error's message, or the traceback of the exception.
    """

    kind: type[RacerError] | None
    message: str


def run_worker(
    plan: WorkerPlan,
    layout: MemoryLayout,
    block: ctypes.Array,
    orders: Connection,
    where: Connection,
) -> None:
    """Simulate cars on the supervisor's orders, until it closes the pipe.

    An order is a list of the cars' seeds, which resets the cars, or None, which drives one control
    step with the actions in the shared memory. The answer to an order is a dict of the records of
    the episodes that ended, by the cars' indices (see `EpisodeRunner`), or a `WorkerFailure`, after
    which the worker ends. A worker sends an empty dict when it is ready for its first order.

    Args:
        plan: The worker's task.
        layout: The places of the arrays in `block`.
        block: The shared memory.
        orders: Pipe from and to the supervisor, for orders and answers.
        where: Pipe to the supervisor, for the call stack as text; see `LOCATE_SIGNAL`.
    """
    end_with_parent(plan.supervisor)
    if LOCATE_SIGNAL is not None:
        faulthandler.register(LOCATE_SIGNAL, where.fileno())
    else:  # Windows sends Ctrl-C to the workers too, and cannot block signals while they start.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
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
            seed_everything(seeds[0])
        copy_into(cars.reset(seeds), mine.seen)
        mine.poses[:] = car_poses(cars.env)
        return {}
    driven = cars.step(mine.actions.copy())
    mine.rewards[:], mine.done[:], mine.truncated[:] = driven[:3]
    if driven.last is not None:
        copy_into(driven.last, mine.last)
    copy_into(cars.env.observations, mine.seen)
    mine.poses[:] = car_poses(cars.env)
    return {first + car: episode for car, episode in driven.episodes.items()}


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python and NumPy, which only a reward may use."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
