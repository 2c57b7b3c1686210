"""Pictures of a driven line and of a learning curve."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from racer.assets.chart_style import (
    CURVE_COLOURS,
    GRID_COLOUR,
    INK_COLOUR,
    SPEED_COLOURMAP,
    TICK_COLOUR,
    chart_figure,
    style_axes,
)
from racer.errors import RacerError
from racer.track import Track
from racer.track.picture import road_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_LEG_M = 0.5
"""A leg of a driven line that is longer was not driven: the car was put back."""


def plot_driven_line(track: Track, xy: np.ndarray, speed: np.ndarray, title: str) -> Figure:
    """Return a picture of the road and the line driven on it, coloured by speed.

    Args:
        track: The track.
        xy: Positions in driving order [m], (T, 2).
        speed: Speed at each [m/s], (T,).
        title: Printed above.
    """
    from matplotlib.collections import LineCollection

    figure, axes = road_figure(track)
    legs, was_driven = driven_legs(xy)
    line = LineCollection(list(legs), cmap=SPEED_COLOURMAP, linewidths=2.4, capstyle="round")
    line.set_array(speed[1:][was_driven])
    axes.add_collection(line)
    bar = figure.colorbar(line, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label("speed [m/s]", color=INK_COLOUR)
    bar.ax.tick_params(colors=INK_COLOUR)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    figure.suptitle(title, color=INK_COLOUR, fontsize=13, x=0.02, ha="left", wrap=True)
    return figure


def driven_legs(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the legs of a line that were driven, (k, 2, 2), and which of all legs they are.

    Args:
        xy: Positions in driving order [m], (T, 2).
    """
    was_driven = np.hypot(*(xy[1:] - xy[:-1]).T) <= MAX_LEG_M
    return np.stack([xy[:-1], xy[1:]], axis=1)[was_driven], was_driven


def plot_learning_curve(means: Mapping[str, np.ndarray], judged: np.ndarray, title: str) -> Figure:
    """Return a picture of reward and progress over training.

    Args:
        means: `steps`, `reward`, `progress` [percent] and `laps` [percent] of training episodes,
            each (k,).
        judged: Steps and completed laps [percent] of each evaluation, (m, 2).
        title: Printed above.
    """
    figure = chart_figure((10.0, 3.6))
    paid, driven = figure.subplots(1, 2)
    paid.plot(means["steps"], means["reward"], color=CURVE_COLOURS[0])
    driven.plot(means["steps"], means["progress"], color=CURVE_COLOURS[1], label="progress")
    driven.plot(means["steps"], means["laps"], color=CURVE_COLOURS[2], label="laps completed")
    driven.plot(*judged.T, "o", color=INK_COLOUR, markersize=5, label="laps completed, judged")
    driven.set_ylim(-4.0, 104.0)
    driven.legend(frameon=False, labelcolor=INK_COLOUR, fontsize=9)
    for axes, what in ((paid, "mean reward of an episode"), (driven, "percent")):
        axes.set_title(what, color=INK_COLOUR, fontsize=11, loc="left")
        axes.set_xlabel("control steps", color=INK_COLOUR)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(color=GRID_COLOUR)
    style_axes([paid, driven])
    figure.suptitle(title, color=INK_COLOUR, fontsize=13, x=0.02, ha="left")
    return figure


Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""x and y of each curve, (k,) each, by its name."""
LINE_STYLES = ("-", "--", ":")
"""Styles of the curves: the next one begins when all colours are used."""


def plot_compared_curves(panels: Mapping[str, Curves], limits: Mapping[str, float]) -> Figure:
    """Return a picture of four panels with the same curves in the same colours.

    Args:
        panels: The curves over the control steps, by the title of their panel; one that ends with
            `[percent]` has an axis from 0 to 100.
        limits: A value to mark by a dotted line, by the title of its panel.
    """
    figure = chart_figure((11.0, 7.2))
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    shown = figure.subplots(2, 2, sharex=True).flat
    for axes, (title, curves) in zip(shown, panels.items(), strict=True):
        for name, (x, y) in curves.items():
            turn, number = divmod(names.index(name), len(CURVE_COLOURS))
            style = LINE_STYLES[turn % len(LINE_STYLES)]
            mark = "." if len(x) < 30 else ""
            axes.plot(x, y, style, marker=mark, color=CURVE_COLOURS[number], label=name)
        if title in limits:
            axes.axhline(limits[title], color=TICK_COLOUR, linestyle=":")
        if title.endswith("[percent]"):
            axes.set_ylim(-4.0, 104.0)
        axes.set_title(title, color=INK_COLOUR, fontsize=11, loc="left")
        axes.grid(color=GRID_COLOUR)
        style_axes([axes])
    for axes in figure.axes[2:]:
        axes.set_xlabel("control steps", color=INK_COLOUR)
        axes.xaxis.set_major_formatter("{x:,.0f}")
    handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(
        [handles[name] for name in names],
        [name if len(name) <= 40 else f"{name[:39]}\N{HORIZONTAL ELLIPSIS}" for name in names],
        loc="outside upper left",
        ncols=min(len(names), 4) or 1,
        frameon=False,
        labelcolor=INK_COLOUR,
    )
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a picture.

    Raises:
        RacerError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # An emoji in a name may be drawn as a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(path, dpi=150, facecolor=figure.get_facecolor())
    except (OSError, ValueError) as problem:
        raise RacerError(f"{path}: the picture cannot be written: {problem}") from problem
