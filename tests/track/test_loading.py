"""Track files: the shipped ones are circuits, and a bad one is refused in a sentence."""

from __future__ import annotations

import ast
import os
import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist

from racer import assets
from racer.errors import TrackError
from racer.track import Track, load_track
from racer.track.track_file import TrackFile, fit_track

SHIPPED = assets.shipped_names("tracks")
SQUARE = "control_points:\n  - [0, 0]\n  - [3, 0]\n  - [3, 3]\n  - [0, 3]\n"

BAD = {
    "too few points": (
        "name: t\nwidth: 0.5\ncontrol_points: [[0, 0], [1, 0], [1, 1]]\n",
        r":3: control_points: .*at least 4 items.*not 3;",
    ),
    "a point that is no number": (
        "name: t\nwidth: 0.5\n" + SQUARE.replace("[3, 3]", "[3, .nan]"),
        r":6: control_points\.2\.1: .*finite number; got nan",
    ),
    "a point out of reach": (
        "name: t\nwidth: 0.5\n" + SQUARE.replace("[3, 3]", "[3.0e+9, 3]"),
        r":3: control_points: each point must lie within 90 m of the origin",
    ),
    "an unknown key": (
        "name: t\nwidth: 0.5\nclosd: true\ndirectoin: clockwise\n" + SQUARE,
        r":3: unknown key 'closd'; known keys: .*\n.*:4: unknown key 'directoin'; did you mean "
        "'direction'",
    ),
    "a missing key": ("name: t\n" + SQUARE, r": the key 'width' is missing"),
    "a direction there is not": (
        "name: t\nwidth: 0.5\ndirection: up\n" + SQUARE,
        r":3: direction: .*'counterclockwise' or 'clockwise'; got 'up'",
    ),
    "a width too large": ("name: t\nwidth: 30\n" + SQUARE, r":2: width: .*0\.2-20 m; got 30"),
    "a width too small": ("name: t\nwidth: 0.1\n" + SQUARE, r":2: width: .*0\.2-20 m; got 0\.1"),
    "a width that is no number": ("name: t\nwidth: .nan\n" + SQUARE, r":2: width: .*; got nan"),
    "a width in words": ("name: t\nwidth: wide\n" + SQUARE, r":2: width: .*; got 'wide'"),
    "no widths": ("name: t\nwidth: []\n" + SQUARE, r":2: width: .*0\.2-20 m; got \[\]"),
    "a wrong number of widths": (
        "name: t\nwidth: [0.5, 0.6]\n" + SQUARE,
        r": 2 widths for 4 control points",
    ),
    "a folded border": (
        "name: t\nwidth: 3.8\n" + SQUARE,
        r": its inner border folds at \(.*curvature is 1\.\d\d, must be below 1",
    ),
    "a crossing": (
        "name: t\nwidth: 0.4\n"
        "control_points: [[0, 0], [3, 1], [6, 3], [8, 1.5], [6, 0], [3, 2], [0, 3], [-2, 1.5]]\n",
        r": its centre line crosses itself",
    ),
    "two parts that overlap": (
        "name: t\nwidth: 1.0\n"
        "control_points: [[0, -0.4], [2.5, -1.2], [4.5, 0], [2.5, 1.2], [0, 0.4], [-2.5, 1.2], "
        "[-4.5, 0], [-2.5, -1.2]]\n",
        r": its left border crosses itself",
    ),
    "a line to and fro": (
        "name: t\nwidth: 0.5\ncontrol_points: [[0, 0], [3, 0], [6, 0], [9, 0]]\n",
        r": its centre line crosses itself",
    ),
    "three points, one of them twice": (
        "name: t\nwidth: 0.5\ncontrol_points: [[0, 0], [3, 0], [3, 0], [3, 3]]\n",
        r": at least 4 different control points are needed; got 3",
    ),
    "two points that are almost one": (
        "name: t\nwidth: 0.5\ncontrol_points: [[0, 0], [3, 0], [2.9999, 0], [3, 3], [0, 3]]\n",
        r": control point 2 and control point 3, at \(3, 0\), are almost the same point: "
        r"0\.0001 apart, where 3 is usual, and the line turns back between them; remove one",
    ),
    "something that is not YAML": ("name: t\nwidth: [0.5\n" + SQUARE, r":3: not valid YAML: "),
    "a list": ("- 1\n", r":1: expected keys with values, got list"),
    "nothing": (
        "",
        r": the key 'name' is missing\n.*'width' is missing\n.*'control_points' is missing",
    ),
}


def curvature(track: Track) -> np.ndarray:
    """Of the circle through each point of the centre line and its neighbours [1/m], (N,)."""
    before, after = np.roll(track.centre, 1, axis=0), np.roll(track.centre, -1, axis=0)
    a, b, c = track.centre - before, after - track.centre, after - before
    cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return 2 * cross / (np.hypot(*a.T) * np.hypot(*b.T) * np.hypot(*c.T))


