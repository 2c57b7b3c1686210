"""Tracks drawn from a seed: valid, varied and the same everywhere."""

import numpy as np
import pytest

from racer.errors import TrackError
from racer.track import load_track
from racer.track.generator import draw_track_file, generate_track

FIVE = [
    (73, "clockwise", 0.83, (2.1855, 1.9471), (-3.9886, 4.0215), (2.1403, -4.8274)),
    (63, "counterclockwise", 1.41, (-0.9512, 1.5896), (-4.7294, -4.1987), (6.9403, 0.7143)),
    (45, "clockwise", 0.85, (-3.8791, -0.1835), (-0.7219, 0.0754), (1.8614, 3.1462)),
    (32, "clockwise", 0.8, (-0.7306, 1.3168), (-2.1649, -3.1811), (2.6262, 0.8836)),
    (96, "clockwise", 1.03, (3.0724, 3.6016), (-9.1903, -7.1476), (4.6085, -1.0829)),
]
"""Of seeds 0 to 4: control points, direction, width, and the points that begin each third [m]."""


def check(seeds):
    """Every seed gives a road for a car; lengths, widths and directions vary."""
    lengths, widths, turns = [], [], []
    for seed in seeds:
        track = generate_track(seed)
        lengths.append(track.length)
        widths.append(float(track.width.mean()))
        turns.append(track.is_clockwise)
        step = np.diff(track.s)
        turn = np.diff(np.unwrap(np.append(track.heading, track.heading[0])))
        assert (np.abs(turn) / step).max() * widths[-1] / 2 < 0.85
    assert min(lengths) < 20.0 < 50.0 < max(lengths)
    assert min(widths) < 0.8 < 1.2 < max(widths)
    assert 0.3 < np.mean(turns) < 0.7


def test_thirty_seeds_give_thirty_good_tracks():
    check(range(30))


@pytest.mark.slow
def test_a_thousand_seeds_give_a_thousand_good_tracks():
    check(range(1000))


def test_a_seed_is_the_same_track_on_every_machine():
    """To the tenth of a millimetre to which its points are rounded."""
    for seed, (count, direction, width, *points) in enumerate(FIVE):
        file = draw_track_file(seed)
        assert (len(file.control_points), file.direction, file.width) == (count, direction, width)
        third = [file.control_points[k * count // 3] for k in range(3)]
        np.testing.assert_allclose(third, points, atol=1.01e-4)


def test_length_and_width_are_those_asked_for():
    track = load_track("generated:7")
    assert np.array_equal(track.centre, generate_track(7).centre)
    asked = generate_track(7, length=33.0, width=1.1)
    assert asked.length == pytest.approx(33.0, abs=0.1)
    assert asked.width.mean() == pytest.approx(1.1, abs=0.01)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: generate_track(-1), "from 0 on"),
        (lambda: generate_track(0, length=2.0), "15-120 m"),
        (lambda: generate_track(0, width=9.0), "0.4-1.5 m"),
        (lambda: load_track("generated:x"), "whole number"),
    ],
)
def test_what_cannot_be_drawn_is_said(ask, said):
    with pytest.raises(TrackError, match=said):
        ask()
