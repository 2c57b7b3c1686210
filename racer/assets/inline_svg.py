"""Charts as SVG text inside a web page, which take ink and font from the page around them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG_WIDTH_PX = 640.0
"""Width of every picture; the page scales it to the width of its column."""
SVG_FONT_PX = 15.0
"""Size of text for which a chart leaves room."""
SVG_INK = "#010203"
"""What matplotlib draws in this colour is drawn in the page's `currentColor`."""
_NAMESPACE = "{http://www.w3.org/2000/svg}"
_PAGE_STYLE = {
    "axes.edgecolor": SVG_INK,
    "axes.labelcolor": SVG_INK,
    "axes.labelsize": SVG_FONT_PX,
    "axes.titlesize": SVG_FONT_PX,
    "font.size": SVG_FONT_PX,
    "grid.alpha": 0.2,
    "grid.color": SVG_INK,
    "grid.linewidth": 1.0,
    "lines.linewidth": 2.2,
    "svg.fonttype": "none",
    "text.color": SVG_INK,
    "text.parse_math": False,
    "xtick.color": SVG_INK,
    "xtick.major.size": 0.0,
    "ytick.color": SVG_INK,
    "ytick.major.size": 0.0,
}


def inline_svg(height: float, draw: Callable[[Figure], None]) -> Markup:
    """Return what `draw` draws with matplotlib as an `<svg>` element.

    The element has no id, no style sheet and no reference, so that any number of them share a page.
    It is the same text each time. Of matplotlib's output only paths and upright texts are kept:
    draw no markers and no images.

    Args:
        height: Height of the picture, whose width is `SVG_WIDTH_PX`.
        draw: Draws on an empty figure, on which a point is a pixel.
    """
    from matplotlib.figure import Figure

    written = io.StringIO()
    with _page_style():
        figure = Figure(figsize=(SVG_WIDTH_PX / 72, height / 72), dpi=72, frameon=False)
        draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=nothing)
    picture = ElementTree.Element(
        "svg", viewBox=f"0 0 {SVG_WIDTH_PX:.0f} {height:.0f}", role="img", style="width: 100%"
    )
    for group in ElementTree.fromstring(written.getvalue()).iter(f"{_NAMESPACE}g"):
        shapes = [one for shape in group for one in _slim_shape(shape)]
        picture.extend(shapes if len(shapes) < 2 else [_grouped(shapes)])
    return Markup(ElementTree.tostring(picture, encoding="unicode"))  # its text is escaped


@contextmanager
def _page_style() -> Iterator[None]:
    """Draw in the page's style, whatever the person's own settings of matplotlib are."""
    import matplotlib.style

    with matplotlib.rc_context():
        matplotlib.style.use(["default", _PAGE_STYLE])
        matplotlib.rcParams["svg.hashsalt"] = "racer"
        yield


def _slim_shape(shape: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield a path or a text with the attributes that it needs; nothing of another element."""
    kind = shape.tag.removeprefix(_NAMESPACE)
    if kind not in ("path", "text"):
        return
    slim = ElementTree.Element(kind)
    for name in ("d", "x", "y"):
        if value := shape.get(name):
            slim.set(name, _short_numbers(value))
    for declaration in shape.get("style", "").split("; "):
        name, _, value = declaration.partition(": ")
        if name and not name.startswith("font"):
            slim.set(name, "currentColor" if value == SVG_INK else value)
    slim.text = shape.text
    yield slim


def _short_numbers(text: str) -> str:
    """Round numbers to a tenth of a pixel, and join what needs no space."""
    text = re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), text)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", text).strip()


def _grouped(shapes: list[ElementTree.Element]) -> ElementTree.Element:
    """Return a group with the attributes that all shapes share, which they inherit."""
    first, *others = (shape.attrib for shape in shapes)
    shared = {
        name: value
        for name, value in first.items()
        if name not in ("d", "x", "y", "opacity") and all(one.get(name) == value for one in others)
    }
    group = ElementTree.Element("g", shared)
    for shape in shapes:
        for name in shared:
            del shape.attrib[name]
        group.append(shape)
    return group
