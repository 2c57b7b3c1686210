"""A trial of a sweep, in a process of its own: it trains, and tells the search how it goes."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TypedDict

from rich.console import Console

from racer.assets.document import validate_document
from racer.assets.library_logs import keep_libraries_quiet
from racer.assets.processes import end_with_parent
from racer.errors import RacerError
from racer.sweeps.objective import evaluation_value
from racer.track import load_track
from racer.training.callbacks import Evaluation
from racer.training.config import RunConfig
from racer.training.train import TrainingResult, run_training


@dataclass(frozen=True)
class TrialMessage:
    """What a trial tells the search, which answers an evaluation by whether to go on.

    Attributes:
        kind: `evaluation`; `complete` or `pruned`, at the end; `stopped`, by a signal; `failed`.
        value: The best value so far; the mean over the seeds that have begun.
        step: Number of the evaluation, from 0, over all seeds.
        best: The best evaluation's first race of the seed that was trained last.
        error: Why it failed.
    """

    kind: Literal["evaluation", "complete", "pruned", "stopped", "failed"]
    value: float = 0.0
    step: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    error: str = ""


class TrialPlan(TypedDict):
    """What a trial trains.

    Attributes:
        name: The name of the config.
        runs: The folder of each run and its config, as JSON can hold it. The configs differ in
            the seed.
    """

    name: str
    runs: list[tuple[str, dict[str, Any]]]


class Trial:
    """Trains a config with each seed of a trial.

    Args:
        name: The name of the config.
        runs: The folder of each run and its config. The configs differ in the seed.
        ask: Tells the search of an evaluation, and returns whether to go on.

    Raises:
        RacerError: A track cannot be used.
    """

    def __init__(
        self,
        name: str,
        runs: Sequence[tuple[Path, RunConfig]],
        ask: Callable[[TrialMessage], bool],
    ) -> None:
        self._name, self._ask = name, ask
        self._folders = [folder for folder, _ in runs]
        self._configs = [config for _, config in runs]
        self._values: list[float] = []
        self._step = 0
        self._is_pruned = False
        tracks = [load_track(track) for track, _ in self._configs[0].evaluation_races]
        self._lengths = [track.length for track in tracks]

    def run(self) -> TrialMessage:
        """Train, and return how it ended.

        Raises:
            RacerError: The config, the reward or a track cannot be used.
        """
        best: dict[str, Any] = {}
        for folder, config in zip(self._folders, self._configs):
            self._values.append(0.0)
            quiet = Console(file=io.StringIO())
            result = run_training(config, folder, quiet, name=self._name, callback=self._judge)
            if result.ended == "stopped":
                return TrialMessage("stopped")
            best = self._record_best(result, config)
            if self._is_pruned:
                break
        value = sum(self._values) / len(self._values)
        return TrialMessage("pruned" if self._is_pruned else "complete", value, self._step, best)

    def _judge(self, evaluation: Evaluation) -> bool:
        """Tell the search of an evaluation, and return whether the training is worth going on."""
        races = [result.as_dict() for result in evaluation.results]
        limit = self._configs[0].evaluation.time_limit
        found = evaluation_value(races, self._lengths, limit)
        self._values[-1] = max(self._values[-1], found)
        value = sum(self._values) / len(self._values)
        message = TrialMessage("evaluation", value, self._step)
        self._step += 1
        self._is_pruned = not self._ask(message)
        return not self._is_pruned

    def _record_best(self, result: TrainingResult, config: RunConfig) -> dict[str, Any]:
        """Set the value of a seed to that of its best checkpoint, and return its first race."""
        record = result.run.best_record() or {}
        races = [record["result"], *record.get("others", ())]
        limit = config.evaluation.time_limit
        self._values[-1] = evaluation_value(races, self._lengths, limit)
        return record["result"]


def send(connection: Connection, message: Any) -> None:
    """Send a message as JSON."""
    connection.send_bytes(json.dumps(message).encode())


def receive(connection: Connection) -> Any:
    """Return the next message; wait for it.

    Raises:
        EOFError: The other process has ended.
    """
    return json.loads(connection.recv_bytes())


def run_trial() -> None:
    """Run the trial that the search sends, and send how it ended.

    The process gets two arguments: the process id of the search, and the file descriptor of the
    connection to it.
    """
    parent, descriptor = map(int, sys.argv[1:])
    end_with_parent(parent)
    keep_libraries_quiet()
    search = Connection(descriptor)
    plan: TrialPlan = receive(search)

    def ask(message: TrialMessage) -> bool:
        send(search, asdict(message))
        return receive(search)

    try:
        runs = [
            (Path(folder), validate_document(tree, RunConfig, folder))
            for folder, tree in plan["runs"]
        ]
        told = Trial(plan["name"], runs, ask).run()
    except KeyboardInterrupt:  # before the training handles signals
        told = TrialMessage("stopped")
    except RacerError as problem:
        told = TrialMessage("failed", error=str(problem))
    send(search, asdict(told))
