"""One seed of a benchmark row: its training, its learning curve and its race."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from racer import __version__
from racer.benchmark.rows import (
    BENCHMARK_LAPS,
    LESSON_EPOCHS,
    LESSON_ROUNDS,
    LESSON_STEPS,
    BenchmarkRow,
)
from racer.entries.onnx_policy import OnnxPolicy
from racer.evaluation import (
    LapResult,
    controller_for,
    driver_of,
    evaluate_controller,
    evaluate_drivers,
    make_race_rules,
    race_of_training,
)
from racer.imitation.cloning import CloneOptions, run_cloning
from racer.training.export import entry_of_run
from racer.training.machine_description import describe_machine
from racer.training.speedrun_records import current_commit
from racer.training.train import TrainingResult, run_training

JUDGE_SEED = 1000
"""Seed of the first race that judges a policy; no evaluation in training has it or one after it."""


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation in the training of a seed; each is a line in the file of curves.

    Attributes:
        row: Name of the row.
        seed: Seed of the training.
        steps: Control steps trained before the evaluation, over all cars; 0 for a clone.
        laps: Laps to complete.
        laps_completed: Completed laps.
        put_back: Number of times that the car was put back on the track.
        distance_m: Progress along the centre line [m].
        x_limit: Time of all laps over the minimum time; None if not all laps were completed.
    """

    row: str
    seed: int
    steps: int
    laps: int
    laps_completed: int
    put_back: int
    distance_m: float
    x_limit: float | None


@dataclass(frozen=True)
class SeedResult:
    """The result of one seed of a row; each is a line in the file of results.

    Attributes:
        row: Name of the row.
        algorithm: What the policy learnt by.
        sensor: What it observes.
        track: The track.
        seed: Seed of the training; 0 for a pilot, which has none.
        steps: Control steps that were trained, over all cars; for a clone, the observations that it
            learnt from; 0 for a pilot.
        ended: How the training ended; empty for a pilot.
        laps: Laps of the race that judged it.
        laps_completed: Completed laps.
        put_back: Number of times that the car was put back on the track.
        total_time_s: Time of all laps with penalties [s]; None if a lap is missing.
        best_lap_s: Fastest lap [s]; None if there is none.
        limit_s: Minimum time of all laps [s]; None if it is not known.
        x_limit: `total_time_s` over `limit_s`; None if one of them is.
        processor_s: Processor time of the training with its evaluations, of all threads and
            processes, without the race [s]; 0 for a pilot.
        machine: The machine in words.
        version: Version of racer, and the commit of its working copy.
    """

    row: str
    algorithm: str
    sensor: str
    track: str
    seed: int
    steps: int
    ended: str
    laps: int
    laps_completed: int
    put_back: int
    total_time_s: float | None
    best_lap_s: float | None
    limit_s: float | None
    x_limit: float | None
    processor_s: float
    machine: str
    version: str


def measure_seed(
    row: BenchmarkRow, seed: int, console: Console | None = None
) -> tuple[SeedResult, list[CurvePoint]]:
    """Return the result of a row from one seed, and its learning curve.

    The policy is trained, or cloned, in a temporary folder, and its best checkpoint is raced as its
    export would be. A pilot only races, and has no curve.

    Args:
        row: The row.
        seed: Seed of the training; of no effect on a pilot.
        console: Where the progress is shown.

    Raises:
        KeyboardInterrupt: A signal stopped the training.
        RacerError: The row's config cannot be used.
    """
    if row.is_pilot:
        rules = make_race_rules(BENCHMARK_LAPS)
        pilot = controller_for(row.pilot or "", row.track, rules)
        raced = evaluate_controller(pilot, row.track, rules, JUDGE_SEED)
        return _seed_result(row, 0, raced), []
    with tempfile.TemporaryDirectory() as folder:
        before = _processor_s()
        trained = _train(row, seed, Path(folder) / row.name, console)
        spent = _processor_s() - before
        if trained.ended == "stopped":
            raise KeyboardInterrupt
        run = trained.run
        steps = run.story()["pretrained"]["pairs"] if row.pilot else trained.steps
        (raced,) = race_run(run.folder, row.track)
        learnt = {"steps": steps, "ended": trained.ended, "processor_s": round(spent, 1)}
        curve = [_curve_point(row, seed, one) for one in run.records("evaluations")]
        return _seed_result(row, seed, raced, **learnt), curve


