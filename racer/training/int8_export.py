"""Export of a run's policy quantized to int8, and its comparison with the float32 policy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import Entry, read_entry
from racer.entries.signing import PrivateKey
from racer.errors import RunError
from racer.evaluation import LapResult, Policy, evaluate_entries, make_race_rules
from racer.networks.quantize import quantize_graph
from racer.sensors import Observations
from racer.tables import FittedTable, TableColumn
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.config import RunConfig
from racer.training.export import package_policy, trained_policy


class MeasuredEntry(NamedTuple):
    """The measured speed and lap times of an entry.

    Attributes:
        precision: `float32` or `int8`.
        entry: The entry.
        answer_s: Median time that the policy takes for an action in this process [s].
        result: The result of its race.
    """

    precision: str
    entry: Entry
    answer_s: float
    result: LapResult


def export_int8(
    folder: Path,
    out: Path,
    name: str,
    key: PrivateKey | None = None,
    checkpoint: CheckpointChoice = "best",
) -> tuple[MeasuredEntry, MeasuredEntry]:
    """Write a run's policy as an int8 entry; see `racer.networks.quantize`.

    First the float32 policy drives the race of the run's evaluations, on their first track. The
    int8 policy is calibrated on the observations of that race. Then it drives the same race.

    Args:
        folder: The run's folder.
        out: The entry to write.
        name: The entry's name on a leaderboard.
        key: Signs the entry; None leaves it unsigned.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.

    Returns:
        The measurements of the float32 policy and of the int8 policy.

    Raises:
        RunError: The folder holds no run, or no such checkpoint that fits it; or its policy is
            recurrent.
        EntryError: The entry cannot be written.
    """
    trained = trained_policy(folder, checkpoint)
    if trained.hidden_state_size:
        raise RunError(
            f"{folder}: the LSTM of {trained.config.algorithm} cannot be quantized to int8; export "
            "it without --int8"
        )
    with TemporaryDirectory() as place:
        path = Path(place) / "float32.entry.zip"
        package_policy(trained, path, name)
        before = read_entry(path)
    race_before, seen = _drive_race(before, trained.config)
    quantized = trained._replace(graph=quantize_graph(trained.graph, seen))
    package_policy(quantized, out, name, key, quantization="int8")
    after = read_entry(out)
    race_after, _ = _drive_race(after, trained.config)
    times = _answer_times([before, after], seen)
    return (
        MeasuredEntry("float32", before, times[0], race_before),
        MeasuredEntry("int8", after, times[1], race_after),
    )


def int8_table(measured: tuple[MeasuredEntry, ...]) -> FittedTable:
    """Return a table to print, with a row for each measured entry."""
    race = measured[0].result
    shown = FittedTable(
        TableColumn("policy", "left"),
        TableColumn("size", drop=2),
        TableColumn("answer", drop=1),
        *(TableColumn(heading) for heading in ("laps", "best lap", "all laps", "put back")),
        title=f"{race.track} from a standing start",
    )
    for one in measured:
        result = one.result
        shown.add_row(
            one.precision,
            f"{len(one.entry.content) / 1000:,.0f} kB",
            f"{1000 * one.answer_s:.3f} ms",
            f"{result.laps_completed}/{result.laps}",
            _seconds(result.best_lap_s),
            _seconds(result.total_time_s),
            str(result.resets or ""),
        )
    return shown


def _seconds(time_s: float | None) -> str:
    return "-" if time_s is None else f"{time_s:.3f} s"


def _drive_race(entry: Entry, config: RunConfig) -> tuple[LapResult, list[Observations]]:
    """Drive the race of a run's evaluations; return its result and the policy's observations.

    Args:
        entry: The entry that drives.
        config: The run's config.
    """
    judged, race = config.evaluation, config.race
    rules = make_race_rules(judged.laps, race.off_track_penalty, judged.time_limit, like=race)
    seen: list[Observations] = []

    @contextmanager
    def watched(entry: Entry) -> Iterator[Policy]:
        policy = OnnxPolicy(entry)

        def answer(observation: Observations) -> np.ndarray:
            seen.append(observation)
            return policy(observation)

        yield answer

    (result,) = evaluate_entries(
        [entry], config.evaluation_tracks[0], rules, config.seed, policy_of=watched
    )
    return result, seen


def _answer_times(entries: Sequence[Entry], seen: Sequence[Observations]) -> list[float]:
    """Return the median time that each entry's policy takes for an action [s].

    The entries are timed alternately, so that the load of other processes affects all of them.

    Args:
        entries: The entries.
        seen: The observations to act on, each with a leading axis of one car.
    """
    policies = [OnnxPolicy(entry) for entry in entries]
    times: list[list[float]] = [[] for _ in entries]
    for observation in seen:
        for policy, spent in zip(policies, times):
            began = time.perf_counter()
            policy(observation)
            spent.append(time.perf_counter() - began)
    return [median(spent) for spent in times]
