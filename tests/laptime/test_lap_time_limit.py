"""The least lap time: closed forms, what is committed, and no judged lap below it."""

import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from racer import assets
from racer.car.action_space import ActionSpace
from racer.car.spec import CAR_PRESETS, GRAVITY, car_named, deepracer
from racer.controllers.path_following import candidate_lines, fastest_follower
from racer.errors import RacerError, TrackError
from racer.evaluation import evaluate_alone, evaluate_controller, make_race_rules
from racer.laptime import committed_limit, solve_lap_time_limit
from racer.laptime.ggv_envelope import ggv_envelope
from racer.laptime.minimum_time import flying_lap
from racer.laptime.racing_line import (
    border_overhang,
    drivable_corridor,
    make_gates,
    resample_line,
    smooth_line,
)
from racer.laptime.speed_profile import lap_time, speed_profile
from racer.sensors import StateConfig
from racer.track import Track, load_track

TRACKS = assets.shipped_names("tracks")
LONG = pytest.mark.slow
HARD = [pytest.param(name, marks=[] if name == "bowtie" else LONG) for name in TRACKS]
"""Every track; the fast suite drives one."""


def ring(radius, points=240):
    angle = np.arange(points) * 2 * np.pi / points
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def circle(radius, width):
    """Driven counter-clockwise."""
    return Track("circle", "", ring(radius), ring(radius - width / 2), ring(radius + width / 2))


def one_lap(track, spec, spacing=0.2):
    """The flying lap alone, on a coarse grid."""
    room = drivable_corridor(track, border_overhang(spec))
    across = make_gates(track, room, smooth_line(track, room), spacing)
    return flying_lap(across, ggv_envelope(spec), np.full(len(across.middle), 2.0))


