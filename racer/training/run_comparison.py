"""A comparison of runs: their configs, records, rewards and curves."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from racer.assets.text import decode_text
from racer.errors import RunError
from racer.tables import FittedTable, TableColumn, decimal_cell
from racer.track import load_track
from racer.training.run_dir import Run
from racer.training.run_history import (
    config_as_asked,
    evaluation_progress,
    flatten_tree,
    summarize_run,
    training_curve,
    training_seconds,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[np.ndarray, np.ndarray]
"""x and y of a curve, (k,) each."""


@dataclass(frozen=True)
class RunComparison:
    """What distinguishes several runs.

    Attributes:
        runs: The runs, by their names: of their folders, or their paths if two folders have the
            same name.
        records: Of each run what `summarize_run` returns, and `minutes`, the wall-clock minutes
            of its training up to its newest checkpoint; None if it has none.
        differences: The fields of the config that are not the same in all runs, by their dotted
            names: the value in each run, None for a field that a run does not have. A reward of
            the same name but with another text is followed by the start of its SHA-256.
        reward_diffs: The unified diff from the first run's reward to that of each other run, by
            the run's name; a run with the same reward is left out.
    """

    runs: dict[str, Run]
    records: list[dict[str, Any]]
    differences: dict[str, list[Any]]
    reward_diffs: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values, as `racer runs compare --json` prints it."""
        return {
            "runs": list(self.runs),
            "records": self.records,
            "differences": self.differences,
            "reward_diffs": self.reward_diffs,
        }

    def plot(self) -> Figure:
        """Return the runs' curves over the control steps in one picture.

        Its panels are the reward and the progress of training episodes, the progress in
        evaluations, and the time of an evaluation's race in multiples of the minimum; for tracks
        without a known minimum, the best lap.

        Raises:
            RunError: None of the runs has an episode or an evaluation yet.
        """
        from racer.rendering.line_plots import plot_compared_curves

        rewards: dict[str, Curve] = {}
        progress: dict[str, Curve] = {}
        judged: dict[str, Curve] = {}
        multiples: dict[str, Curve] = {}
        laps: dict[str, Curve] = {}
        is_limited = True
        for name, run in self.runs.items():
            episodes, evaluations = run.records("episodes"), run.records("evaluations")
            if episodes:
                means = training_curve(episodes)
                rewards[name] = means["steps"], means["reward"]
                progress[name] = means["steps"], means["progress"]
            if evaluations:
                length = load_track(run.config().evaluation_tracks[0]).length
                steps = np.array([one["steps"] for one in evaluations])
                driven = [evaluation_progress(one, length) for one in evaluations]
                judged[name] = steps, np.array(driven)
                multiples[name] = _known(evaluations, "x_limit")
                laps[name] = _known(evaluations, "best_lap_s")
                is_limited &= evaluations[-1]["limit_s"] is not None
        if not rewards and not judged:
            raise RunError(f"{', '.join(self.runs)}: no episode and no evaluation yet")
        title = "race time in multiples of the minimum" if is_limited else "best lap [s]"
        panels = {
            "mean reward of a training episode": rewards,
            "mean progress of a training episode [percent]": progress,
            "progress in evaluations [percent]": judged,
            title: multiples if is_limited else laps,
        }
        return plot_compared_curves(panels, {title: 1.0} if is_limited else {})


def compare_runs(runs: Sequence[Run | Path | str]) -> RunComparison:
    """Return what distinguishes several runs, in their configs, results and rewards.

    Args:
        runs: The runs, or their folders; at least two.

    Raises:
        RunError: There are fewer than two, two are the same, or one cannot be read.
    """
    opened = [one if isinstance(one, Run) else Run.open(Path(one)) for one in runs]
    if len({run.folder.resolve() for run in opened}) < len(opened):
        raise RunError("a run is named twice; name different runs to compare")
    if len(opened) < 2:
        raise RunError(f"a comparison needs at least 2 runs, got {len(opened)}")
    names = [run.folder.resolve().name for run in opened]
    if len(set(names)) < len(names):
        names = [str(run.folder) for run in opened]
    texts = {name: _reward_text(run) for name, run in zip(names, opened)}
    trees = [flatten_tree(config_as_asked(run).model_dump(mode="json")) for run in opened]
    if len(set(texts.values())) > len({tree["reward"] for tree in trees}):
        for tree, text in zip(trees, texts.values()):
            tree["reward"] += f" ({hashlib.sha256(text.encode()).hexdigest()[:8]})"
    keys = list(dict.fromkeys(key for tree in trees for key in tree))
    values = {key: [tree.get(key) for tree in trees] for key in keys}
    return RunComparison(
        runs=dict(zip(names, opened)),
        records=[summarize_run(run) | {"minutes": _minutes(run)} for run in opened],
        differences={
            key: found for key, found in values.items() if any(one != found[0] for one in found[1:])
        },
        reward_diffs=_reward_diffs(texts),
    )


def records_table(compared: RunComparison) -> FittedTable:
    """Return the results of compared runs as a table to print, with a row for each run."""
    drawn = FittedTable(
        TableColumn("run", "left", least=12, wraps=True),
        TableColumn("ended", "left", drop=3),
        TableColumn("steps", drop=4),
        TableColumn("minutes", drop=5),
        TableColumn("laps", drop=2),
        TableColumn("best lap [s]"),
        TableColumn("x limit", drop=1),
    )
    for name, one in zip(compared.runs, compared.records):
        drawn.add_row(
            name,
            one["state"],
            f"{one['steps']:,}",
            decimal_cell(one["minutes"], 1),
            "-" if one["laps"] is None else f"{one['laps_completed']} of {one['laps']}",
            decimal_cell(one["best_lap_s"], 2),
            decimal_cell(one["x_limit"], 2),
        )
    return drawn


def differences_table(compared: RunComparison) -> FittedTable:
    """Return the config's differences as a table to print.

    It has a row for each field; if there are more runs than fields, one for each run.
    """
    names, fields = list(compared.runs), list(compared.differences)
    cells = [
        [difference_cell(value) for value in values] for values in compared.differences.values()
    ]
    if len(names) > len(fields):
        heading, columns, rows = "run", fields, names
        cells = [list(row) for row in zip(*cells)]
    else:
        heading, columns, rows = "field", names, fields
    drawn = FittedTable(
        TableColumn(heading, "left"),
        *(
            TableColumn(name, "left", least=12, wraps=True, drop=k)
            for k, name in enumerate(columns)
        ),
    )
    for name, row in zip(rows, cells):
        drawn.add_row(name, *row)
    return drawn


def difference_cell(value: Any) -> str:
    """Return a value of a config as a table shows it."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _known(evaluations: list[dict[str, Any]], key: str) -> Curve:
    """Return the steps and the values of the evaluations that have a value."""
    pairs = [(one["steps"], one[key]) for one in evaluations if one[key] is not None]
    steps, values = np.array(pairs, dtype=float).reshape(-1, 2).T
    return steps, values


def _minutes(run: Run) -> float | None:
    seconds = training_seconds(run)
    return None if seconds is None else seconds / 60.0


def _reward_text(run: Run) -> str:
    path = Path(run.config().reward or "")
    try:
        return decode_text(path.read_bytes())
    except (OSError, UnicodeDecodeError) as problem:
        raise RunError(f"{path}: the reward cannot be read: {problem}") from problem


def _reward_diffs(texts: dict[str, str]) -> dict[str, str]:
    (first, text), *others = texts.items()
    return {
        name: "\n".join(
            difflib.unified_diff(text.splitlines(), other.splitlines(), first, name, lineterm="")
        )
        for name, other in others
        if other != text
    }
