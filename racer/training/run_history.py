"""Summaries of the runs in a folder, and tables of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from racer.errors import RacerError, RunError
from racer.tables import FittedTable, TableColumn, decimal_cell
from racer.training.config import RunConfig
from racer.training.run_dir import Run

TRAINED_STATES = ("running", "paused")
"""The states of a run that a process trains now."""
CURVE_POINTS = 60
"""Largest number of points of a curve over training."""


def runs_in(folder: Path) -> list[dict[str, Any]]:
    """Return the summary of each run in a folder, the oldest first; see `summarize_run`.

    A run that cannot be read has only `run`, its folder; `state`, which is "unreadable"; and
    `error`, the reason.

    Raises:
        RunError: There is no such folder.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; `racer train` makes runs/ where it is started")
    found = [read_summary(one.parent) for one in sorted(folder.glob("*/config.yaml"))]
    return sorted(found, key=lambda one: one.get("began") or "")


def read_summary(folder: Path) -> dict[str, Any]:
    """Return the summary of the run in a folder, also if it cannot be read; see `runs_in`."""
    try:
        return summarize_run(Run.open(folder))
    except RacerError as problem:
        return {"run": str(folder), "state": "unreadable", "error": str(problem)}


def summarize_run(run: Run) -> dict[str, Any]:
    """Return the summary of a run.

    Returns:
        `run`, the folder; `config`, the config's name; `began`, the date and time in ISO 8601;
        `state`; `is_resumable`; `error`, the message of the exception that ended it; `note`, the
        user's note; `steps`, the control steps before the newest checkpoint; `wanted`, those of
        the whole training; `seed`; of the best evaluation's first race `laps_completed`, `laps`,
        `best_lap_s` and `x_limit`; and `cost`, see `Run.record_cost`. A value that is not known is
        None. The state is "running", "paused", "interrupted" if the process ended without a record,
        or how the training ended; see `Ended`.

    Raises:
        RacerError: One of the run's files cannot be read.
    """
    config, story, known = run.config(), run.story(), run.saved.known()
    steps = max((one.steps for one in known), default=0)
    is_done = any(one.is_whole and one.steps >= config.total_timesteps for one in known)
    state = "finished" if is_done else story.get("ended") or "interrupted"
    if run.is_running():
        state = "paused" if run.is_requested("pause") else "running"
    best = run.best_record() or {"result": {}}
    figures = ("laps_completed", "laps", "best_lap_s", "x_limit")
    return {
        "run": str(run.folder),
        "config": story.get("config") or None,
        "began": story.get("began"),
        "state": state,
        "is_resumable": state not in (*TRAINED_STATES, "finished"),
        "error": story.get("error") or None,
        "note": run.note() or None,
        "steps": steps,
        "wanted": config.total_timesteps,
        "seed": config.seed,
        **{name: best["result"].get(name) for name in figures},
        "cost": story.get("cost"),
    }


def run_details(run: Run) -> dict[str, Any]:
    """Return the summary of a run with its config, checkpoints and evaluations.

    Returns:
        All that `summarize_run` returns; `differences`, see `config_differences`; `lineage`, of
        each policy that it descends from `kind`, `name`, `steps` and `sha256`; `extensions`, see
        `Run.extend`; `checkpoints`, a list of dicts with `file`, `steps`, `is_whole`, `is_best` and
        `sha256`; and `evaluations`, the records of `evaluations.jsonl`: for each the `steps` and
        the result of its first race.

    Raises:
        RacerError: One of the run's files cannot be read.
    """
    best = run.best_record()
    checkpoints = [
        {
            "file": one.file,
            "steps": one.steps,
            "is_whole": one.is_whole,
            "is_best": bool(best) and best["checkpoint"] == one.file,
            "sha256": one.sha256,
        }
        for one in run.saved.known()
    ]
    return {
        **summarize_run(run),
        "differences": config_differences(config_as_asked(run)),
        "lineage": [one.model_dump() for one in run.lineage()],
        "extensions": run.story().get("extensions", []),
        "checkpoints": checkpoints,
        "evaluations": run.records("evaluations"),
    }


def origin_words(run: Run) -> list[str]:
    """Return sentences about what a run began with, and about when it was trained further.

    Raises:
        RunError: `run.json` cannot be read.
    """
    words = [f"began with the weights of {one.words}" for one in run.lineage()[:1]]
    words += [f"which began with those of {one.words}" for one in run.lineage()[1:]]
    for one in run.story().get("extensions", []):
        words.append(
            f"trained further after {one['steps']:,} steps: {one['new_total']:,} in all instead of "
            f"{one['old_total']:,}"
        )
    return words


def training_curve(episodes: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return means over consecutive groups of episodes, all of about the same size.

    Args:
        episodes: The records of `episodes.jsonl`.

    Returns:
        The means of `steps`, `progress` [percent], `laps` (the share of episodes that completed
        their laps [percent]) and `reward`, each (k,) with k up to `CURVE_POINTS`.
    """
    order = np.argsort([one["steps"] for one in episodes], kind="stable")
    groups = [
        part for part in np.array_split(order, min(CURVE_POINTS, max(len(order), 1))) if len(part)
    ]
    columns = {
        "steps": [one["steps"] for one in episodes],
        "progress": [one["progress"] for one in episodes],
        "laps": [100.0 * (one["ending"] == "laps_complete") for one in episodes],
        "reward": [one["reward"] for one in episodes],
    }
    return {
        name: np.array([np.mean(np.array(values)[part]) for part in groups])
        for name, values in columns.items()
    }


def evaluation_progress(record: dict[str, Any], track_length: float) -> float:
    """Return the share of an evaluation's laps that was driven [percent].

    A race that ended within a lap counts by its distance.

    Args:
        record: The race as `LapResult.as_dict` returns it.
        track_length: Length of its track [m].
    """
    share = max(record["laps_completed"], record["distance_m"] / track_length) / record["laps"]
    return 100.0 * min(max(share, 0.0), 1.0)


def training_seconds(run: Run) -> float | None:
    """Return the wall-clock seconds that a run trained before its newest checkpoint.

    Returns:
        The seconds of all parts of the run; None if it has no checkpoint.

    Raises:
        RunError: The checkpoint cannot be read.
    """
    import torch

    from racer.training.checkpoint_content import unpack_checkpoint

    known = run.saved.known()
    if not known:
        return None
    newest = max(known, key=lambda one: one.steps).file
    source = str(run.checkpoints / newest)
    state = unpack_checkpoint(run.saved.read(newest), source, torch.device("cpu"))
    return float(state["progress"]["seconds"])


def config_as_asked(run: Run) -> RunConfig:
    """Return a run's config with the reward as the user named it, not the path of the copy.

    Raises:
        RunError: One of the run's files cannot be read.
    """
    config, asked = run.written_config(), run.story().get("reward")
    return config.model_copy(update={"reward": asked}) if asked else config


def config_differences(config: RunConfig) -> dict[str, Any]:
    """Return the fields whose values are not the defaults, by their dotted names.

    The defaults of an algorithm's hyperparameters are those of its own section.
    """
    default = RunConfig()
    both = config, default.with_algorithm(config.algorithm)
    mine, usual = (flatten_tree(one.model_dump(mode="json")) for one in both)
    usual["algorithm"] = default.algorithm
    return {key: value for key, value in mine.items() if key not in usual or usual[key] != value}


def flatten_tree(tree: Any, at: str = "") -> dict[str, Any]:
    """Return the values of nested dicts by their dotted names, such as `ppo.n_steps`.

    Dicts in a list are named by their numbers, as the command line's options name them:
    `sensor.0.kind`.

    Args:
        tree: The dict.
        at: The dotted name of `tree` itself; "" for the root.
    """
    if isinstance(tree, list) and tree and all(isinstance(one, dict) for one in tree):
        tree = dict(enumerate(tree))
    if isinstance(tree, dict):
        parts = [flatten_tree(value, f"{at}.{key}" if at else key) for key, value in tree.items()]
        return {key: value for part in parts for key, value in part.items()}
    return {at: tree}


def runs_table(runs: list[dict[str, Any]]) -> FittedTable:
    """Return the summaries of runs as a table to print, with a row for each run."""
    notes = [one["note"] for one in runs if one.get("note")]
    is_priced = any((one.get("cost") or {}).get("price") is not None for one in runs)
    drawn = FittedTable(
        TableColumn("run", "left", least=20, wraps=True),
        TableColumn("config", "left", least=10, drop=3),
        TableColumn("state", "left", drop=1),
        TableColumn("steps", drop=4),
        TableColumn("laps", drop=2),
        TableColumn("best lap [s]"),
        TableColumn("x limit", drop=5),
        TableColumn("core hours", drop=6),
        *([TableColumn("price", drop=2)] if is_priced else []),
        *([TableColumn("note", "left", least=12, drop=2)] if notes else []),
    )
    for one in runs:
        again = ", resumable" if one.get("is_resumable") else ""
        laps = "-" if one.get("laps") is None else f"{one['laps_completed']} of {one['laps']}"
        drawn.add_row(
            Path(one["run"]).name,
            one.get("config") or "-",
            one["state"] + again,
            f"{one.get('steps', 0):,}",
            laps,
            decimal_cell(one.get("best_lap_s")),
            decimal_cell(one.get("x_limit")),
            *_cost_cells(one.get("cost") or {}, is_priced),
            *([one.get("note") or ""] if notes else []),
        )
    return drawn


def _cost_cells(cost: dict[str, Any], is_priced: bool) -> list[str]:
    """Return the cells of a run's cost: core hours, and the price if the table has that column.

    Args:
        cost: What `Cost.as_dict` returned; empty if it is not known.
        is_priced: Whether the table has prices.
    """
    hours = f"{cost['core_s'] / 3600.0:.2f}" if cost else "-"
    price = cost.get("price")
    return [hours, *(["-" if price is None else f"{price:.4g}"] if is_priced else [])]


def evaluations_table(one: dict[str, Any]) -> FittedTable:
    """Return a run's evaluations as a table to print, with a row for each evaluation.

    Args:
        one: What `run_details` returned.
    """
    drawn = FittedTable(
        TableColumn("steps"),
        TableColumn("laps", drop=2),
        TableColumn("best lap [s]", drop=1),
        TableColumn("total [s]", drop=4),
        TableColumn("x limit", drop=3),
        TableColumn("put back", drop=5),
        TableColumn("checkpoint", "left", drop=1),
    )
    files = {saved["steps"]: saved for saved in one["checkpoints"]}
    for found in one["evaluations"]:
        saved = files.get(found["steps"], {})
        drawn.add_row(
            f"{found['steps']:,}",
            f"{found['laps_completed']} of {found['laps']}",
            decimal_cell(found["best_lap_s"]),
            decimal_cell(found["total_time_s"]),
            decimal_cell(found["x_limit"]),
            str(found["resets"]),
            saved.get("file", "dropped") + (", best" if saved.get("is_best") else ""),
        )
    return drawn
