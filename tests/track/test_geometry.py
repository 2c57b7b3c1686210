"""Places on a track against closed forms and against shapely, which shares no code with it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from shapely import contains_xy, distance
from shapely import points as shapely_points
from shapely.geometry import LinearRing, Point, Polygon

from racer import assets
from racer.track import Track, load_track

SHIPPED = assets.shipped_names("tracks")
TRACKS = {name: load_track(name) for name in SHIPPED}
RINGS = {name: LinearRing(track.centre) for name, track in TRACKS.items()}

names = st.sampled_from(SHIPPED)
anywhere = st.tuples(st.floats(-8.0, 8.0), st.floats(-8.0, 8.0))
far_away = st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))

unhurried = settings(deadline=None)
"""For a machine whose first call compiles the kernels."""


def circle(radius: float = 2.0, width: float = 0.8, turn: int = 1, n: int = 720) -> Track:
    """A circle that starts at (radius, 0); `turn` is 1 to the left, -1 to the right."""
    angle = turn * np.arange(n) * 2 * np.pi / n
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sides = [(radius - side * turn * width / 2) * ring for side in (1, -1)]
    return Track("circle", "", radius * ring, *sides)


def assert_is_nearest(name: str, point: tuple[float, float]) -> None:
    """Distance, side and place against shapely; ties between places may fall either way."""
    track, ring = TRACKS[name], RINGS[name]
    place = track.locate(np.array(point))
    away = ring.distance(Point(point))
    assert_allclose(abs(place.d), away, atol=1e-9, rtol=1e-12)
    foot, _ = track.at(place.s)
    assert_allclose(np.hypot(*(foot - point)), away, atol=1e-9, rtol=1e-12)
    if away > 1e-9:
        is_inside = bool(contains_xy(Polygon(ring), *point))
        assert (place.d > 0.0) == (is_inside != track.is_clockwise)
    assert 0.0 <= place.s < track.length
    i = int(place.segment)
    assert track.s[i] - 1e-9 <= (place.s or track.s[i]) <= track.s[i + 1] + 1e-9


def off_the_borders(track: Track, xy: np.ndarray) -> np.ndarray:
    """Of points (N, 2) those where no rounding decides on which side of a border they lie."""
    away = [distance(LinearRing(ring), shapely_points(xy)) for ring in (track.left, track.right)]
    return xy[np.min(away, axis=0) > 1e-9]


@unhurried
@given(names, anywhere)
def test_a_point_lies_where_an_independent_search_finds_it(name, point):
    assert_is_nearest(name, point)


@unhurried
@given(names, far_away)
def test_a_point_far_away_lies_where_an_independent_search_finds_it(name, point):
    assert_is_nearest(name, point)


@unhurried
@given(names, st.floats(-0.3, 0.3), st.floats(-0.6, 0.6))
def test_a_point_near_the_start_line_lies_where_an_independent_search_finds_it(name, along, aside):
    track = TRACKS[name]
    heading = track.heading[0]
    ahead, left = np.array([np.cos(heading), np.sin(heading)]), track.left[0] - track.right[0]
    point = track.centre[0] + along * ahead + aside * left
    assert_is_nearest(name, (point[0], point[1]))


@unhurried
@given(names, st.lists(anywhere, min_size=1, max_size=8))
def test_many_points_lie_where_each_lies_alone(name, points):
    track = TRACKS[name]
    together = track.locate(np.array(points))
    for i, point in enumerate(points):
        for one, many in zip(track.locate(np.array(point)), together):
            assert one == many[i]


def test_any_batch_shape_is_kept():
    track, points = TRACKS["oval"], np.random.default_rng(0).uniform(-5, 5, (2, 3, 4, 2))
    place = track.locate(points)
    again = track.locate(points, near=place.segment)
    assert place.s.shape == place.d.shape == place.segment.shape == (2, 3, 4)
    assert again.s.shape == track.on_road(points).shape == (2, 3, 4)
    xy, heading = track.at(place.s)
    assert xy.shape == (2, 3, 4, 2) and heading.shape == (2, 3, 4)


def test_a_circle_is_as_long_as_its_circumference(subtests):
    for turn in [1, -1]:
        with subtests.test(turn=turn):
            assert_allclose(circle(2.0, turn=turn).length, 2 * np.pi * 2.0, rtol=1e-5)


def test_a_point_inside_a_left_hand_circle_is_left_of_the_line():
    radius = np.array([1.5, 1.9, 2.3, 5.0])
    place = circle(2.0, turn=1).locate(np.stack([0 * radius, radius], axis=1))
    assert_allclose(place.d, 2.0 - radius, atol=1e-4)
    assert_allclose(place.s, 2.0 * np.pi / 2, atol=0.01)


def test_a_point_inside_a_right_hand_circle_is_right_of_the_line():
    radius = np.array([1.5, 1.9, 2.3, 5.0])
    place = circle(2.0, turn=-1).locate(np.stack([0 * radius, radius], axis=1))
    assert_allclose(place.d, radius - 2.0, atol=1e-4)
    assert_allclose(place.s, 2.0 * np.pi * 3 / 2, atol=0.01)


def test_the_direction_of_a_circle_is_the_way_it_turns():
    assert not circle(turn=1).is_clockwise
    assert circle(turn=-1).is_clockwise


def test_a_circle_heads_along_its_tangent():
    track = circle(2.0)
    xy, heading = track.at(np.array([0.0, np.pi, 2 * np.pi]))
    assert_allclose(xy, [[2, 0], [0, 2], [-2, 0]], atol=1e-3)
    assert_allclose(np.cos(heading - [np.pi / 2, np.pi, -np.pi / 2]), 1.0, atol=1e-4)


@unhurried
@given(names, st.lists(anywhere, min_size=20, max_size=20))
def test_the_road_is_what_lies_between_the_two_polygons(name, points):
    track, xy = TRACKS[name], off_the_borders(TRACKS[name], np.array(points))
    left, right = Polygon(track.left), Polygon(track.right)
    road = left.symmetric_difference(right)
    assert_array_equal(track.on_road(xy), contains_xy(road, xy))


def test_a_point_level_with_a_corner_of_a_border_is_judged_as_any_other(subtests):
    for name in SHIPPED:
        with subtests.test(name=name):
            track = TRACKS[name]
            y = np.concatenate([track.left[:, 1], track.right[:, 1]])
            xy = np.stack([np.random.default_rng(0).uniform(-7, 7, len(y)), y], axis=1)
            xy = off_the_borders(track, xy)
            road = Polygon(track.left).symmetric_difference(Polygon(track.right))
            assert len(xy) > 0.99 * len(y)
            assert_array_equal(track.on_road(xy), contains_xy(road, xy))


def test_the_centre_is_on_the_road_and_the_borders_are_its_edge(subtests):
    for name in SHIPPED:
        with subtests.test(name=name):
            track = TRACKS[name]
            assert track.on_road(track.centre).all()
            for border in (track.left, track.right):
                assert track.on_road(track.centre + 0.99 * (border - track.centre)).all()
                assert not track.on_road(track.centre + 1.01 * (border - track.centre)).any()


@unhurried
@given(names, st.floats(0.0, 1.0, exclude_max=True))
def test_a_distance_along_the_line_is_found_again(name, share):
    track = TRACKS[name]
    s = share * track.length
    xy, _ = track.at(s)
    place = track.locate(xy)
    around = abs(float(place.s) - s)
    assert min(around, track.length - around) < 1e-9
    assert abs(place.d) < 1e-9


@unhurried
@given(names, st.floats(0.0, 1.0, exclude_max=True), st.floats(-0.3, 0.3))
def test_a_point_beside_the_line_is_found_at_its_side(name, share, aside):
    track = TRACKS[name]
    xy, heading = track.at(share * track.length)
    place = track.locate(xy + aside * np.array([-np.sin(heading), np.cos(heading)]))
    around = abs(float(place.s) - share * track.length)
    assert min(around, track.length - around) < 0.06
    assert abs(place.d - aside) < 0.01


def test_a_distance_beyond_the_lap_starts_it_anew():
    track = TRACKS["bowtie"]
    assert_allclose(track.at(track.length + 1.5)[0], track.at(1.5)[0], atol=1e-9)
    assert_allclose(track.at(-1.5)[0], track.at(track.length - 1.5)[0], atol=1e-9)


@unhurried
@given(names, anywhere)
def test_a_reversed_track_flips_the_side_and_the_way(name, point):
    track, xy = TRACKS[name], np.array(point)
    back = track.reversed()
    here, there = track.locate(xy), back.locate(xy)
    assert_allclose(there.d, -here.d, atol=1e-9)
    foot, _ = track.at(here.s)
    foot_back, _ = back.at(there.s)
    if np.hypot(*(foot - foot_back)) < 1e-6:
        total = float(here.s + there.s)
        assert min(abs(total - track.length), abs(total)) < 1e-6
    if len(off_the_borders(track, xy[None])):
        assert back.on_road(xy) == track.on_road(xy)
    assert_allclose(back.centre[0], track.centre[0])
    assert_allclose(back.left, np.roll(track.right[::-1], 1, axis=0))
    assert_allclose(back.right, np.roll(track.left[::-1], 1, axis=0))
    assert back.is_clockwise != track.is_clockwise


@pytest.mark.slow
def test_a_car_makes_steady_way_over_the_start_line_and_through_every_bend(subtests):
    for aside, name in product([-0.35, 0.0, 0.35], SHIPPED):
        with subtests.test(aside=aside, name=name):
            track = TRACKS[name]
            s = np.arange(0.0, 2.2 * track.length, 0.05)
            xy, heading = track.at(s)
            xy = xy + aside * np.stack([-np.sin(heading), np.cos(heading)], axis=1)
            place, way = track.locate(xy[0]), [0.0]
            for point in xy[1:]:
                now = track.locate(point, near=place.segment)
                gained = float(now.s - place.s)
                way.append(way[-1] + gained - track.length * round(gained / track.length))
                place = now
            assert_allclose(way, s, atol=0.13)


def test_a_car_between_the_legs_of_a_hairpin_stays_on_its_own_leg():
    track = TRACKS["hairpin"]
    legs = track.locate(np.array([[2.6, 0.3], [1.15, 0.3]]))
    x = np.linspace(2.6, 1.5, 45)
    points = np.stack([x, np.full_like(x, 0.3)], axis=1)
    place = track.locate(points[0])
    for point in points:
        place = track.locate(point, near=place.segment)
        assert abs(place.s - legs.s[0]) < 0.6
    assert abs(track.locate(points[-1]).s - legs.s[1]) < 0.6


def test_a_car_whose_position_is_lost_stays_on_its_segment():
    lost = np.array([[np.nan, 0.0], [0.0, np.nan], [np.nan, np.nan]])
    place = TRACKS["oval"].locate(lost, near=np.array([7, 8, 9]))
    assert np.isnan(place.s).all() and np.isnan(place.d).all()
    assert_array_equal(place.segment, [7, 8, 9])
    assert not TRACKS["oval"].on_road(lost).any()


def test_a_track_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        TRACKS["oval"].centre[0, 0] = 1.0