def race_run(folder: Path, track: str, races: int = 1) -> list[LapResult]:
    """Return the results of races of a run's best checkpoint, each alone, from a standing start.

    Args:
        folder: The run's folder.
        track: The track's name.
        races: Number of races, with the seeds from `JUDGE_SEED`. A time trial from the start line
            has nothing random, so that one is enough.

    Raises:
        RunError: The folder holds no run with a checkpoint.
    """
    entry = entry_of_run(folder)
    rules = make_race_rules(BENCHMARK_LAPS, like=race_of_training(entry))
    drivers = [driver_of(entry, OnnxPolicy(entry)) for _ in range(races)]
    return evaluate_drivers(drivers, track, rules, JUDGE_SEED, entry.manifest.car)


def _train(row: BenchmarkRow, seed: int, folder: Path, console: Console | None) -> TrainingResult:
    """Return the training, or the cloning, of a row.

    Args:
        row: The row.
        seed: Seed of the training.
        folder: The run's folder.
        console: Where the progress is shown.
    """
    config, name = row.run_config(seed), Path(row.config or "").stem
    if row.pilot is None:
        return run_training(config, folder, console, name=name)
    lesson = CloneOptions(steps=LESSON_STEPS, rounds=LESSON_ROUNDS, epochs=LESSON_EPOCHS)
    return run_cloning(row.pilot, config, folder, lesson, console, name=name)


def _seed_result(
    row: BenchmarkRow,
    seed: int,
    raced: LapResult,
    steps: int = 0,
    ended: str = "",
    processor_s: float = 0.0,
) -> SeedResult:
    """Return the result of a seed.

    Args:
        row: The row.
        seed: Seed of the training.
        raced: The race that judged it.
        steps: What it learnt from; see `SeedResult`.
        ended: How the training ended.
        processor_s: Processor time of the training [s].
    """
    return SeedResult(
        row=row.name,
        algorithm=row.algorithm,
        sensor=row.sensor,
        track=row.track,
        seed=seed,
        steps=steps,
        ended=ended,
        laps=raced.laps,
        laps_completed=raced.laps_completed,
        put_back=raced.resets,
        total_time_s=_rounded(raced.total_time_s),
        best_lap_s=_rounded(raced.best_lap_s),
        limit_s=_rounded(raced.limit_s),
        x_limit=_rounded(raced.x_limit),
        processor_s=processor_s,
        machine=describe_machine("cpu"),
        version=_version(),
    )


def _curve_point(row: BenchmarkRow, seed: int, evaluation: dict[str, Any]) -> CurvePoint:
    """Return the point of a learning curve that an evaluation gives.

    Args:
        row: The row.
        seed: Seed of the training.
        evaluation: A record of the run's `evaluations.jsonl`.
    """
    return CurvePoint(
        row=row.name,
        seed=seed,
        steps=evaluation["steps"],
        laps=evaluation["laps"],
        laps_completed=evaluation["laps_completed"],
        put_back=evaluation["resets"],
        distance_m=round(evaluation["distance_m"], 2),
        x_limit=_rounded(evaluation["x_limit"]),
    )


def _rounded(value: float | None) -> float | None:
    """Return a number with the four decimals that the files keep."""
    return None if value is None else round(value, 4)


def _processor_s() -> float:
    """Return the processor time of this process and of its children that ended [s]."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


@cache
def _version() -> str:
    """Return the version of racer, and the commit of its working copy if it is one."""
    commit = current_commit()
    return __version__ if commit == "unknown" else f"{__version__} ({commit})"
