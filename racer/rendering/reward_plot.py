"""A picture of what a reward function pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from racer.assets.chart_style import (
    BORDER_COLOUR,
    CURVE_COLOURS,
    INK_COLOUR,
    PAPER_COLOUR,
    REWARD_COLOURMAP,
    TICK_COLOUR,
    chart_figure,
    style_axes,
)
from racer.track import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_reward(
    track: Track,
    corners: np.ndarray,
    paid: np.ndarray,
    way: np.ndarray,
    along: np.ndarray,
    title: str,
    lap_title: str,
    objects: np.ndarray | None = None,
) -> Figure:
    """Return a picture of the road coloured by reward, and below it the rewards of one lap.

    Args:
        track: The track.
        corners: Corners of the coloured cells [m], (N + 1, M + 1, 2).
        paid: Reward of a step in each cell, (N, M).
        way: Distance made good at each step of the lap [m], (T,).
        along: Reward of each of those steps, (T,).
        title: Printed above the road.
        lap_title: Printed above the lap's rewards.
        objects: Boxes or bots to mark: x, y [m] and heading [rad], (K, 3).
    """
    span = np.ptp(corners.reshape(-1, 2), axis=0)
    height = float(np.clip(10.0 * span[1] / span[0] * 0.85, 3.0, 10.0))
    figure = chart_figure((10.0, height + 3.0))
    road, lap = figure.subplots(2, 1, height_ratios=[height, 2.2])
    _paint(road, track, corners, paid, objects)
    road.set_title(title, color=INK_COLOUR, fontsize=12, loc="left", pad=10)
    lap.plot(way, along, color=CURVE_COLOURS[0], linewidth=1.4)
    lap.axhline(0.0, color=INK_COLOUR, linewidth=0.5, alpha=0.6)
    lap.set_title(lap_title, color=INK_COLOUR, fontsize=11, loc="left")
    lap.set_xlabel("way from the start [m]", color=INK_COLOUR)
    lap.set_ylabel("reward of a step", color=INK_COLOUR)
    style_axes([road, lap], TICK_COLOUR)
    return figure


def _paint(
    axes: Axes, track: Track, corners: np.ndarray, paid: np.ndarray, objects: np.ndarray | None
) -> None:
    """Colour costs red and payments green, each on its own scale: penalties are often larger."""
    from matplotlib.colors import TwoSlopeNorm

    axes.set_aspect("equal")
    least, most = min(float(paid.min()), -1e-9), max(float(np.percentile(paid, 99)), 1e-9)
    scale = TwoSlopeNorm(0.0, least, most)
    mesh = axes.pcolormesh(*np.moveaxis(corners, 2, 0), paid, cmap=REWARD_COLOURMAP, norm=scale)
    for ring in (track.left, track.right):
        axes.plot(*np.vstack([ring, ring[:1]]).T, color=BORDER_COLOUR, linewidth=1.2)
    axes.plot(*np.stack([track.left[0], track.right[0]]).T, color=BORDER_COLOUR, linewidth=4)
    if objects is not None:
        axes.plot(
            *objects[:, :2].T, "s", color=PAPER_COLOUR, markersize=7, markeredgecolor=BORDER_COLOUR
        )
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(mesh, ax=axes, shrink=0.7, pad=0.02, format="%.2g")
    bar.set_ticks([least, least / 2, 0.0, most / 2, most])
    bar.set_label("reward of a step", color=INK_COLOUR)
    bar.ax.tick_params(colors=INK_COLOUR)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
