"""Pictures of a track and of the line that a car drove on it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from racer.errors import RacerError
from racer.track import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER = "#10141a"
ROAD = "#2b313b"
BORDER = "#e8e8e4"
INK = "#d8dce2"
COLOURS = "plasma"


def driven_line(track: Track, xy: np.ndarray, speed: np.ndarray, title: str) -> Figure:
    """The road and the line driven on it, coloured by speed.

    Args:
        track: The track.
        xy: Positions in driving order [m], (T, 2).
        speed: Speed at each [m/s], (T,).
        title: Printed above.
    """
    from matplotlib.collections import LineCollection

    figure, axes = _road(track)
    legs = np.stack([xy[:-1], xy[1:]], axis=1)
    jumped = (
        np.hypot(*(xy[1:] - xy[:-1]).T) > 0.5
    )  # A car put back on the road drove no line there.
    line = LineCollection(list(legs[~jumped]), cmap=COLOURS, linewidths=2.4, capstyle="round")
    line.set_array(speed[1:][~jumped])
    axes.add_collection(line)
    bar = figure.colorbar(line, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label("speed [m/s]", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    figure.suptitle(title, color=INK, fontsize=13, x=0.02, ha="left", wrap=True)
    return figure


def track_picture(track: Track) -> Figure:
    """The road alone, with its name and length."""
    figure, axes = _road(track)
    axes.set_title(f"{track.name}, {track.length:.1f} m", color=INK, fontsize=13, loc="left")
    return figure


def save(figure: Figure, path: Path) -> None:
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


def _road(track: Track) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    span = np.ptp(np.vstack([track.left, track.right]), axis=0)
    figure = Figure(
        figsize=(10.0, float(np.clip(10.0 * span[1] / span[0] * 0.9, 3.5, 12.0))),
        facecolor=PAPER,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=PAPER)
    axes.set_aspect("equal")
    rings = [np.vstack([ring, ring[:1]]) for ring in (track.left, track.right)]
    axes.fill(*np.vstack([rings[0], rings[1][::-1]]).T, color=ROAD, linewidth=0)
    for ring in rings:
        axes.plot(*ring.T, color=BORDER, linewidth=1.2)
    centre = np.vstack([track.centre, track.centre[:1]])
    axes.plot(*centre.T, color="#f0a020", linewidth=0.7, dashes=(6, 6), alpha=0.6)
    axes.plot(*np.stack([track.left[0], track.right[0]]).T, color=BORDER, linewidth=4)
    ahead = track.centre[1] - track.centre[0]
    ahead = 0.7 * ahead / np.hypot(*ahead)
    axes.annotate(
        "",
        xy=tuple(track.centre[0] + ahead),
        xytext=tuple(track.centre[0]),
        arrowprops={"arrowstyle": "-|>", "color": BORDER, "linewidth": 1.5},
    )
    axes.tick_params(colors="#6b7480")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes
