"""How long training takes until the car drives clean laps, and where that time goes."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from racer.envs import RacerVectorEnv
from racer.tables import FittedTable, TableColumn
from racer.training.callbacks import Evaluation
from racer.training.config import RunConfig
from racer.training.train import run_training
from racer.training.vec_env import CarsVecEnv
from racer.training.watch import Watch

TIME_SHARES = ("physics", "sensors", "reward", "policy", "learning", "evaluation", "other")


def time_to_clean_laps(config: RunConfig, seed: int) -> dict[str, Any]:
    """Train until the judge has seen a clean race, or until the config's end.

    Args:
        config: The run; its cars drive in this process, so that their time can be told apart.
        seed: Instead of the config's.

    Returns:
        `first_lap_s` and `laps_s`: seconds from the call until an evaluation completed a lap, and
        all its laps, without being put back once; None where none did. `steps` and `seconds` until
        the end, and a share of them for each of `TIME_SHARES`: `policy` is the forward pass with
        the rollout's bookkeeping, `other` what comes before the first step and after the last.
    """
    began = time.perf_counter()
    seen: dict[str, Any] = {"seed": seed, "first_lap_s": None, "laps_s": None}

    def judged(evaluation: Evaluation) -> bool:
        now, result = time.perf_counter() - began, evaluation.result
        if result.laps_completed and not result.resets and seen["first_lap_s"] is None:
            seen["first_lap_s"] = now
        if result.is_clean:
            seen["laps_s"] = now
        return not result.is_clean

    alone = config.model_copy(update={"seed": seed, "workers": 1})
    with tempfile.TemporaryDirectory() as folder:
        watch = run_training(
            alone, Path(folder) / "run", Console(file=io.StringIO()), callback=judged
        )
    spent = seen["laps_s"] or time.perf_counter() - began
    return seen | {"steps": watch.judged_steps, **_shares(watch, spent)}


def _shares(watch: Watch, seconds: float) -> dict[str, Any]:
    env = watch.training_env
    assert isinstance(env, CarsVecEnv)
    assert isinstance(env.cars, RacerVectorEnv)
    driving, spent = env.cars.simulation.durations, dict(watch.spent)
    parts = driving | {
        "policy": spent["rollout"] - sum(driving.values()),
        "learning": spent["learning"],
        "evaluation": spent["evaluation"],
    }
    parts["other"] = seconds - sum(parts.values())
    shares = {name: parts[name] / seconds for name in TIME_SHARES}
    return {"seconds": seconds, "shares": shares}


def time_all_seeds(config: RunConfig, seeds: Sequence[int]) -> dict[str, Any]:
    """`time_to_clean_laps` for each seed as `runs`, and `median` and `worst` of their times.

    A time that a run never reached counts as infinite, given as None.
    """
    runs = [time_to_clean_laps(config, seed) for seed in seeds]
    never = float("inf")
    together: dict[str, Any] = {"runs": runs}
    for name, pick in (("median", median), ("worst", max)):
        together[name] = {}
        for key in ("first_lap_s", "laps_s"):
            value = pick([never if run[key] is None else run[key] for run in runs])
            together[name][key] = None if value == never else value
    return together


def time_to_clean_laps_table(figures: dict[str, Any], laps: int) -> FittedTable:
    """The figures for a person."""
    title = f"seconds until an evaluation of {laps} laps saw clean ones"
    short = {"learning": "learn", "evaluation": "judge"}
    shown = FittedTable(
        TableColumn("seed"),
        TableColumn("one lap", drop=1),
        TableColumn(f"{laps} laps"),
        TableColumn("steps", drop=2),
        *(TableColumn(short.get(name, name), drop=3) for name in TIME_SHARES),
        title=title,
    )
    for run in figures["runs"]:
        times = (_seconds(run[key]) for key in ("first_lap_s", "laps_s"))
        shares = (f"{run['shares'][name]:.0%}" for name in TIME_SHARES)
        shown.add_row(str(run["seed"]), *times, f"{run['steps'] / 1000:.0f}k", *shares)
    for name in ("median", "worst"):
        times = (_seconds(figures[name][key]) for key in ("first_lap_s", "laps_s"))
        shown.add_row(name, *times, *[""] * (1 + len(TIME_SHARES)), style="bold")
    return shown


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
