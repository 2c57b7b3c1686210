"""Pictures of a road from above."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup

from racer.assets.chart_style import (
    BORDER_COLOUR,
    CURVE_COLOURS,
    INK_COLOUR,
    ROAD_COLOUR,
    TICK_COLOUR,
    chart_figure,
    style_axes,
)
from racer.assets.inline_svg import SVG_INK, SVG_WIDTH_PX, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from racer.track.geometry import Track


def track_picture(track: Track) -> Figure:
    """Return a picture of the road alone, with its name and length."""
    figure, axes = road_figure(track)
    axes.set_title(f"{track.name}, {track.length:.1f} m", color=INK_COLOUR, fontsize=13, loc="left")
    return figure


def road_figure(track: Track) -> tuple[Figure, Axes]:
    """Return a picture of the road to draw on, and its axes [m]."""
    span = np.ptp(np.vstack([track.left, track.right]), axis=0)
    figure = chart_figure((10.0, float(np.clip(10.0 * span[1] / span[0] * 0.9, 3.5, 12.0))))
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.fill(*_outline(track).T, color=ROAD_COLOUR, linewidth=0)
    for ring in (track.left, track.right):
        axes.plot(*_closed(ring).T, color=BORDER_COLOUR, linewidth=1.2)
    axes.plot(
        *_closed(track.centre).T, color=CURVE_COLOURS[0], linewidth=0.7, dashes=(6, 6), alpha=0.6
    )
    axes.plot(*np.stack([track.left[0], track.right[0]]).T, color=BORDER_COLOUR, linewidth=4)
    ahead = track.centre[1] - track.centre[0]
    ahead = 0.7 * ahead / np.hypot(*ahead)
    axes.annotate(
        "",
        xy=tuple(track.centre[0] + ahead),
        xytext=tuple(track.centre[0]),
        arrowprops={"arrowstyle": "-|>", "color": BORDER_COLOUR, "linewidth": 1.5},
    )
    style_axes([axes], TICK_COLOUR)
    return figure, axes


class RoadPlacement(NamedTuple):
    """Where a road lies in the picture of `road_svg`, whose width is `SVG_WIDTH_PX`.

    Attributes:
        middle: What is in the middle of the picture, x and y [m].
        scale: Length of 1 m [px].
        height: The picture's height [px].
    """

    middle: np.ndarray
    scale: float
    height: float

    def pixels(self, xy: np.ndarray) -> np.ndarray:
        """Return the places of points (n, 2) [m] in the picture, to the right and down [px]."""
        centre = np.array([SVG_WIDTH_PX, self.height]) / 2
        return centre + (xy - self.middle) * self.scale * [1.0, -1.0]


def place_road(track: Track, margin: float = 8.0) -> RoadPlacement:
    """Return where a road lies in its picture.

    Args:
        track: The track.
        margin: What is left free around the road [px].
    """
    borders = np.vstack([track.left, track.right])
    middle, span = (borders.min(axis=0) + borders.max(axis=0)) / 2, np.ptp(borders, axis=0)
    scale = float((SVG_WIDTH_PX - 2 * margin) / span.max())
    return RoadPlacement(middle, scale, float(scale * span[1] + 2 * margin))


def road_svg(
    track: Track, margin: float = 8.0, draw: Callable[[Axes], None] = lambda axes: None
) -> Markup:
    """Return the road as an SVG picture that takes its ink from the page around it.

    Args:
        track: The track.
        margin: What is left free around the road [px].
        draw: Draws more on axes in metres.
    """
    middle, scale, height = place_road(track, margin)

    def draw_all(figure: Figure) -> None:
        from matplotlib.colors import to_rgba

        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), frameon=False)
        axes.set_axis_off()
        axes.set_autoscale_on(False)
        reach = np.array([SVG_WIDTH_PX, height]) / scale / 2
        axes.set_xlim(middle[0] - reach[0], middle[0] + reach[0])
        axes.set_ylim(middle[1] - reach[1], middle[1] + reach[1])
        axes.fill(*_outline(track).T, color=to_rgba(SVG_INK, 0.13), linewidth=0, clip_on=False)
        for ring in (track.left, track.right):
            ink = to_rgba(SVG_INK, 0.55)
            axes.plot(*_closed(ring).T, color=ink, linewidth=1.0, clip_on=False)
        start = np.stack([track.left[0], track.right[0]])
        axes.plot(*start.T, color=SVG_INK, linewidth=3.5, solid_capstyle="butt", clip_on=False)
        draw(axes)

    return inline_svg(height, draw_all)


def _closed(ring: np.ndarray) -> np.ndarray:
    return np.vstack([ring, ring[:1]])


def _outline(track: Track) -> np.ndarray:
    """Return one polygon that is the road: along one border, and back along the other."""
    return np.vstack([_closed(track.left), _closed(track.right)[::-1]])
