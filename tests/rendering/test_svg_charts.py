"""Charts inside a page: true to their numbers, in the page's ink, and alone with their text."""

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from racer.assets.chart_style import PAGE_CURVE_COLOURS, PAGE_RAMP, page_colourmap
from racer.assets.inline_svg import SVG_INK, SVG_WIDTH_PX
from racer.leaderboard.pages.markup import FILES
from racer.rendering.svg_charts import (
    BOTTOM_PX,
    CHART_HEIGHT_PX,
    LEFT_PX,
    RIGHT_PX,
    TOP_PX,
    count_grid,
    dot_map,
    histogram_chart,
    line_chart,
    line_map,
    ramp_legend,
    share_bars,
)
from racer.track import load_track
from racer.track.picture import road_svg

TRACK = load_track("bowtie")
LINE = TRACK.at(np.linspace(0.0, TRACK.length, 100))[0]
WAY = {"way": (np.array([0.0, 10.0]), np.array([0.0, 100.0]))}
CHARTS = {
    "lines": lambda: line_chart(WAY, "steps", "percent", 100.0),
    "histogram": lambda: histogram_chart(np.array([0.1, 0.2, 1.5]), np.arange(3.0), "x"),
    "bars": lambda: share_bars(["one", "two"], [0.25, 0.75]),
    "grid": lambda: count_grid(np.array([[0, 1], [4, 0]]), "x", "y", (-1.0, 1.0, 0.0, 2.0)),
    "dots": lambda: dot_map(TRACK, [(LINE, "#8a93a0", 0.35), (LINE[:0], "#d8352a", 0.7)]),
    "line": lambda: line_map(TRACK, LINE, np.linspace(0, 1, 100), (0.0, 1.0)),
    "legend": lambda: ramp_legend(0.0, 1.0, "m/s"),
    "road": lambda: road_svg(TRACK),
}


def shapes(chart, colour):
    """Paths of a colour, each as an array of points (k, 2)."""
    found = []
    for parent in ElementTree.fromstring(f"<p>{chart}</p>").iter():
        for path in parent.iter("path"):
            ink = {**parent.attrib, **path.attrib}
            points = re.findall(r"-?[\d.]+", path.get("d", ""))
            if colour in (ink.get("fill"), ink.get("stroke")) and path in list(parent):
                found.append(np.array(points, dtype=float).reshape(-1, 2))
    return found


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_the_same_each_time_whatever_a_person_s_own_style_is(name):
    first = CHARTS[name]()
    with matplotlib.rc_context():
        matplotlib.rcParams.update({"font.size": 30, "svg.fonttype": "path"})
        matplotlib.rcParams.update({"axes.facecolor": "red", "savefig.bbox": "tight"})
        assert CHARTS[name]() == first
        assert matplotlib.rcParams["font.size"] == 30, "the person's own style is left as it was"


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_refers_to_nothing_and_nothing_can_clash_with_it(name):
    root = ElementTree.fromstring(CHARTS[name]())
    tags = {element.tag for element in root.iter()}
    given = {key for element in root.iter() for key in element.attrib}
    assert tags <= {"svg", "g", "path", "text"}
    assert not given & {"id", "class", "href", "clip-path", "transform"}
    assert not any(key.startswith("font") for key in given)
    assert root.attrib["viewBox"].startswith(f"0 0 {SVG_WIDTH_PX:.0f} ")
    assert not {"width", "height"} & set(root.attrib), "it scales to the width of its column"


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_takes_its_ink_from_the_page(name):
    chart = CHARTS[name]()
    assert "currentColor" in chart
    assert SVG_INK not in chart
    assert "#000000" not in chart and "#ffffff" not in chart
    for text in ElementTree.fromstring(chart).iter("text"):
        assert text.get("fill", "currentColor") in ("currentColor", *PAGE_CURVE_COLOURS)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_small(name):
    assert len(CHARTS[name]()) < 15_000


def test_a_name_is_no_markup_and_no_formula():
    chart = share_bars(["<b>&$x^2$", "$"], [0.5, 0.5])
    assert "&lt;b&gt;&amp;$x^2$" in chart


def test_a_line_s_points_lie_where_its_numbers_say():
    ((low, high),) = shapes(CHARTS["lines"](), PAGE_CURVE_COLOURS[0])
    assert low.tolist() == [LEFT_PX, CHART_HEIGHT_PX - BOTTOM_PX]
    assert high.tolist() == [SVG_WIDTH_PX - RIGHT_PX, TOP_PX]


def test_a_histogram_s_bars_are_as_tall_as_their_counts():
    bars = shapes(CHARTS["histogram"](), PAGE_CURVE_COLOURS[1])
    tall, short = (float(np.ptp(bar[:, 1])) for bar in bars)
    assert tall == pytest.approx(CHART_HEIGHT_PX - TOP_PX - BOTTOM_PX)
    assert tall == pytest.approx(2 * short, abs=0.2)


def test_bars_are_as_long_as_their_shares_and_say_them():
    chart = CHARTS["bars"]()
    first, second = shapes(chart, PAGE_CURVE_COLOURS[1])
    assert np.ptp(second[:, 0]) == pytest.approx(3 * np.ptp(first[:, 0]), abs=0.4)
    assert first[:, 1].max() < second[:, 1].min(), "in the order of the names, from the top"
    assert "25%" in chart and "75%" in chart


def test_a_cell_without_a_count_is_left_empty_and_the_first_row_is_below():
    grid = CHARTS["grid"]()
    (most,) = shapes(grid, PAGE_RAMP[-1])
    assert most[:, 0].min() == LEFT_PX and most[:, 1].min() == TOP_PX, "the second row, on the left"
    (less,) = shapes(grid, to_hex(page_colourmap()(0.5)))
    assert less[:, 0].max() == SVG_WIDTH_PX - RIGHT_PX
    assert less[:, 1].max() == CHART_HEIGHT_PX - BOTTOM_PX


def test_dots_lie_on_the_map_where_their_places_are():
    places = np.stack([TRACK.left[0], TRACK.right[0]])
    chart = dot_map(TRACK, [(places, "#d8352a", 0.7)])
    dots = np.array([dot[0] for dot in shapes(chart, "#d8352a")])
    lines = shapes(chart, "currentColor")
    (start,) = (one for one in lines if len(one) == 2)
    assert np.allclose(dots, start, atol=0.11)


def test_a_car_that_was_put_back_drew_no_line_there():
    jump = np.array([[0.0, 0.0], [0.1, 0.0], [3.0, 0.0], [3.1, 0.0]])
    chart = line_map(TRACK, jump, np.ones(4), (0.0, 1.0))
    assert len(shapes(chart, PAGE_RAMP[-1])) == 2


def test_the_ramp_begins_dark_and_ends_light():
    ramp = page_colourmap()
    for share, colour in ((0.0, PAGE_RAMP[0]), (1.0, PAGE_RAMP[-1]), (7.0, PAGE_RAMP[-1])):
        assert to_hex(ramp(share)) == colour


def test_the_replay_on_the_board_has_the_charts_ramp():
    assert ", ".join(PAGE_RAMP) in (FILES / "board.css").read_text()
    rows = [list(bytes.fromhex(colour[1:])) for colour in PAGE_RAMP]
    assert f"RAMP = {rows};" in (FILES / "replay.js").read_text()
