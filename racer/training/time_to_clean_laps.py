"""How long training takes until the car drives clean laps, and what that time is spent on."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from racer.cluster.jobs import JobPool
from racer.tables import FittedTable, TableColumn
from racer.training.callbacks import Evaluation
from racer.training.config import RunConfig
from racer.training.file_copies import carried_config, read_carried
from racer.training.train import run_training

TIME_SHARES = ("physics", "sensors", "reward", "policy", "learning", "evaluation", "other")
"""What the time of a training is spent on."""


def time_to_clean_laps(
    config: RunConfig, seed: int, most_x_limit: float = float("inf")
) -> dict[str, Any]:
    """Train until an evaluation is a clean race, or until the config's steps or minutes are used.

    Args:
        config: The run.
        seed: The seed, which replaces the config's.
        most_x_limit: The longest time of a clean race that ends the training, in multiples of the
            minimum lap time.

    Returns:
        `seed`; `first_lap_s`, the seconds from the call until an evaluation completed a lap without
        a reset to the track, and `laps_s`, until one completed all its laps without a reset, each
        None if none did; `steps` and `seconds` until the end; and `shares`, the share of the
        seconds for each of `TIME_SHARES`. `policy` is the forward pass with the rollout's
        bookkeeping, `other` the time before the first step and after the last one. There are no
        shares if the cars were driven by several workers, whose time is not measured.

    Raises:
        KeyboardInterrupt: A signal stopped the training.
        RacerError: The config cannot be used.
    """
    began = time.perf_counter()
    seen: dict[str, Any] = {"seed": seed, "first_lap_s": None, "laps_s": None}

    def stop_when_clean(evaluation: Evaluation) -> bool:
        now, result = time.perf_counter() - began, evaluation.result
        if result.laps_completed and not result.resets and seen["first_lap_s"] is None:
            seen["first_lap_s"] = now
        # On a track whose minimum is not known, any clean race is fast enough.
        is_there = result.is_clean and (result.x_limit or 0.0) <= most_x_limit
        if is_there:
            seen["laps_s"] = now
        return not is_there

    seeded = config.model_copy(update={"seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        result = run_training(
            seeded, Path(folder) / "run", Console(file=io.StringIO()), callback=stop_when_clean
        )
    if result.ended == "stopped":
        raise KeyboardInterrupt
    seconds = seen["laps_s"] or time.perf_counter() - began
    return seen | {"steps": result.steps, **_shares(result.spent, seconds)}


def _shares(spent: dict[str, float], seconds: float) -> dict[str, Any]:
    """Return `seconds`, and as `shares` a share of them for each of `TIME_SHARES`, if known.

    Args:
        spent: Seconds of each part of the training; see `TrainingResult`.
        seconds: Seconds of the whole training.
    """
    if "physics" not in spent:
        return {"seconds": seconds, "shares": {}}
    parts = {name: spent[name] for name in ("physics", "sensors", "reward")}
    parts["policy"] = spent["rollout"] - sum(parts.values())
    parts |= {name: spent[name] for name in ("learning", "evaluation")}
    parts["other"] = seconds - sum(parts.values())
    shares = {name: parts[name] / seconds for name in TIME_SHARES}
    return {"seconds": seconds, "shares": shares}


def time_all_seeds(
    config: RunConfig, seeds: Sequence[int], pool: JobPool | None = None
) -> dict[str, Any]:
    """Return `time_to_clean_laps` of each seed as `runs`, and the `median` and `worst` times.

    A time that a run never reached counts as infinite, and is returned as None.

    Args:
        config: The run.
        seeds: The seeds.
        pool: Where the runs are trained, several at a time, after a rollout that is not timed;
            each needs a machine for itself. None: here, one after another.
    """
    # The time of cars in other processes cannot be measured.
    alone = config.model_copy(update={"workers": 1})
    if pool is None:
        runs = [time_to_clean_laps(alone, seed) for seed in seeds]
    else:
        with carried_config(alone) as folder:
            given = {seed: (folder, seed) for seed in seeds}
            ended = {one.key: one.outcome for one in pool.run(time_carried_config, given)}
        runs = [ended[seed] for seed in seeds]
    never = float("inf")
    together: dict[str, Any] = {"runs": runs}
    for name, pick in (("median", median), ("worst", max)):
        together[name] = {}
        for key in ("first_lap_s", "laps_s"):
            value = pick([never if run[key] is None else run[key] for run in runs])
            together[name][key] = None if value == never else value
    return together


def time_carried_config(folder: Path, seed: int) -> dict[str, Any]:
    """Return `time_to_clean_laps` of a config in a folder, on the machine of this process.

    Args:
        folder: The folder; see `carried_config`.
        seed: The seed.
    """
    config = read_carried(folder)
    time_to_clean_laps(one_rollout(config), seed)  # so that what is compiled is there
    return time_to_clean_laps(config, seed)


def one_rollout(config: RunConfig) -> RunConfig:
    """Return a config whose training ends after its first rollout."""
    return config.model_copy(update={"total_timesteps": 1})


def time_to_clean_laps_table(figures: dict[str, Any], laps: int) -> FittedTable:
    """Return the figures of `time_all_seeds` as a table.

    Args:
        figures: The figures.
        laps: Number of laps of an evaluation.
    """
    title = f"seconds until an evaluation had one clean lap, and {laps} clean laps"
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
