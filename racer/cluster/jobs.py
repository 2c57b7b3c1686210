"""A pool of workers that runs jobs: the interface, and the form on this machine's cores."""

from __future__ import annotations

import multiprocessing
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import Any, Generic, TypeVar

from racer.assets.processes import end_with_parent, usable_cores
from racer.errors import ClusterError

Key = TypeVar("Key", bound=Hashable)
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Finished(Generic[Key, Outcome]):
    """A job that has ended.

    Attributes:
        key: The job's key.
        outcome: What its function returned.
        node: The machine that it ran on; "" for this one.
        took_s: How long it ran [s].
    """

    key: Key
    outcome: Outcome
    node: str
    took_s: float


class JobPool(ABC):
    """Runs jobs in worker processes, and returns what they return.

    A job is a function of a module and its arguments. It must give the same outcome wherever and
    however often it runs, and must write nothing that lasts: only the process that holds the pool
    writes. A `Path` among its arguments is a file or a folder that it reads; on another machine it
    gets a copy of the same name.

    Attributes:
        core_s: Cores that were held by finished jobs, times how long [core seconds].
        wall_s: Time from the first job to now, or to `close` [s]; 0 before the first job.
    """

    def __init__(self) -> None:
        self.core_s, self._began, self._ended = 0.0, 0.0, 0.0

    @property
    @abstractmethod
    def workers(self) -> int:
        """Number of jobs that run at the same time."""

    @property
    def wall_s(self) -> float:
        """Time from the first job to now, or to `close` [s]; 0 before the first job."""
        return (self._ended or time.perf_counter()) - self._began if self._began else 0.0

    def run(
        self, work: Callable[..., Outcome], given: Mapping[Key, tuple[Any, ...]]
    ) -> Iterator[Finished[Key, Outcome]]:
        """Call a function once for each key, and yield the jobs as they end.

        Args:
            work: The function, which a module defines.
            given: Its arguments by the job's key.

        Raises:
            ClusterError: A worker was lost, and the job cannot be run elsewhere.
        """
        if not given:
            return
        self._began = self._began or time.perf_counter()
        for finished in self._run(work, given):
            self.core_s += self.cores_per_job * finished.took_s
            yield finished

    @property
    def cores_per_job(self) -> float:
        """Number of cores that a job holds."""
        return 1.0

    @abstractmethod
    def _run(
        self, work: Callable[..., Outcome], given: Mapping[Key, tuple[Any, ...]]
    ) -> Iterator[Finished[Key, Outcome]]:
        """See `run`; `given` is not empty."""

    def close(self) -> None:
        """End the workers; `wall_s` stands still from now on."""
        self._ended = self._ended or time.perf_counter()

    def __enter__(self) -> JobPool:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


class LocalPool(JobPool):
    """Worker processes on this machine, which are started when there is something to do.

    Args:
        workers: Number of processes; None for as many as there are cores.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__()
        self._workers = workers or usable_cores()
        self._processes: ProcessPoolExecutor | None = None

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self._workers

    def _run(
        self, work: Callable[..., Outcome], given: Mapping[Key, tuple[Any, ...]]
    ) -> Iterator[Finished[Key, Outcome]]:
        if self._processes is None:
            context = multiprocessing.get_context("spawn")
            self._processes = ProcessPoolExecutor(
                self._workers, mp_context=context, initializer=_begin_worker
            )
        try:
            futures: dict[Future[tuple[Outcome, float]], Key] = {
                self._processes.submit(timed, work, arguments): key
                for key, arguments in given.items()
            }
            for future in as_completed(futures):
                outcome, took_s = future.result()
                yield Finished(futures[future], outcome, "", took_s)
        except BrokenProcessPool as problem:
            raise ClusterError(
                "a worker process was killed, perhaps because memory ran out"
            ) from problem

    def close(self) -> None:
        """End the processes."""
        super().close()
        if self._processes is not None:
            self._processes.shutdown(cancel_futures=True)


def timed(work: Callable[..., Outcome], arguments: tuple[Any, ...]) -> tuple[Outcome, float]:
    """Call a function, and return its outcome and how long it took [s].

    Args:
        work: The function.
        arguments: Its arguments.
    """
    began = time.perf_counter()
    return work(*arguments), time.perf_counter() - began


def _begin_worker() -> None:
    """Prepare a worker process: it ignores Ctrl-C, and ends when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None and parent.pid is not None
    end_with_parent(parent.pid)
