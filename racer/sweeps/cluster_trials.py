"""Trials of a sweep on the nodes of a cluster, which look to the search like processes here."""

from __future__ import annotations

import signal
import tempfile
import threading
import traceback
from contextlib import suppress
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from racer.cluster.carried_files import CarriedFiles, write_files
from racer.cluster.mailbox import Mailbox
from racer.errors import ClusterError, RacerError
from racer.sweeps.sweep import Sweep
from racer.sweeps.trial import Trial, TrialMessage, receive, send
from racer.training.config import RunConfig
from racer.training.file_copies import carried_config, read_carried

if TYPE_CHECKING:
    from racer.cluster.ray_cluster import RayCluster

RELAY_POLL_S = 0.3
"""Longest time between two looks for questions of trials [s]."""


class ClusterTrials:
    """Starts trials on nodes, and relays between them and the search.

    A trial whose node is lost is trained again from its beginning on another one; the search does
    not hear of evaluations twice. The runs' folders are written here when a trial has ended.

    Args:
        sweep: The sweep.
        cluster: The cluster.

    Attributes:
        jobs: Number of trials that the cluster can train at once.
        problem: The error that ended the relay; None as long as it works.
    """

    def __init__(self, sweep: Sweep, cluster: RayCluster) -> None:
        workers = sweep.config.base.workers
        cores = 1 if workers == "auto" else workers
        self._sweep, self._pool, self._mailbox = sweep, cluster.pool(cores), cluster.mailbox()
        self.jobs, self.problem = self._pool.workers, None
        self._cores, self._lock = cores, threading.Lock()
        self._pipes: dict[int, Connection] = {}
        self._waiting: list[tuple[int, tuple[Any, ...]]] = []
        self._stopped: list[int] = []
        self._answers: dict[int, dict[int, bool]] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def start(
        self, number: int, configs: list[RunConfig]
    ) -> tuple[ClusterTrialProcess, Connection]:
        """Start a trial, and return it as a process and the connection to it.

        Args:
            number: The trial's number.
            configs: The config of each of its runs.

        Raises:
            RacerError: A file that a config names cannot be read.
        """
        threads = self._sweep.config.base.torch_threads or self._cores
        shares = {"torch_threads": threads, "workers": self._cores}
        folders = []
        for config in configs:
            with carried_config(config.model_copy(update=shares)) as folder:
                folders.append(CarriedFiles.read(folder))
        names = [folder.name for folder in self._sweep.run_folders(number)]
        search, theirs = Pipe()
        with self._lock:
            self._pipes[number], self._answers[number] = theirs, {}
            given = (number, self._sweep.config.name, self._mailbox, names, *folders)
            self._waiting.append((number, given))
        return ClusterTrialProcess(self, number), search

    def stop(self, number: int) -> None:
        """End a trial, which tells the search that it was stopped."""
        self._stopped.append(number)  # Without the lock, as a signal's handler calls this.

    def close(self) -> None:
        """End all trials and the relay."""
        self._is_closed = True
        self._thread.join()
        with suppress(Exception):  # The cluster may be gone.
            self._pool.cancel()
            self._mailbox.close()
        self._pool.close()

    def _relay(self) -> None:
        try:
            while not self._is_closed:
                with self._lock:
                    started, self._waiting = self._waiting, []
                for number, given in started:
                    self._pool.submit(number, run_cluster_trial, *given)
                while self._stopped:
                    self._end(self._stopped.pop(), TrialMessage("stopped"))
                for finished in self._pool.poll(RELAY_POLL_S):
                    self._keep(finished.key, *finished.outcome)
                if not self._pool.running:
                    threading.Event().wait(RELAY_POLL_S)
                for number, question in self._mailbox.questions():
                    self._ask(number, question)
        except Exception as problem:
            self.problem = problem
            with self._lock:
                numbers = list(self._pipes)
            for number in numbers:
                self._end(number, TrialMessage("stopped", error=str(problem)))

    def _ask(self, number: int, question: dict[str, Any]) -> None:
        """Pass an evaluation to the search, unless it knows it, and its answer to the trial."""
        if number not in self._pipes:
            return
        known, step = self._answers[number], question["step"]
        if step not in known:
            send(self._pipes[number], question)
            known[step] = bool(receive(self._pipes[number]))
        self._mailbox.answer(number, known[step])

    def _keep(self, number: int, told: dict[str, Any], runs: list[CarriedFiles], log: str) -> None:
        """Write the folders of a trial's runs, and tell the search how it ended.

        Args:
            number: The trial's number.
            told: Its last message.
            runs: The folder of each run.
            log: What belongs into its log.
        """
        name = f"trial-{number:03d}.txt"
        (self._sweep.folder / "logs" / name).write_text(log, encoding="utf-8")
        for run in runs:
            write_files(run, self._sweep.folder / "trials" / run.name)
        self._end(number, TrialMessage(**told))

    def _end(self, number: int, told: TrialMessage) -> None:
        with self._lock:
            pipe = self._pipes.pop(number, None)
        if pipe is None:
            return
        with suppress(Exception):
            self._pool.cancel(number)
        with suppress(OSError):
            send(pipe, asdict(told))
        pipe.close()


class ClusterTrialProcess:
    """A trial on a node, with the methods of a process that the search calls.

    Args:
        trials: What started it.
        number: Its number.
    """

    def __init__(self, trials: ClusterTrials, number: int) -> None:
        self._trials, self._number = trials, number

    def send_signal(self, number: int) -> None:
        """End the trial, whatever the signal."""
        self._trials.stop(self._number)

    def kill(self) -> None:
        """End the trial."""
        self._trials.stop(self._number)

    def wait(self) -> int:
        """Return the exit code of a process that a signal ended, for a trial without a message."""
        return -signal.SIGINT


def run_cluster_trial(
    number: int, name: str, mailbox: Mailbox, names: list[str], *folders: Path
) -> tuple[dict[str, Any], list[CarriedFiles], str]:
    """Train the runs of a trial on a node.

    Args:
        number: The trial's number.
        name: The config's name.
        mailbox: Where it asks whether to go on after an evaluation.
        names: The name of each run's folder.
        folders: The folder with each run's config.

    Returns:
        The last `TrialMessage` as a dict, the folders of the runs, and what belongs into the log.
    """

    def ask(message: TrialMessage) -> bool:
        return mailbox.ask(number, asdict(message))

    log = ""
    with tempfile.TemporaryDirectory() as made:
        runs = [Path(made) / one for one in names]
        try:
            configs = [read_carried(folder) for folder in folders]
            told = Trial(name, list(zip(runs, configs)), ask).run()
        except RacerError as problem:
            told = TrialMessage("failed", error=str(problem))
        except Exception as problem:
            log = traceback.format_exc()
            told = TrialMessage("failed", error=f"{type(problem).__name__}: {problem}")
        found = [CarriedFiles.read(run) for run in runs if run.is_dir()]
    return asdict(told), found, log


def cluster_problem(trials: ClusterTrials | None) -> ClusterError | None:
    """Return the error that ended the relay, as one that a person can cause; None without one."""
    if trials is None or trials.problem is None:
        return None
    told = f"{trials.problem}; ended trials are kept: continue with --resume"
    return ClusterError(told)
