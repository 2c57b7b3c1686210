"""Colours of charts, and the empty figures that they are drawn on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import LayoutEngine

PAPER_COLOUR = "#10141a"
"""Background of a chart that is saved as a picture; the next six are made for it."""
ROAD_COLOUR = "#2b313b"
BORDER_COLOUR = "#e8e8e4"
INK_COLOUR = "#d8dce2"
GRID_COLOUR = "#2b313b"
TICK_COLOUR = "#6b7480"
CURVE_COLOURS = (
    *("#f0a020", "#4cc3ff", "#7bd88f", "#ff7a90"),
    *("#c9a0ff", "#e8e07a", "#5fd6c4", "#b8bec8"),
)
"""Curves on `PAPER_COLOUR`, in this order."""
PAGE_CURVE_COLOURS = ("#e8792b", "#3f8fd2", "#58a55c")
"""Curves on a web page, light or dark, in this order."""
EARLY_COLOUR, LATE_COLOUR = "#8a93a0", "#d8352a"
"""Marks on a web page from the first and from the second half of training."""
SPEED_COLOURMAP = "plasma"
"""From slow to fast on `PAPER_COLOUR`."""
REWARD_COLOURMAP = "RdYlGn"
"""From costly to paid; the middle is nothing."""
PAGE_RAMP = ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#e8c024")
"""From low to high on a web page: plasma, with an end dark enough for a light page.

`board.css` and `replay.js` have the same ramp.
"""


def page_colourmap() -> Colormap:
    """Return the colour map of `PAGE_RAMP`."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("page", PAGE_RAMP)


def chart_figure(
    size: tuple[float, float], layout: LayoutEngine | Literal["constrained"] = "constrained"
) -> Figure:
    """Return an empty dark figure, which a notebook shows.

    Args:
        size: Width and height [inch].
        layout: As matplotlib takes it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from racer.assets.figure import NotebookFigure

    figure = NotebookFigure(figsize=size, facecolor=PAPER_COLOUR, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def style_axes(every: Iterable[Axes], tick_colour: str = INK_COLOUR) -> None:
    """Give axes the dark background, ticks of one colour and no frame."""
    for axes in every:
        axes.set_facecolor(PAPER_COLOUR)
        axes.tick_params(colors=tick_colour)
        for spine in axes.spines.values():
            spine.set_visible(False)
