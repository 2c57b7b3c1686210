"""Track files as people make them, with repeats and in every dress: read right, or refused well."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from shapely.geometry import LinearRing, Polygon

from racer.car.spec import deepracer
from racer.errors import TrackError
from racer.reward.params import ParamsBuilder
from racer.track import Track, load_track
from racer.track.formats import read_track
from tests.helpers import track_files
from tests.helpers.track_files import (
    CSV,
    HALF,
    HEADER,
    LAP,
    NPY,
    RADIUS,
    RealFile,
    again,
    beside,
    closed,
    even,
    npy,
    stadium,
    table,
)

ROWS = stadium(even())
ANGLE = np.linspace(0.0, 2 * np.pi, 200, endpoint=False)


@pytest.fixture
def written(tmp_path):
    def write(name: str, content: bytes | str) -> str:
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / name  # a path of its own each time
        path.parent.mkdir()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def way_round(line: np.ndarray) -> float:
    """Length of a closed line's chords [m]."""
    return sum(float(np.hypot(*(b - a))) for a, b in zip(line, np.roll(line, -1, axis=0)))


def holds(track: Track, file: RealFile) -> None:
    """The track is the file's: its points, its length, its way round and its borders."""
    assert track.centre.shape == file.centre.shape
    assert_allclose(track.centre, file.centre, atol=2e-6)
    assert track.length == pytest.approx(way_round(file.centre), abs=1e-3)
    assert track.length == pytest.approx(file.scale * LAP, rel=0.03)
    assert track.is_clockwise == file.is_clockwise
    inner, outer = (track.left, track.right)[:: -1 if file.is_clockwise else 1]
    near, far = (file.right, file.left) if file.is_clockwise else (file.left, file.right)
    assert_allclose(beside(inner / file.scale), RADIUS - near, atol=file.atol)
    assert_allclose(beside(outer / file.scale), RADIUS + far, atol=file.atol)
    points = ParamsBuilder(track, deepracer())._waypoints
    assert (len(points), points[-1]) == (len(file.centre) + 1, points[0])


def test_a_npy_has_each_point_once_and_its_own_borders(subtests, written):
    for kind in NPY:
        with subtests.test(kind=kind):
            holds(load_track(written("it.npy", NPY[kind].content)), NPY[kind])


def test_a_csv_has_each_point_once_and_its_widths_on_their_sides(subtests, written):
    for kind in CSV:
        with subtests.test(kind=kind):
            holds(load_track(written("it.csv", CSV[kind].content)), CSV[kind])


REFUSED = {
    "an open line": (
        "open.npy",
        npy(ROWS[:60]),
        r"its line is open and does not close: .* repeat its first row at the end",
    ),
    "a point almost on the one before, beside the way": (
        "near.npy",
        npy(np.insert(closed(ROWS), 11, ROWS[10] + [0, 1e-5] * 3, axis=0)),
        r"row 10 and row 11, at \(-1\.5\d*, -2\), are almost the same point: 1e-05 apart, "
        r"where 0\.15 is usual, and the line turns back between them; remove one",
    ),
    "a point almost on the one before, in a CSV": (
        "near.csv",
        table(np.insert(ROWS, 11, ROWS[10] - [2e-5, 0] * 3, axis=0)),
        r"line 12 and line 13, .* turns back",
    ),
    "an archive": ("track.npy", track_files.npz(ROWS), r"\.npz archive.*saved with numpy\.save"),
    "an archive by its name": ("track.npz", track_files.npz(ROWS), r"\.npz.*numpy\.save"),
    "rows of different lengths": ("track.npy", track_files.ragged(ROWS), "Python objects"),
    "a pickle": ("track.npy", track_files.pickled(ROWS), "a pickle"),
    "complex numbers": ("track.npy", npy(ROWS, np.complex128), "an array of complex128"),
    "text": ("track.npy", npy(ROWS, "<U8"), "an array of str"),
    "columns that stand as rows": ("track.npy", npy(ROWS.T), r"shape \(6, 164\); transpose it"),
    "one border alone": ("track.npy", npy(ROWS[:, :4]), r"shape \(164, 4\); \(N, 6\) is wanted"),
    "a number that is none": (
        "track.npy",
        npy(np.where(np.arange(6) == 3, np.nan, closed(ROWS))),
        "row 0, column 4: nan",
    ),
    "a header that nobody knows": (
        "track.csv",
        table(ROWS, head="lat,lon,right,left"),
        r"line 1: its columns are 'lat', 'lon', 'right', 'left'; wanted are x_m,y_m,w_tr_right_m",
    ),
    "a header with one width": (
        "track.csv",
        table(ROWS, head="x_m,y_m,w_tr_right_m,speed"),
        "line 1: its columns are 'x_m', 'y_m', 'w_tr_right_m', 'speed'; wanted",
    ),
    "a header alone": ("track.csv", HEADER + "\n", "no row of numbers after its header in line 1"),
    "an index without a header": (
        "track.csv",
        "\n".join(f"{i},1,2,0.3,0.3" for i in range(9)),
        "line 1: 5 columns without known names; wanted",
    ),
    "a gap in a row": (
        "track.csv",
        table(ROWS).replace("0.300000,0.500000\n", ",0.500000\n", 1),
        "line 2, column 3: is empty",
    ),
    "a word among numbers": (
        "track.csv",
        table(ROWS).replace("0.300000", "wide", 1),
        "line 2, column 3: 'wide' is not a number",
    ),
    "numbers with thousands apart": (
        "track.csv",
        "1.234,5;0;1;1\n",
        r"line 1, column 1: '1\.234,5' is not a number",
    ),
    "one point alone": ("track.npy", npy(np.ones((60, 6))), "at least 4 different points; got 1"),
}


