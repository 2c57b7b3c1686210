"""Charts and maps of a run or a race as SVG text for a web page, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from racer.assets.chart_style import PAGE_CURVE_COLOURS, page_colourmap
from racer.assets.inline_svg import SVG_WIDTH_PX, inline_svg
from racer.rendering.line_plots import driven_legs
from racer.track import Track
from racer.track.picture import road_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHART_HEIGHT_PX = 300.0
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 84.0, 28.0, 34.0, 56.0
"""Around the axes of a chart: room for its texts, larger ones on a narrow page too."""
LEGEND_STEP_PX = 200.0
"""From one name of a curve to the next."""
BAR_ROW_PX, BAR_NAMES_PX = 28.0, 270.0
"""Height of a bar's row, and the room for the names on the left."""
MAP_MARGIN_PX = 28.0
"""Around a map, so that what lies beside the road is seen."""


def line_chart(
    series: dict[str, tuple[np.ndarray, np.ndarray]],
    x_label: str,
    y_label: str,
    top: float | None = None,
) -> Markup:
    """Return curves over one axis.

    Args:
        series: x and y of each curve, by the name in the legend.
        x_label: What x is.
        y_label: What y is.
        top: Where y ends; at the highest value where it is None.
    """
    xs, ys = (np.concatenate(values) for values in zip(*series.values()))
    right = float(max(xs.max(), xs.min() + 1))
    low = min(0.0, float(ys.min()))
    high = float(ys.max()) if top is None else top

    def draw(figure: Figure) -> None:
        axes = _chart_axes(figure, x_label, y_label)
        for number, (name, (x, y)) in enumerate(series.items()):
            ink = PAGE_CURVE_COLOURS[number % len(PAGE_CURVE_COLOURS)]
            axes.plot(x, y, color=ink, solid_joinstyle="round", clip_on=False)
            place = (LEGEND_STEP_PX * number, 12.0)
            axes.annotate(
                name, (0, 1), place, xycoords="axes fraction", textcoords="offset points", color=ink
            )
        axes.set_xlim(float(xs.min()), right)
        axes.set_ylim(low, high if high > low else low + 1.0)

    return inline_svg(CHART_HEIGHT_PX, draw)


def histogram_chart(
    values: np.ndarray, edges: np.ndarray, x_label: str, y_label: str = "episodes"
) -> Markup:
    """Return bars that show how many values lie between each two edges.

    Args:
        values: The values, in any order.
        edges: Ends of the bars, ascending.
        x_label: What a value is.
        y_label: What is counted.
    """
    counts, _ = np.histogram(values, edges)

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = _chart_axes(figure, x_label, y_label)
        width = np.diff(edges)
        axes.bar(
            edges[:-1] + 0.05 * width,
            counts,
            0.9 * width,
            align="edge",
            color=PAGE_CURVE_COLOURS[1],
            clip_on=False,
        )
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0.0, max(float(counts.max()), 1.0))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))

    return inline_svg(CHART_HEIGHT_PX, draw)


def share_bars(names: Sequence[str], shares: Sequence[float]) -> Markup:
    """Return a bar for each name, with its share, 0 to 1, in percent."""
    height = 8.0 + BAR_ROW_PX * len(names)
    rows = np.arange(len(names))

    def draw(figure: Figure) -> None:
        width = (SVG_WIDTH_PX - BAR_NAMES_PX - 60.0) / SVG_WIDTH_PX
        axes = figure.add_axes((BAR_NAMES_PX / SVG_WIDTH_PX, 0.0, width, 1.0), frameon=False)
        bars = axes.barh(
            rows, shares, 22.0 / BAR_ROW_PX, color=PAGE_CURVE_COLOURS[1], clip_on=False
        )
        axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=6.0)
        axes.set_xlim(0.0, max(max(shares, default=0.0), 1e-9))
        axes.set_ylim(height / BAR_ROW_PX - 0.5 - 4.0 / BAR_ROW_PX, -0.5 - 4.0 / BAR_ROW_PX)
        axes.set_xticks([])
        axes.set_yticks(rows, names)
        axes.tick_params(pad=8.0)

    return inline_svg(height, draw)


