"""Where a point lies on a track, against shapely's own search, on every kind of road."""

import numpy as np
import pytest
from shapely.geometry import LineString, Point

from racer import assets
from racer.track import load_track


def check(track, rng, count=60):
    """Random points on, beside and far from the road lie where shapely finds them nearest."""
    line = LineString(np.vstack([track.centre, track.centre[:1]]))
    s = np.concatenate([rng.uniform(0.0, track.length, count), [0.0, 1e-9, track.length - 1e-9]])
    xy, yaw = track.at(s)
    aside = rng.choice([0.0, 0.3, 1.0, 20.0], len(s)) * rng.normal(0.0, 1.0, len(s))
    points = xy + aside[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
    place = track.locate(points)
    for point, found_s, found_d, segment in zip(points, *place):
        here = Point(*point)
        assert abs(found_d) == pytest.approx(line.distance(here), abs=1e-9)
        nearest = track.at(np.array([found_s]))[0][0]
        assert np.hypot(*(nearest - point)) == pytest.approx(abs(found_d), abs=1e-9)
        assert 0.0 <= found_s < track.length
        begins, ends = track.s[segment] - 1e-8, track.s[segment + 1] + 1e-8
        assert begins <= found_s <= ends or (found_s == 0.0 and ends > track.length)
    near = track.locate(points, near=place.segment)
    around = (near.s - place.s + track.length / 2) % track.length - track.length / 2
    np.testing.assert_allclose(around, 0.0, atol=1e-8)
    np.testing.assert_allclose(near.d, place.d, atol=1e-8)


def test_a_point_lies_where_it_is_nearest_on_every_shipped_track(subtests):
    for name in assets.shipped_names("tracks"):
        with subtests.test(name=name):
            for track in (load_track(name), load_track(name).reversed()):
                check(track, np.random.default_rng(1))


def test_a_point_lies_where_it_is_nearest_on_twenty_drawn_tracks():
    for seed in range(20):
        check(load_track(f"generated:{seed}"), np.random.default_rng(seed))


@pytest.mark.slow
def test_a_point_lies_where_it_is_nearest_on_two_hundred_drawn_tracks():
    for seed in range(200):
        check(load_track(f"generated:{seed}"), np.random.default_rng(seed), count=200)


def test_a_car_that_drives_at_the_border_never_jumps_to_the_other_leg(subtests):
    for name in ["hairpin", "comb", "serpent"]:
        with subtests.test(name=name):
            track = load_track(name)
            for lane in (-0.5, 0.5, 0.8):
                s = np.arange(0.0, 2.2 * track.length, 0.13)
                xy, yaw = track.at(s)
                width = track.width[track.locate(xy).segment]
                aside = lane * width
                xy = xy + aside[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
                segment, gone = track.locate(xy[:1]).segment, 0.0
                last = track.locate(xy[:1]).s[0]
                for point in xy[1:]:
                    place = track.locate(point[None], near=segment)
                    step = place.s[0] - last
                    step -= track.length * np.round(step / track.length)
                    assert abs(step) < 0.8
                    gone, last, segment = gone + step, place.s[0], place.segment
                assert gone == pytest.approx(s[-1], abs=1.0)