def test_a_bad_file_is_refused_with_its_name_and_what_is_wrong(subtests, tmp_path):
    for kind in BAD:
        with subtests.test(kind=kind):
            text, sentence = BAD[kind]
            path = tmp_path / f"{kind}.yaml"
            path.write_text(text)
            with pytest.raises(TrackError, match="^" + re.escape(str(path)) + sentence):
                load_track(str(path))


def test_a_missing_file_is_refused_with_the_tracks_there_are():
    with pytest.raises(TrackError, match=r"no file 'nowhere'.*bowtie, comb, cove"):
        load_track("nowhere")


def test_a_file_changed_on_disk_is_read_again(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: one\nwidth: 0.5\n" + SQUARE)
    assert load_track(str(path)).name == "one"
    path.write_text("name: two\nwidth: 0.5\n" + SQUARE)
    os.utime(path, ns=(1, 1))
    assert load_track(str(path)).name == "two"


def test_the_points_may_run_either_way(subtests, tmp_path):
    for direction in ["counterclockwise", "clockwise"]:
        with subtests.test(direction=direction):
            path = tmp_path / f"{direction}.yaml"
            path.write_text(f"name: t\nwidth: 0.5\ndirection: {direction}\n" + SQUARE)
            track = load_track(str(path))
            assert track.is_clockwise == (direction == "clockwise")
            assert_allclose(track.centre[0], [0, 0], atol=1e-12)


def test_each_control_point_has_its_own_width(tmp_path):
    path = tmp_path / "square.yaml"
    path.write_text("name: t\ndirection: clockwise\nwidth: [0.4, 0.6, 0.8, 1.0]\n" + SQUARE)
    track = load_track(str(path))
    at = track.locate(np.array([[0, 0], [3, 0], [3, 3], [0, 3]])).segment
    assert_allclose(track.width[at], [0.4, 0.6, 0.8, 1.0], atol=0.03)


def test_control_points_that_repeat_are_left_out_with_their_widths(subtests):
    directions: list[Any] = ["counterclockwise", "clockwise"]
    for direction, repeats in product(directions, [(1,), (0, 2, 2), (3,), (0, 4), (4, 4)]):
        with subtests.test(direction=direction, repeats=repeats):
            corners, widths = [(0.0, 0.0), (3.0, 0.0), (3.0, 3.0), (0.0, 3.0)], [0.4, 0.6, 0.8, 1.0]
            chosen = sorted([0, 1, 2, 3, *(i % 4 for i in repeats if i < 4)])
            chosen += [0] * repeats.count(4)
            plain, doubled = (
                fit_track(
                    TrackFile.model_validate(
                        {
                            "name": "t",
                            "direction": direction,
                            "width": [widths[i] for i in points],
                            "control_points": [corners[i] for i in points],
                        }
                    )
                )
                for points in ([0, 1, 2, 3], chosen)
            )
            assert len(chosen) > 4
            for ring in ("centre", "left", "right"):
                assert_allclose(getattr(doubled, ring), getattr(plain, ring), atol=1e-9)


def test_a_fitted_line_is_even_and_goes_through_its_points(subtests):
    for name in SHIPPED:
        with subtests.test(name=name):
            track = load_track(name)
            step = np.diff(track.s)
            assert_allclose(step, 0.1, atol=0.004)
            lines = (assets.assets_root() / f"tracks/{name}.yaml").read_text().splitlines()
            points = [
                ast.literal_eval(line.strip()[2:]) for line in lines if line.startswith("  - ")
            ]
            assert np.abs(track.locate(np.array(points)).d).max() < 0.003


def test_a_shipped_track_is_a_circuit_with_room_around_it(subtests):
    for name in SHIPPED:
        with subtests.test(name=name):
            track = load_track(name)
            borders = np.vstack([track.left, track.right])
            low, high = track.centre.min(axis=0), track.centre.max(axis=0)
            assert_allclose((low + high) / 2, 0.0, atol=0.05)
            assert (high - low).max() < 25.0
            assert 15.0 < track.length < 60.1
            assert 0.6 <= track.width.min() <= track.width.max() < 1.46
            assert np.abs(curvature(track)[np.arange(-5, 10)]).max() < 0.1, (
                "the start is on a straight"
            )

            n = len(track.centre)
            apart = np.abs(np.arange(2 * n)[:, None] - np.arange(2 * n)[None]) % n
            is_elsewhere = np.minimum(apart, n - apart) * track.length / n > 2.0
            assert cdist(borders, borders)[is_elsewhere].min() > 0.28


def test_the_readme_lists_every_track_as_it_measures():
    rows = re.findall(
        r"\| `(\w+)` \| ([\d.]+) \| ([\d.]+)[-\d.]* \| (\w+) \| ([\d.]+) \|",
        (assets.assets_root() / "tracks/README.md").read_text(),
    )
    assert sorted(row[0] for row in rows) == SHIPPED
    for name, length, width, direction, radius in rows:
        track = load_track(name)
        assert_allclose(float(length), track.length, atol=0.0051)
        assert_allclose(float(width), track.width.min(), atol=0.0051)
        assert direction == ("clockwise" if track.is_clockwise else "counterclockwise")
        assert_allclose(float(radius), 1 / np.abs(curvature(track)).max(), rtol=0.01)
