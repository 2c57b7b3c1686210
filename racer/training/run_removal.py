"""Removal of runs, and of checkpoints that are no longer needed."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from racer.errors import RunError
from racer.tables import FittedTable, TableColumn
from racer.training.run_dir import Run
from racer.training.run_history import TRAINED_STATES, runs_in

AGE_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
"""The units of an age such as 7d."""


@dataclass(frozen=True)
class RunFiles:
    """A run, and the files of it that can be deleted.

    Attributes:
        run: The run.
        summary: What `racer.training.run_history.summarize_run` returned.
        paths: The files; the run's folder itself for all of them.
        size: Their size [bytes].
    """

    run: Run
    summary: dict[str, Any]
    paths: list[Path]
    size: int


def open_removable(folder: Path) -> Run:
    """Return the run in a folder that may be deleted.

    Raises:
        RunError: The folder holds no run, holds other runs, is a link, is the current folder or a
            parent of it, or its run is being trained.
    """
    run = Run.open(folder)
    if folder.is_symlink():
        raise RunError(f"{folder} is a link; name the run's own folder, {folder.resolve()}")
    if not run.checkpoints.is_dir():
        raise RunError(
            f"{folder} holds a config.yaml but no run: it has no folder checkpoints; delete it "
            "yourself if you do not need it"
        )
    whole, here = folder.resolve(), Path.cwd()
    if whole == here or whole in here.parents:
        raise RunError(f"{folder} is the current folder or a parent of it; go elsewhere first")
    if inner := next(folder.glob("*/**/config.yaml"), None):
        raise RunError(f"{folder} holds another run, {inner.parent}; move or remove that one first")
    if run.is_running():
        raise RunError(f"{folder}: a process trains this run now; stop it first")
    return run


def remove_run(run: Run) -> None:
    """Delete a run's folder with everything in it; of a link in it, only the link.

    `config.yaml` is deleted last: if the deletion is interrupted, the folder is still a run, and
    can be deleted by another call.

    Raises:
        RunError: The folder must not be deleted, see `open_removable`, or cannot be.
    """
    open_removable(run.folder)
    last = [run.checkpoints, run.folder / "config.yaml", run.folder / "lock"]
    try:
        with run.locked():
            for path in [*(one for one in run.folder.iterdir() if one not in last), *last]:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            run.folder.rmdir()
    except OSError as problem:
        where = problem.filename or run.folder
        raise RunError(f"{where}: cannot be deleted: {problem.strerror}") from problem


def prunable_runs(
    folder: Path,
    *,
    has_failed: bool = False,
    is_unevaluated: bool = False,
    min_age: timedelta | None = None,
    keep_best: int | None = None,
) -> list[RunFiles]:
    """Return the runs in a folder that meet every condition that is given, the oldest first.

    With both `has_failed` and `is_unevaluated`, a run needs to meet one of these two. A run that is
    being trained, that cannot be read, or whose folder is a link, is left out.

    Args:
        folder: The folder of the runs.
        has_failed: Only runs that an exception ended.
        is_unevaluated: Only runs without an evaluation.
        min_age: Only runs that began at least this long ago.
        keep_best: Only runs that are not among this number of best ones; see `record_key`.

    Raises:
        RunError: There is no such folder.
    """
    known = [one for one in runs_in(folder) if "steps" in one]
    ranked = sorted(known, key=record_key, reverse=True)
    kept = [one["run"] for one in ranked[: keep_best or 0]]
    found = []
    for one in known:
        run = Run(Path(one["run"]))
        kinds = [one["state"] == "failed"] * has_failed + [one["laps"] is None] * is_unevaluated
        is_old = min_age is None or _age(run, one["began"]) >= min_age
        if one["run"] in kept or not is_old or (kinds and not any(kinds)):
            continue
        if one["state"] not in TRAINED_STATES and not run.folder.is_symlink():
            found.append(RunFiles(run, one, [run.folder], disk_size([run.folder])))
    return found


def unneeded_checkpoints(found: Sequence[RunFiles]) -> list[RunFiles]:
    """Return the checkpoints of runs that are neither the best nor the newest.

    A run is exported from its best checkpoint, and resumed from its newest whole one. Runs that
    have no other checkpoint are left out.

    Raises:
        RunError: A run's files cannot be read.
    """
    spare = []
    for one in found:
        best = one.run.best_record()
        unneeded = one.run.saved.unneeded(best["checkpoint"] if best else None)
        if paths := [one.run.checkpoints / checkpoint.file for checkpoint in unneeded]:
            spare.append(RunFiles(one.run, one.summary, paths, disk_size(paths)))
    return spare


def remove_checkpoints(run: Run) -> None:
    """Delete a run's checkpoints except for the best one and those needed to resume the run.

    Raises:
        RunError: The run is being trained, or a file cannot be deleted.
    """
    try:
        with run.locked():
            best = run.best_record()
            run.saved.delete(run.saved.unneeded(best["checkpoint"] if best else None))
    except OSError as problem:
        raise RunError(f"{run.folder}: cannot be written: {problem}") from problem


def record_key(summary: dict[str, Any]) -> tuple[float, ...]:
    """Return a key that sorts summaries of runs, the best last.

    The criteria are, in this order: the share of the laps that its best evaluation completed, less
    time in multiples of the minimum, and a faster best lap.
    """
    laps = summary["laps"]
    return (
        summary["laps_completed"] / laps if laps else -1.0,
        -(summary["x_limit"] or math.inf),
        -(summary["best_lap_s"] or math.inf),
    )


def parse_age(text: str) -> timedelta:
    """Return a length of time such as 90m, 12h, 7d or 2w.

    Raises:
        RunError: It has another form.

    Example:
        >>> parse_age("7d").days
        7
    """
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if not found:
        units = ", ".join(f"{unit} for {name}" for unit, name in AGE_UNITS.items())
        raise RunError(f"--older-than {text}: must be a whole number and a unit: {units}; e.g. 7d")
    return timedelta(**{AGE_UNITS[found[2]]: int(found[1])})


def disk_size(paths: Iterable[Path]) -> int:
    """Return the size of files, and of all files in folders [bytes]; links are not followed."""
    size = 0
    for path in paths:
        size += path.lstat().st_size
        if path.is_dir() and not path.is_symlink():
            size += disk_size(Path(one.path) for one in os.scandir(path))
    return size


def format_size(size: float) -> str:
    """Return a size with its unit: `12 MB`.

    Example:
        >>> format_size(1_234_567)
        '1.2 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000.0 or unit == "GB":
            break
        size /= 1000.0
    return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"


