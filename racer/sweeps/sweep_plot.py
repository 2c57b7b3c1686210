"""A picture of a sweep: its history, what matters, and the values over each parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from racer.assets.chart_style import (
    CURVE_COLOURS,
    GRID_COLOUR,
    INK_COLOUR,
    TICK_COLOUR,
    chart_figure,
    style_axes,
)
from racer.sweeps.parameters import SearchParameter
from racer.sweeps.sweep import SweepTrial, format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
"""Panels in a row."""
MAX_NAME_LENGTH = 18
"""Number of characters after which a choice's name is cut."""


def plot_sweep(
    title: str,
    parameters: Sequence[SearchParameter],
    trials: Sequence[SweepTrial],
    importances: Mapping[str, float],
) -> Figure:
    """Return a picture of a sweep.

    Args:
        title: Printed above.
        parameters: The parameters.
        trials: The trials; those without a value are left out.
        importances: Each parameter's share of the variation of the values, if it is known.
    """
    known = [one for one in trials if one.state in ("complete", "pruned")]
    rows = -(-(2 + len(parameters)) // COLUMNS)
    figure = chart_figure((4.6 * COLUMNS, 3.6 * rows))
    panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes in panels:
        axes.grid(color=GRID_COLOUR)
        axes.set_axisbelow(True)
    style_axes(panels)
    _draw_history(panels[0], known)
    _draw_importances(panels[1], [one.key for one in parameters], importances)
    for axes, parameter in zip(panels[2:], parameters):
        _draw_slice(axes, parameter, known)
    for axes in panels[2 + len(parameters) :]:
        axes.set_axis_off()
    panels[0].legend(frameon=False, labelcolor=INK_COLOUR, fontsize=9)
    figure.suptitle(title, color=INK_COLOUR, fontsize=13, x=0.02, ha="left")
    return figure


def _draw_history(axes: Axes, trials: Sequence[SweepTrial]) -> None:
    from matplotlib.ticker import MaxNLocator

    _draw_trials(axes, trials, lambda one: one.number)
    complete = [one for one in trials if one.state == "complete"]
    best = np.maximum.accumulate([one.value or 0.0 for one in complete])
    numbers = [one.number for one in complete]
    # To the last trial, even if it was pruned.
    numbers, best = [*numbers, max(one.number for one in trials)], [*best, best[-1]]
    axes.step(numbers, best, color=CURVE_COLOURS[1], where="post", label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _describe(axes, "completed laps + fraction", "trial")


def _draw_importances(axes: Axes, keys: Sequence[str], importances: Mapping[str, float]) -> None:
    shown = sorted(keys, key=lambda key: importances.get(key, 0.0))
    values = [importances.get(key, 0.0) for key in shown]
    axes.barh(shown, values, 0.6, color=CURVE_COLOURS[2])
    axes.set_xlim(0.0, 1.0)
    axes.grid(visible=False, axis="y")
    known = "" if importances else ": not known yet"
    _describe(axes, f"importance for the value{known}", "share")


def _draw_slice(axes: Axes, parameter: SearchParameter, trials: Sequence[SweepTrial]) -> None:
    having = [one for one in trials if parameter.key in one.params]
    if parameter.choices:
        _draw_trials(axes, having, lambda one: parameter.choices.index(one.params[parameter.key]))
        names = [format_number(choice, "")[:MAX_NAME_LENGTH] for choice in parameter.choices]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
    else:
        _draw_trials(axes, having, lambda one: one.params[parameter.key])
        if parameter.is_log:
            axes.set_xscale("log")
    _describe(axes, "completed laps + fraction", parameter.key)


def _draw_trials(
    axes: Axes, trials: Sequence[SweepTrial], x_of: Callable[[SweepTrial], float]
) -> None:
    """Draw a dot for each trial at its value; those that were pruned are grey."""
    for state, colour in (("pruned", TICK_COLOUR), ("complete", CURVE_COLOURS[0])):
        shown = [one for one in trials if one.state == state]
        places = [x_of(one) for one in shown]
        values = [one.value or 0.0 for one in shown]
        axes.plot(places, values, "o", color=colour, markersize=5, label=state)


def _describe(axes: Axes, title: str, x_label: str) -> None:
    axes.set_title(title, color=INK_COLOUR, fontsize=11, loc="left")
    axes.set_xlabel(x_label, color=INK_COLOUR)