def count_grid(
    counts: np.ndarray, x_label: str, y_label: str, extent: tuple[float, float, float, float]
) -> Markup:
    """Return counts (rows, columns) as coloured cells, the first row at the bottom.

    Args:
        counts: The count of each cell; one without any is left empty.
        x_label: What x is.
        y_label: What y is.
        extent: Lowest and highest x, then y.
    """
    left, right, low, high = extent
    rows, columns = counts.shape
    row, column = np.nonzero(counts)
    width, height = (right - left) / columns, (high - low) / rows

    def draw(figure: Figure) -> None:
        axes = _chart_axes(figure, x_label, y_label)
        colours = page_colourmap()(np.sqrt(counts[row, column] / counts.max()))
        axes.bar(
            left + column * width,
            height,
            width,
            low + row * height,
            align="edge",
            color=colours,
            clip_on=False,
        )
        axes.set_xticks(np.linspace(left, right, 5))
        axes.set_yticks(np.linspace(low, high, 3))
        axes.axis(extent)

    return inline_svg(CHART_HEIGHT_PX, draw)


def dot_map(track: Track, groups: Sequence[tuple[np.ndarray, str, float]]) -> Markup:
    """Return a track from above with dots on it.

    Args:
        track: The track.
        groups: Places [m], (k, 2), with their colour and their opacity; the last lie on top.
    """

    def draw(axes: Axes) -> None:
        from matplotlib.collections import LineCollection
        from matplotlib.colors import to_rgba

        for places, colour, opacity in groups:
            # A leg without a length and with round ends is a dot, which needs no marker.
            dots = LineCollection(
                list(np.stack([places, places], axis=1)),
                colors=[to_rgba(colour, opacity)],
                linewidths=6.0,
                capstyle="round",
                clip_on=False,
            )
            axes.add_collection(dots, autolim=False)

    return road_svg(track, MAP_MARGIN_PX, draw)


def line_map(track: Track, xy: np.ndarray, values: np.ndarray, ends: tuple[float, float]) -> Markup:
    """Return a track from above with a driven line, coloured by values.

    Args:
        track: The track.
        xy: Positions in driving order [m], (T, 2).
        values: What colours each position, (T,).
        ends: Values of the first and of the last colour.
    """

    def draw(axes: Axes) -> None:
        from matplotlib.collections import LineCollection

        legs, was_driven = driven_legs(xy)
        line = LineCollection(
            list(legs),
            cmap=page_colourmap(),
            linewidths=2.6,
            capstyle="round",
            clip_on=False,
        )
        line.set_array(values[1:][was_driven])
        line.set_clim(*ends)
        axes.add_collection(line, autolim=False)

    return road_svg(track, MAP_MARGIN_PX, draw)


def ramp_legend(low: float, high: float, unit: str) -> Markup:
    """Return the colours of `line_map` with the values at their ends.

    Args:
        low: Value of the first colour.
        high: Value of the last colour.
        unit: Printed after `high`.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((150.0 / SVG_WIDTH_PX, 6.0 / 28.0, 0.5, 16.0 / 28.0), frameon=False)
        shares = np.linspace(0.0, 1.0, 40)
        axes.bar(np.arange(40), 1.0, 1.06, color=page_colourmap()(shares), clip_on=False)
        axes.axis((-0.5, 39.5, 0.0, 1.0))
        axes.set_axis_off()
        for x, text, side in (
            (-1.25, f"{low:.3g}", "right"),
            (40.25, f"{high:.3g} {unit}", "left"),
        ):
            axes.text(x, 0.5, text, ha=side, va="center_baseline")

    return inline_svg(28.0, draw)


def _chart_axes(figure: Figure, x_label: str, y_label: str) -> Axes:
    """Return axes with horizontal grid lines and room for their texts."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes = figure.add_axes(
        (
            LEFT_PX / SVG_WIDTH_PX,
            BOTTOM_PX / CHART_HEIGHT_PX,
            1.0 - (LEFT_PX + RIGHT_PX) / SVG_WIDTH_PX,
            1.0 - (TOP_PX + BOTTOM_PX) / CHART_HEIGHT_PX,
        ),
        frameon=False,
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _short_number(value)))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params("x", pad=14.0)
    axes.tick_params("y", pad=7.0)
    axes.set_xlabel(x_label)
    axes.xaxis.set_label_coords(0.5, (8.0 - BOTTOM_PX) / (CHART_HEIGHT_PX - TOP_PX - BOTTOM_PX))
    axes.xaxis.label.set_verticalalignment("baseline")
    axes.set_title(y_label, loc="right", pad=12.0)
    return axes


def _short_number(value: float) -> str:
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"