def removal_table(found: Sequence[RunFiles]) -> FittedTable:
    """Return what would be deleted as a table to print, with a row for each run."""
    notes = [one.summary["note"] for one in found if one.summary["note"]]
    drawn = FittedTable(
        TableColumn("run", "left", least=20, wraps=True),
        TableColumn("state", "left", drop=1),
        TableColumn("began", "left", drop=3),
        TableColumn("laps", drop=2),
        TableColumn("best lap [s]", drop=2),
        *([TableColumn("note", "left", least=12, drop=4)] if notes else []),
        TableColumn("files"),
        TableColumn("size"),
    )
    for one in found:
        told, best = one.summary, one.summary["best_lap_s"]
        drawn.add_row(
            str(one.run.folder),
            told["state"],
            (told["began"] or "-").partition("T")[0],
            "-" if told["laps"] is None else f"{told['laps_completed']} of {told['laps']}",
            "-" if best is None else f"{best:.2f}",
            *([told["note"] or ""] if notes else []),
            "all" if one.paths == [one.run.folder] else _counted_checkpoints(len(one.paths)),
            format_size(one.size),
        )
    return drawn


def _counted_checkpoints(count: int) -> str:
    return f"{count} checkpoint{'s' * (count > 1)}"


def _age(run: Run, began: str | None) -> timedelta:
    """Return how long ago a run began."""
    if began:
        return datetime.now().astimezone() - datetime.fromisoformat(began)
    changed = (run.folder / "config.yaml").stat().st_mtime
    return timedelta(seconds=datetime.now().timestamp() - changed)
