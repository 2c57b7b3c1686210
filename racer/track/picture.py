"""Pictures of a road from above."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from racer.track.geometry import Track

PAPER_COLOUR = "#10141a"
ROAD_COLOUR = "#2b313b"
BORDER_COLOUR = "#e8e8e4"
INK_COLOUR = "#d8dce2"
WIDTH, EDGE = 640.0, 8.0
"""Of an SVG picture, and what is left free around the road in it."""


def track_picture(track: Track) -> Figure:
    """The road alone, with its name and length."""
    figure, axes = road_figure(track)
    axes.set_title(f"{track.name}, {track.length:.1f} m", color=INK_COLOUR, fontsize=13, loc="left")
    return figure


def road_figure(track: Track) -> tuple[Figure, Axes]:
    """The road on a figure, to draw on."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from racer.assets.figure import NotebookFigure

    span = np.ptp(np.vstack([track.left, track.right]), axis=0)
    figure = NotebookFigure(
        figsize=(10.0, float(np.clip(10.0 * span[1] / span[0] * 0.9, 3.5, 12.0))),
        facecolor=PAPER_COLOUR,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=PAPER_COLOUR)
    axes.set_aspect("equal")
    rings = [np.vstack([ring, ring[:1]]) for ring in (track.left, track.right)]
    axes.fill(*np.vstack([rings[0], rings[1][::-1]]).T, color=ROAD_COLOUR, linewidth=0)
    for ring in rings:
        axes.plot(*ring.T, color=BORDER_COLOUR, linewidth=1.2)
    centre = np.vstack([track.centre, track.centre[:1]])
    axes.plot(*centre.T, color="#f0a020", linewidth=0.7, dashes=(6, 6), alpha=0.6)
    axes.plot(*np.stack([track.left[0], track.right[0]]).T, color=BORDER_COLOUR, linewidth=4)
    ahead = track.centre[1] - track.centre[0]
    ahead = 0.7 * ahead / np.hypot(*ahead)
    axes.annotate(
        "",
        xy=tuple(track.centre[0] + ahead),
        xytext=tuple(track.centre[0]),
        arrowprops={"arrowstyle": "-|>", "color": BORDER_COLOUR, "linewidth": 1.5},
    )
    axes.tick_params(colors="#6b7480")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def road_svg(track: Track) -> str:
    """The road as an SVG picture that takes its ink from the page around it."""
    both = np.vstack([track.left, track.right])
    low, span = both.min(axis=0), np.ptp(both, axis=0)
    scale = (WIDTH - 2 * EDGE) / span.max()
    wide, high = span * scale + 2 * EDGE

    def path(xy: np.ndarray) -> str:
        at = (xy - low) * scale + EDGE
        return "M" + "L".join(f"{x:.1f} {high - y:.1f}" for x, y in at)

    start = path(np.stack([track.left[0], track.right[0]]))
    return (
        f'<svg viewBox="0 0 {wide:.0f} {high:.0f}" role="img" style="width: 100%">'
        f'<path d="{path(track.left)}Z{path(track.right)}Z" fill="currentColor" '
        'fill-opacity=".13" fill-rule="evenodd" stroke="currentColor" stroke-opacity=".55"/>'
        f'<path d="{start}" stroke="currentColor" stroke-width="4"/></svg>'
    )