def test_what_is_no_track_is_refused_in_a_sentence_of_its_own(subtests, written):
    for kind in REFUSED:
        with subtests.test(kind=kind):
            name, content, said = REFUSED[kind]
            path = written(name, content)
            with pytest.raises(TrackError, match=said) as caught:
                load_track(path)
            assert str(caught.value).startswith(f"{path}: ")


def test_a_circuit_of_kilometres_is_refused_with_the_way_to_scale_it_and_then_loads(
    subtests, written
):
    for name in ["circuit.npy", "circuit.csv"]:
        with subtests.test(name=name):
            rows = 200 * again(closed(ROWS), 7) + [3_000_000, 5_000_000] * 3
            text = "\n".join(f"{x!r},{y!r},6.5,5.5" for x, y in rows[:, :2].tolist())
            path = written(name, npy(rows) if name.endswith("npy") else text)
            with pytest.raises(TrackError, match=r"5,000,\d+ m from the origin .* --length METRES"):
                load_track(path)
            track = read_track(Path(path), length=LAP, width=0.9)
            assert len(track.centre) == len(ROWS)
            assert track.length == pytest.approx(LAP)
            assert_allclose(track.width, 0.9, atol=0.01)
            assert np.abs(track.centre).max() < 6.0


def test_a_circuit_whose_road_becomes_too_narrow_is_told_of_width_and_length(written):
    text = "\n".join(f"{x},{y},6,6" for x, y in 200 * ROWS[:, :2])
    path = Path(written("circuit.csv", text))
    with pytest.raises(TrackError, match=r"0\.0489 m wide .* --width METRES.* --length METRES"):
        read_track(path, length=20.0)
    assert read_track(path, length=20.0, width=0.6).length == pytest.approx(20.0)


def test_a_raceline_without_widths_is_given_one(written):
    path = written("line.csv", "# x_m,y_m\n" + "\n".join(f"{x},{y}" for x, y in ROWS[:, :2]))
    with pytest.raises(TrackError, match="--width METRES"):
        load_track(path)
    track = read_track(Path(path), width=0.8)
    assert_allclose(beside(track.left), RADIUS - 0.4, atol=0.01)


def elbow(radius: float) -> np.ndarray:
    """An L of tight corners to the left and one to the right, 0.05 m between points, (N, 2)."""
    way = [(0.0, 0.0), (9.0, 0.0), (9.0, 4.0), (4.0, 4.0), (4.0, 8.0), (0.0, 8.0)]
    road = Polygon(way).buffer(-radius).buffer(2 * radius).buffer(-radius).exterior
    return np.array([road.interpolate(s).coords[0] for s in np.arange(0.0, road.length, 0.05)])


def test_a_border_s_loops_inside_tight_corners_are_cut_off(subtests, written):
    """Half the road is 0.6 m, a corner's radius 0.2 m: what is left is all within 0.6 m."""
    for turn, ending in product([1, -1], ["npy", "csv"]):
        with subtests.test(turn=turn, ending=ending):
            line = elbow(0.2)[::turn]
            way = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0)
            out = turn * np.stack([way[:, 1], -way[:, 0]], axis=1) / np.hypot(*way.T)[:, None]
            rows = np.hstack([line, line - 0.6 * out, line + 0.6 * out])
            text = "\n".join(f"{x},{y},0.6,0.6" for x, y in line)
            content = npy(closed(rows)) if ending == "npy" else text
            track = load_track(written(f"elbow.{ending}", content))
            assert len(track.centre) == len(line)
            road = Polygon(track.left).symmetric_difference(Polygon(track.right))
            wanted = LinearRing(line).buffer(0.6)
            assert road.symmetric_difference(wanted).area < 0.01 * wanted.area


def test_two_parts_of_a_road_that_overlap_are_still_refused(written):
    line = np.stack([4.0 * np.cos(ANGLE), (0.5 + 1.5 * np.cos(ANGLE) ** 2) * np.sin(ANGLE)], axis=1)
    text = "\n".join(f"{x},{y},0.8,0.8" for x, y in line)
    with pytest.raises(TrackError, match="crosses itself"):
        load_track(written("waist.csv", text))


def test_border_points_in_a_wrong_order_on_a_straight_do_no_harm(subtests, written):
    """Two that changed places, exactly on the line and a little beside it, in both borders."""
    for along in [(0.0, 0.0), (0.03, 0.04), (-0.03, -0.04)]:
        with subtests.test(along=along):
            rows = stadium(even())
            rows[[10, 11, 90, 91], 2:] = rows[[11, 10, 91, 90], 2:]
            rows[[10, 11], 3], rows[[90, 91], 5] = (
                rows[[10, 11], 3] + along,
                rows[[90, 91], 5] + along,
            )
            track = load_track(written("knots.npy", npy(closed(rows))))
            assert_allclose(beside(track.left), RADIUS - HALF, atol=0.041)
            assert_allclose(beside(track.right), RADIUS + HALF, atol=0.041)
            assert track.on_road(track.centre).all()
