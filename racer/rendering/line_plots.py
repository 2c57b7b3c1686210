"""Pictures of a track and of the line that a car drove on it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from racer.errors import RacerError
from racer.track import Track
from racer.track.picture import BORDER_COLOUR as BORDER_COLOUR
from racer.track.picture import INK_COLOUR as INK_COLOUR
from racer.track.picture import PAPER_COLOUR as PAPER_COLOUR
from racer.track.picture import road_figure
from racer.track.picture import track_picture as track_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPEED_COLOURMAP = "plasma"
CURVE_COLOURS = ("#f0a020", "#4cc3ff", "#7bd88f")


def plot_driven_line(track: Track, xy: np.ndarray, speed: np.ndarray, title: str) -> Figure:
    """The road and the line driven on it, coloured by speed.

    Args:
        track: The track.
        xy: Positions in driving order [m], (T, 2).
        speed: Speed at each [m/s], (T,).
        title: Printed above.
    """
    from matplotlib.collections import LineCollection

    figure, axes = road_figure(track)
    legs = np.stack([xy[:-1], xy[1:]], axis=1)
    jumped = (
        np.hypot(*(xy[1:] - xy[:-1]).T) > 0.5
    )  # A car put back on the road drove no line there.
    line = LineCollection(
        list(legs[~jumped]), cmap=SPEED_COLOURMAP, linewidths=2.4, capstyle="round"
    )
    line.set_array(speed[1:][~jumped])
    axes.add_collection(line)
    bar = figure.colorbar(line, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label("speed [m/s]", color=INK_COLOUR)
    bar.ax.tick_params(colors=INK_COLOUR)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    figure.suptitle(title, color=INK_COLOUR, fontsize=13, x=0.02, ha="left", wrap=True)
    return figure


def plot_learning_curve(means: Mapping[str, np.ndarray], judged: np.ndarray, title: str) -> Figure:
    """Reward and progress over training.

    Args:
        means: Of training episodes: `steps`, `reward`, `progress` [percent] and `laps` [percent],
            each (k,).
        judged: Steps and completed laps [percent] of each evaluation, (m, 2).
        title: Printed above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from racer.assets.figure import NotebookFigure

    figure = NotebookFigure(figsize=(10.0, 3.6), facecolor=PAPER_COLOUR, layout="constrained")
    FigureCanvasAgg(figure)
    paid, driven = figure.subplots(1, 2)
    paid.plot(means["steps"], means["reward"], color=CURVE_COLOURS[0])
    driven.plot(means["steps"], means["progress"], color=CURVE_COLOURS[1], label="progress")
    driven.plot(means["steps"], means["laps"], color=CURVE_COLOURS[2], label="laps completed")
    driven.plot(*judged.T, "o", color=INK_COLOUR, markersize=5, label="laps completed, judged")
    driven.set_ylim(-4.0, 104.0)
    driven.legend(frameon=False, labelcolor=INK_COLOUR, fontsize=9)
    for axes, what in ((paid, "mean reward of an episode"), (driven, "percent")):
        axes.set_facecolor(PAPER_COLOUR)
        axes.set_title(what, color=INK_COLOUR, fontsize=11, loc="left")
        axes.set_xlabel("control steps", color=INK_COLOUR)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.tick_params(colors=INK_COLOUR)
        axes.grid(color="#2b313b")
        for spine in axes.spines.values():
            spine.set_visible(False)
    figure.suptitle(title, color=INK_COLOUR, fontsize=13, x=0.02, ha="left")
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a picture.

    Raises:
        RacerError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # A name may hold an emoji; a box in its place is enough.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(path, dpi=150, facecolor=figure.get_facecolor())
    except (OSError, ValueError) as problem:
        raise RacerError(f"{path}: the picture cannot be written: {problem}") from problem
