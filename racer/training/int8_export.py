"""A run's best policy as an entry of 8-bit numbers, raced beside the one of float32."""

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
from racer.evaluation import LapResult, Policy, evaluate_entries, make_race_rules
from racer.networks.quantize import quantize_graph
from racer.sensors import Observations
from racer.tables import FittedTable, TableColumn
from racer.training.config import RunConfig
from racer.training.export import best_policy, package_policy


class MeasuredEntry(NamedTuple):
    """What an entry came to.

    Attributes:
        precision: `float32` or `int8`.
        entry: The entry.
        answer_s: Median time of an answer in this process [s].
        result: Its race.
    """

    precision: str
    entry: Entry
    answer_s: float
    result: LapResult


def export_int8(
    folder: Path, out: Path, name: str, key: PrivateKey | None = None
) -> tuple[MeasuredEntry, MeasuredEntry]:
    """Write a run's best policy as an entry of 8-bit numbers; see `racer.networks.quantize`.

    The float32 policy drives the race of the run's evaluations on their first track, and what it
    sees there is what the 8-bit one is calibrated on. Then that one drives the same race.

    Args:
        folder: The run's folder.
        out: The entry to write.
        name: What a board calls it.
        key: Signs the entry.

    Returns:
        What the float32 policy came to, and what the entry did.

    Raises:
        RunError: The folder holds no run, or no checkpoint that fits it.
        EntryError: The entry cannot be written.
    """
    best = best_policy(folder)
    with TemporaryDirectory() as place:
        path = Path(place) / "float32.entry.zip"
        package_policy(best, path, name)
        before = read_entry(path)
    race_before, seen = _raced(before, best.config)
    package_policy(
        best._replace(graph=quantize_graph(best.graph, seen)), out, name, key, quantization="int8"
    )
    after = read_entry(out)
    race_after, _ = _raced(after, best.config)
    times = _answer_times([before, after], seen)
    return (
        MeasuredEntry("float32", before, times[0], race_before),
        MeasuredEntry("int8", after, times[1], race_after),
    )


def int8_table(measured: tuple[MeasuredEntry, ...]) -> FittedTable:
    """Return a table for a person, with a row for each entry that was measured."""
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


def _raced(entry: Entry, config: RunConfig) -> tuple[LapResult, list[Observations]]:
    """The race of a run's evaluations by an entry, and what it saw there."""
    exam, race = config.evaluation, config.race
    rules = make_race_rules(exam.laps, race.off_track_penalty, exam.time_limit, like=race)
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
    """Median time of each entry's answers [s], in turns, so that all suffer the same neighbours."""
    policies = [OnnxPolicy(entry) for entry in entries]
    times: list[list[float]] = [[] for _ in entries]
    for observation in seen:
        for policy, spent in zip(policies, times):
            began = time.perf_counter()
            policy(observation)
            spent.append(time.perf_counter() - began)
    return [median(spent) for spent in times]