def test_the_limit_of_a_circle_is_its_innermost_line_at_the_speed_that_grip_allows():
    """Halfway round; at its ends a lap may be entered fast and left wide."""
    lap = one_lap(circle(1.2, 0.6), deepracer(), 0.05)
    inner = 0.9 - border_overhang(deepracer())
    speed = np.sqrt(deepracer().friction * GRAVITY * inner)
    assert speed < deepracer().speed_limit
    half = slice(2 * len(lap.speed) // 5, 3 * len(lap.speed) // 5)
    np.testing.assert_allclose(np.hypot(*lap.xy[half].T), inner, rtol=2e-3)
    np.testing.assert_allclose(lap.speed[half], speed, rtol=0.01)
    assert lap.time < 2 * np.pi * inner / speed


def test_the_limit_of_a_wide_circle_is_its_innermost_line_at_the_highest_speed():
    inner = 3.7 - border_overhang(deepracer())
    assert one_lap(circle(4.0, 0.6), deepracer()).time == pytest.approx(
        2 * np.pi * inner / 4.0, rel=1e-3
    )


def test_from_a_crawl_speed_grows_with_the_root_of_the_way_and_falls_so_under_the_brakes():
    car = replace(ggv_envelope(deepracer()), air=0.0, rolling=0.0, knee=4.0, speed_limit=9.0)
    car = replace(car, brake=8.0)
    bend = np.zeros(60)
    bend[0] = 1e4
    step, slow = 0.02, car.grip / 1e4
    speed = speed_profile(bend, step, car)
    way = step * np.arange(25)
    # Where the bend ends its grip is spent: the first step gains nothing.
    np.testing.assert_allclose(speed[1:26] ** 2, slow + 2 * car.drive * way, rtol=1e-4)
    np.testing.assert_allclose(speed[:-11:-1] ** 2, slow + 2 * car.brake * way[:10], rtol=1e-4)


@pytest.mark.slow
def test_a_mirrored_track_has_the_same_limit():
    track, spec = load_track("hairpin"), deepracer()
    flip = np.array([1.0, -1.0])
    turned = Track("mirrored", "", track.centre * flip, track.right * flip, track.left * flip)
    assert one_lap(turned, spec).time == pytest.approx(one_lap(track, spec).time, rel=1e-4)


@pytest.mark.slow
def test_the_same_lap_is_found_from_the_centre_line_as_from_the_smooth_one():
    spec = car_named("f1tenth")  # Its top speed does not bind, as it would by the line's bends.
    track, car = load_track("bowtie"), ggv_envelope(spec)
    room = drivable_corridor(track, border_overhang(spec))
    times = []
    for line in (smooth_line(track, room), track.centre):
        across = make_gates(track, room, line, 0.1)
        times.append(flying_lap(across, car, np.full(len(across.middle), 2.0)).time)
    assert times[1] == pytest.approx(times[0], rel=2e-3)


@pytest.mark.slow
def test_the_free_line_is_quicker_than_the_smooth_one_and_more_grip_quicker_still():
    track, spec = load_track("hairpin"), deepracer()
    limit = committed_limit(track, spec)
    assert limit is not None
    assert limit.flying < limit.qss < 1.1 * limit.flying
    assert limit.margin < 2e-3
    assert one_lap(track, replace(spec, friction=1.2)).time < 0.99 * limit.flying


def test_the_corridor_goes_as_far_as_one_wheel_on_the_border_allows():
    track, beyond = circle(2.0, 1.0), border_overhang(deepracer())
    assert beyond == pytest.approx(np.hypot(0.082, 0.080))
    x = np.sqrt(drivable_corridor(track, beyond).area / np.pi + (1.5 - beyond) ** 2)
    assert x == pytest.approx(2.5 + beyond, rel=1e-3)


def test_a_road_that_is_too_narrow_for_a_line_inside_it_is_refused():
    with pytest.raises(TrackError, match="too narrow"):
        drivable_corridor(circle(2.0, 1.0), -0.6)


def test_a_smooth_line_is_no_longer_than_it_must_be_where_length_weighs():
    track = load_track("oval")
    room = drivable_corridor(track, 0.0)
    short, smooth = (resample_line(smooth_line(track, room, pull), 0.05) for pull in (3.0, 0.0))
    step = [np.hypot(*(line[0][1] - line[0][0])) * len(line[0]) for line in (short, smooth)]
    assert step[0] < step[1]
    assert np.square(short[2]).mean() > np.square(smooth[2]).mean()
    steady = np.full(len(short[0]), 2.0)
    assert lap_time(steady, step[0] / len(steady)) == pytest.approx(step[0] / 2.0, rel=1e-12)


def test_every_shipped_track_has_a_limit_that_is_not_stale(subtests):
    for name, car in product(TRACKS, CAR_PRESETS):
        with subtests.test(name=name, car=car):
            limit = committed_limit(load_track(name), car_named(car))
            assert limit, "the track, the car or the model has changed: run scripts/limits.py"
            assert limit.flying < limit.standing
            assert limit.race(3) == pytest.approx(limit.standing + 2 * limit.flying)


def test_a_changed_road_or_car_has_no_committed_limit():
    track, spec = load_track("oval"), deepracer()
    moved = Track(track.name, "", track.centre, track.left, 1.001 * track.right)
    assert committed_limit(track, spec) is not None
    assert committed_limit(moved, spec) is None
    assert committed_limit(track, replace(spec, friction=1.0)) is None


def test_without_casadi_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "casadi", None)
    with pytest.raises(RacerError, match=r"pip install casadi$"):
        solve_lap_time_limit(circle(2.0, 0.8), deepracer())


@pytest.mark.parametrize("name", HARD)
def test_no_judged_lap_beats_the_limit_however_hard_it_is_driven(subtests, name):
    road = load_track(name)
    rules = make_race_rules(2, 0.0, 40.0)  # Without a penalty for leaving the road.
    for share, inside in [(1.0, 0.04), (1.3, -0.06), (9.0, -0.1)]:
        lines = candidate_lines(road, inside)
        for car in CAR_PRESETS:
            with subtests.test(car=car, share=share):
                pilot = fastest_follower(lines, car_named(car), share)
                _is_no_faster(evaluate_controller(pilot, name, rules, car=car))


def test_flat_out_at_a_fixed_angle_beats_no_limit(subtests):
    for steering in [0.0, 0.3, 1.0]:
        with subtests.test(steering=steering):
            flat_out = np.array([[steering, 1.0]])
            result = evaluate_alone(
                lambda _, flat_out=flat_out: flat_out,
                (StateConfig(),),
                ActionSpace(),
                "oval",
                make_race_rules(2, 0.0, 40.0),
            )
            _is_no_faster(result)


def _is_no_faster(result):
    limit = result.limit
    assert limit is not None
    bounds = [limit.standing, limit.flying][: len(result.lap_times_s)]
    assert all(lap > bound for lap, bound in zip(result.lap_times_s, bounds))
