"""The summary of a row over its seeds, and tables of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from racer.benchmark.rows import BENCHMARK_LAPS, BenchmarkRow
from racer.benchmark.seed_result import CurvePoint, SeedResult
from racer.evaluation import make_race_rules
from racer.leaderboard.scoring import bootstrap_interval, interquartile_mean
from racer.tables import FittedTable, TableColumn, decimal_cell


@dataclass(frozen=True)
class RowSummary:
    """The seeds of a row together.

    As on a leaderboard that ranks by `iqm`, a race that was not finished counts with its whole time
    limit.

    Attributes:
        row: Name of the row.
        seeds: Number of seeds.
        laps: Laps of all races.
        laps_completed: Completed laps of all races.
        put_back: Number of times that a car was put back on the track, in all races.
        x_limit_median: Median over the seeds of the time in multiples of the minimum; None if the
            minimum is not known.
        x_limit_iqm: Interquartile mean of the same.
        x_limit_interval: Lower and upper end of the 95 % interval of `x_limit_iqm`, by a bootstrap
            over the seeds; None for a single seed.
        processor_s: Median processor time of the training [s].
    """

    row: str
    seeds: int
    laps: int
    laps_completed: int
    put_back: int
    x_limit_median: float | None
    x_limit_iqm: float | None
    x_limit_interval: tuple[float, float] | None
    processor_s: float


def summarize_row(results: Sequence[SeedResult]) -> RowSummary:
    """Return the summary of a row.

    Args:
        results: Its seeds, at least one.
    """
    values = np.array([one for one in map(counted_x_limit, results) if one is not None])
    is_known = len(values) == len(results)
    return RowSummary(
        row=results[0].row,
        seeds=len(results),
        laps=sum(one.laps for one in results),
        laps_completed=sum(one.laps_completed for one in results),
        put_back=sum(one.put_back for one in results),
        x_limit_median=float(np.median(values)) if is_known else None,
        x_limit_iqm=float(interquartile_mean(values)) if is_known else None,
        x_limit_interval=bootstrap_interval(values, [results[0].row] * len(values))
        if is_known and len(values) > 1
        else None,
        processor_s=median(one.processor_s for one in results),
    )


def counted_x_limit(result: SeedResult) -> float | None:
    """Return the time of a race in multiples of the minimum, as it counts in a summary.

    Returns:
        The time of the race, or its time limit if it was not finished, over the minimum time; None
        if that is not known.
    """
    if result.limit_s is None:
        return None
    time_limit = make_race_rules(BENCHMARK_LAPS).time_limit
    return result.x_limit or time_limit / result.limit_s


def summary_dict(
    row: BenchmarkRow, results: Sequence[SeedResult], curves: Sequence[CurvePoint]
) -> dict[str, Any]:
    """Return a row in plain values: `command`, `total`, `seeds` and `curves`.

    Args:
        row: The row.
        results: Its seeds.
        curves: Its evaluations.
    """
    return {
        "command": row.command(),
        "total": asdict(summarize_row(results)),
        "seeds": [asdict(one) for one in results],
        "curves": [asdict(one) for one in curves],
    }


def results_table(results: Sequence[SeedResult]) -> FittedTable:
    """Return the seeds of a row as a table for the terminal, with all together at the end.

    Args:
        results: The seeds, at least one.
    """
    total = summarize_row(results)
    shown = FittedTable(
        TableColumn("seed", "left"),
        TableColumn("laps", drop=1),
        TableColumn("put back", drop=2),
        TableColumn("x limit"),
        TableColumn("95 % interval", drop=1),
        TableColumn("best lap [s]", drop=3),
        TableColumn("processor [s]", drop=4),
        title=total.row,
        caption="x limit of all: the interquartile mean",
    )
    for one in results:
        shown.add_row(
            str(one.seed),
            f"{one.laps_completed} of {one.laps}",
            str(one.put_back),
            decimal_cell(one.x_limit, 3),
            "",
            decimal_cell(one.best_lap_s, 2),
            f"{one.processor_s:.0f}",
        )
    shown.add_row(
        "all",
        f"{total.laps_completed} of {total.laps}",
        str(total.put_back),
        decimal_cell(total.x_limit_iqm, 3),
        interval_words(total),
        "",
        f"{total.processor_s:.0f}",
        style="bold",
    )
    return shown


def curves_table(curves: Sequence[CurvePoint]) -> FittedTable:
    """Return the evaluations of a row's seeds as a table for the terminal."""
    shown = FittedTable(
        TableColumn("seed", "left"),
        TableColumn("steps"),
        TableColumn("laps"),
        TableColumn("put back", drop=2),
        TableColumn("distance [m]", drop=1),
        TableColumn("x limit"),
        title="evaluations in training",
    )
    for one in curves:
        shown.add_row(
            str(one.seed),
            f"{one.steps:,}",
            f"{one.laps_completed} of {one.laps}",
            str(one.put_back),
            f"{one.distance_m:.1f}",
            decimal_cell(one.x_limit, 3),
        )
    return shown


def interval_words(total: RowSummary) -> str:
    """Return the interval of a row's time as a cell."""
    if total.x_limit_interval is None:
        return "-"
    low, high = total.x_limit_interval
    return f"{low:.3f} to {high:.3f}"
