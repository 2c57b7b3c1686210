"""A point's place on a track, against independent references and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LinearRing, Point, Polygon

from racer import assets
from racer.track import Track, load_track

TRACKS = {name: load_track(name) for name in assets.names("tracks")}


def ring(radius=3.0, width=0.8, points=2000, direction=1):
    angle = direction * np.arange(points) * 2 * np.pi / points
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner, outer = ((radius + side * width / 2) * circle for side in (-1, 1))
    left, right = (inner, outer) if direction > 0 else (outer, inner)
    return Track("ring", "", radius * circle, left, right)


def around(track, k):
    """A point inside or well around a track, from a number in 0-1 twice."""
    corners = np.vstack([track.left, track.right])
    low, high = corners.min(axis=0) - 3.0, corners.max(axis=0) + 3.0
    return low + np.array(k) * (high - low)


unit = st.floats(0.0, 1.0)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TRACKS)), st.tuples(unit, unit))
def test_locate_agrees_with_shapely_s_nearest_point_anywhere(name, k):
    track = TRACKS[name]
    xy = around(track, k)
    line = LinearRing(track.centre)
    place = track.locate(xy)
    assert abs(place.d) == pytest.approx(line.distance(Point(xy)), abs=1e-9)
    foot, heading = track.at(place.s)
    assert np.hypot(*(xy - foot)) == pytest.approx(abs(place.d), abs=1e-9)
    assert 0.0 <= place.s < track.length
    side = np.cross(np.append([np.cos(heading), np.sin(heading)], 0), np.append(xy - foot, 0))[2]
    assert abs(place.d) < 1e-6 or abs(side) < 1e-9 or np.sign(side) == np.sign(place.d)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TRACKS)), st.tuples(unit, unit))
def test_on_road_agrees_with_shapely_s_polygons(name, k):
    track = TRACKS[name]
    xy = around(track, k)
    left, right = Polygon(track.left), Polygon(track.right)
    if min(left.boundary.distance(Point(xy)), right.boundary.distance(Point(xy))) > 1e-9:
        wanted = left.contains(Point(xy)) != right.contains(Point(xy))
        assert bool(track.on_road(xy)) == wanted


@pytest.mark.parametrize("name", sorted(TRACKS))
def test_at_and_locate_are_inverse(name):
    track = TRACKS[name]
    s = np.linspace(0, track.length, 500, endpoint=False)
    place = track.locate(track.at(s)[0])
    apart = np.abs(place.s - s)
    assert np.minimum(apart, track.length - apart).max() < 1e-9
    assert np.abs(place.d).max() < 1e-9


@pytest.mark.parametrize("name", sorted(TRACKS))
def test_a_batch_gives_what_single_points_give(name):
    track = TRACKS[name]
    points = np.array([around(track, k) for k in np.random.default_rng(0).random((40, 2))])
    batch = track.locate(points.reshape(8, 5, 2))
    assert batch.s.shape == (8, 5)
    for k, xy in enumerate(points):
        one = track.locate(xy)
        assert (one.s, one.d) == (batch.s.flat[k], batch.d.flat[k])
    assert np.array_equal(track.on_road(points), [bool(track.on_road(xy)) for xy in points])


@pytest.mark.parametrize("name", sorted(TRACKS))
@pytest.mark.parametrize("aside", [-0.45, 0.0, 0.45])
def test_a_followed_car_never_jumps_and_gains_one_length_a_lap(name, aside):
    track = TRACKS[name]
    s = np.linspace(0, track.length, int(track.length / 0.1))
    centre, heading = track.at(s)
    half = track.width.mean() / 2 * aside / 0.45
    path = centre + half * np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    place = track.locate(path[0])
    gained = 0.0
    for xy in path[1:]:
        now = track.locate(xy, near=place.segment)
        step = now.s - place.s
        step -= track.length * np.round(step / track.length)
        assert abs(step) < 0.5
        gained, place = gained + step, now
    assert gained == pytest.approx(track.length, abs=0.25)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_point_inside_a_circle_is_left_of_a_left_hand_line_and_right_of_a_right_hand_one(
    direction,
):
    track = ring(direction=direction)
    place = track.locate(np.array([[2.0, 0.0], [3.5, 0.0], [0.0, 2.9]]))
    assert place.d == pytest.approx(direction * np.array([1.0, -0.5, 0.1]), abs=1e-4)
    assert place.s[2] == pytest.approx(np.pi * (0.5 if direction > 0 else 1.5) * 3.0, rel=1e-4)
    assert track.is_clockwise == (direction < 0)


def test_a_circle_has_its_circumference_and_width():
    track = ring()
    assert track.length == pytest.approx(2 * np.pi * 3.0, rel=1e-5)
    assert track.width == pytest.approx(0.8)


@pytest.mark.parametrize("name", sorted(TRACKS))
def test_a_reversed_track_mirrors_the_place_from_the_same_start_line(name):
    track = TRACKS[name]
    back = track.reversed()
    xy = track.at(np.array([1.0, 5.0, 9.0]))[0] + 0.05
    there, here = track.locate(xy), back.locate(xy)
    assert here.s == pytest.approx(track.length - there.s)
    assert here.d == pytest.approx(-there.d)
    assert np.array_equal(back.centre[0], track.centre[0])
    assert back.is_clockwise != track.is_clockwise
