"""The tables and pictures of the benchmarks page, from its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from racer.assets.chart_style import (
    CURVE_COLOURS,
    GRID_COLOUR,
    INK_COLOUR,
    chart_figure,
    style_axes,
)
from racer.benchmark.row_summary import interval_words, summarize_row
from racer.benchmark.rows import BENCHMARK_ROWS, BENCHMARK_TRACKS, BenchmarkRow
from racer.benchmark.seed_result import CurvePoint, SeedResult
from racer.rendering.line_plots import LINE_STYLES
from racer.tables import decimal_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def page_with_tables(text: str, results: Sequence[SeedResult]) -> str:
    """Return the page with the tables of some results.

    Args:
        text: The page, in which comments mark where each table begins and ends.
        results: The seeds of all rows.
    """
    tables = {
        "commands": commands_markdown(),
        "results": results_markdown(results),
        "origin": origin_markdown(results),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def results_markdown(results: Sequence[SeedResult]) -> str:
    """Return the page's tables in Markdown: one for each track, the fastest row first.

    Args:
        results: The seeds of all rows.
    """
    seeds = _by_row(results)
    parts = []
    for track in BENCHMARK_TRACKS:
        rows = [one for one in BENCHMARK_ROWS if one.track == track]
        measured = [
            (one, summarize_row(seeds[one.name]), seeds[one.name][0])
            for one in rows
            if one.name in seeds
        ]
        measured.sort(key=lambda one: one[1].x_limit_iqm or np.inf)
        lines = [
            f"### `{track}`",
            "",
            "| row | algorithm | sensor | steps | seeds | laps | put back | x limit: median | "
            "mid mean | 95 % | processor time [s] |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row, total, first in measured:
            median, mid_mean = total.x_limit_median, total.x_limit_iqm
            cells = (
                f"`{row.name}`",
                first.algorithm,
                first.sensor,
                f"{first.steps:,}" if first.steps else "-",
                "-" if row.is_pilot else str(total.seeds),
                f"{total.laps_completed} of {total.laps}",
                str(total.put_back),
                decimal_cell(median, 3),
                decimal_cell(mid_mean, 3),
                interval_words(total),
                "-" if row.is_pilot else f"{total.processor_s:.0f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
        missing = ", ".join(f"`{one.name}`" for one in rows if one.name not in seeds)
        if missing:
            lines += ["", *wrap(f"Not measured yet: {missing}.", 120, break_on_hyphens=False)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def commands_markdown() -> str:
    """Return a table in Markdown of the command that makes each policy."""
    lines = ["| row | made by |", "|---|---|"]
    for one in BENCHMARK_ROWS:
        if one.track == BENCHMARK_TRACKS[0]:
            anywhere = BenchmarkRow(one.policy, "TRACK", one.config, one.pilot)
            lines.append(f"| `{anywhere.name}` | `{anywhere.command()}` |")
    return "\n".join(lines) + "\n"


def origin_markdown(results: Sequence[SeedResult]) -> str:
    """Return a list in Markdown of the machines and versions that measured, with their seeds."""
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for one in results:
        counted[one.machine, one.version] += 1
    return "".join(
        f"- {machine}; racer {version}: {count} lines\n"
        for (machine, version), count in sorted(counted.items())
    )


def plot_learning_curves(curves: Sequence[CurvePoint], track: str) -> Figure:
    """Return a picture of the learning curves of a track's rows over the control steps.

    Above is the time of the evaluations with all laps in multiples of the minimum, below how often
    the car was put back on the track in an evaluation. A line is the median of the seeds, which are
    points.

    Args:
        curves: The evaluations of all rows.
        track: The track.
    """
    figure = chart_figure((8.0, 6.4))
    times, faults = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    rows = [one for one in BENCHMARK_ROWS if one.track == track and not one.pilot]
    for number, row in enumerate(rows):
        points = [one for one in curves if one.row == row.name]
        if not points:
            continue
        turn, place = divmod(number, len(CURVE_COLOURS))
        colour, style = CURVE_COLOURS[place], LINE_STYLES[turn % len(LINE_STYLES)]
        timed = [(one.steps, one.x_limit) for one in points if one.x_limit is not None]
        put_back = [(one.steps, one.put_back) for one in points]
        for axes, values in ((times, timed), (faults, put_back)):
            axes.plot(*_median_line(values), style, color=colour, label=row.policy)
            axes.plot(*zip(*values), ".", color=colour, alpha=0.5, markersize=4)
    for axes, title in (
        (times, "x limit of evaluations with all laps"),
        (faults, "put back on the track, times in an evaluation"),
    ):
        axes.set_title(title, color=INK_COLOUR, fontsize=10, loc="left")
        axes.set_xscale("log")
        axes.grid(color=GRID_COLOUR)
        style_axes([axes])
        axes.tick_params(which="minor", colors=INK_COLOUR)
    faults.yaxis.get_major_locator().set_params(integer=True)
    times.set_yscale("log")
    times.grid(color=GRID_COLOUR, which="both", axis="y")
    for axis, form in ((times.yaxis, "{x:.3g}"), (faults.xaxis, "{x:,.0f}")):
        axis.set_major_formatter(form)
    times.yaxis.set_minor_formatter("{x:.3g}")
    faults.set_xlabel("control steps", color=INK_COLOUR)
    handles = {line.get_label(): line for line in faults.get_lines()[::2]}
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper left",
        ncols=5,
        frameon=False,
        labelcolor=INK_COLOUR,
    )
    return figure


def _median_line(values: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    """Return the steps in order, and the median of the values at each."""
    at: dict[int, list[float]] = defaultdict(list)
    for steps, value in values:
        at[steps].append(value)
    return sorted(at), [float(np.median(at[steps])) for steps in sorted(at)]


def _by_row(results: Sequence[SeedResult]) -> dict[str, list[SeedResult]]:
    """Return the seeds of each row by its name."""
    found: dict[str, list[SeedResult]] = defaultdict(list)
    for one in results:
        found[one.row].append(one)
    return dict(found)
