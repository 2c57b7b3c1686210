"""Each key of the params against a circle worked out by hand: radius 2 m, width 0.8 m."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.reward import Facts, ParamsBuilder
from racer.track import Track, load_track

RADIUS, WIDTH, N = 2.0, 0.8, 360
SPEC = deepracer()


def circle(turn: int = 1) -> Track:
    """A circle that starts at (2, 0), a point a degree; `turn` is 1 to the left, -1 right."""
    angle = turn * np.deg2rad(np.arange(N))
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner, outer = (RADIUS - WIDTH / 2) * ring, (RADIUS + WIDTH / 2) * ring
    sides = (inner, outer) if turn == 1 else (outer, inner)
    return Track("circle", "", RADIUS * ring, *sides)


def facts(degrees: float = 90.5, radius: float = 1.9, turn: int = 1, **changes) -> Facts:
    """One car on the circle, `degrees` into the lap and along the tangent."""
    angle = turn * np.deg2rad(degrees)
    values = {
        "xy": [radius * np.cos(angle), radius * np.sin(angle)],
        "yaw": angle + turn * np.pi / 2,
        "command": [0.0, 1.0],
        "place_s": RADIUS * np.deg2rad(degrees),
        "place_d": turn * (RADIUS - radius),
        "place_segment": int(degrees),
        "progress": 0.0,
        "steps": 1,
        "all_wheels_on_track": True,
        "is_offtrack": False,
        "is_crashed": False,
        "time": 1 / 15,
    }
    some: dict[str, Any] = {key: np.array([value]) for key, value in (values | changes).items()}
    return Facts(**some)


def params(turn: int = 1, **changes) -> dict:
    return ParamsBuilder(circle(turn), SPEC).build(facts(turn=turn, **changes), 0)


def test_x_and_y_are_the_front_of_the_car():
    here = params(degrees=90.0, radius=2.0)
    assert (here["x"], here["y"]) == pytest.approx((-0.14, 2.0))


def test_the_front_is_measured_from_the_middle_between_the_axles():
    spec = replace(SPEC, to_front_axle=0.10, to_rear_axle=0.06)
    here = ParamsBuilder(circle(), spec).build(facts(degrees=90.0, radius=2.0), 0)
    assert (here["x"], here["y"]) == pytest.approx((-0.02 - 0.14, 2.0))


@pytest.mark.parametrize(
    ("yaw", "heading"), [(0.0, 0.0), (np.pi / 2, 90.0), (-np.pi / 4, -45.0), (3.5, 200.535 - 360)]
)
def test_heading_is_in_degrees_and_turns_to_the_left(yaw, heading):
    assert params(yaw=yaw)["heading"] == pytest.approx(heading, abs=1e-3)


@pytest.mark.parametrize("turns", [-2, -1, 1, 2])
def test_heading_stays_within_half_a_turn_either_way(turns):
    assert params(yaw=0.7 + turns * 2 * np.pi)["heading"] == pytest.approx(np.rad2deg(0.7))


@pytest.mark.parametrize("radius", [1.7, 2.3])
def test_distance_from_center_has_no_sign(radius):
    assert params(radius=radius)["distance_from_center"] == pytest.approx(0.3)


@pytest.mark.parametrize(("turn", "is_left"), [(1, True), (-1, False)])
def test_the_inside_of_a_left_hand_circle_is_left_and_of_a_right_hand_one_right(turn, is_left):
    assert params(turn, radius=1.9)["is_left_of_center"] is is_left
    assert params(turn, radius=2.1)["is_left_of_center"] is not is_left


def test_projection_distance_is_the_way_along_the_line():
    assert params(degrees=90.0)["projection_distance"] == pytest.approx(np.pi)


def test_speed_and_steering_are_the_commands_in_degrees():
    here = params(command=[np.pi / 12, 2.5])
    assert (here["steering_angle"], here["speed"]) == pytest.approx((15.0, 2.5))


def test_track_length_is_the_circumference():
    assert params()["track_length"] == pytest.approx(2 * np.pi * RADIUS, rel=1e-4)


def test_track_width_is_the_width_beside_the_car():
    track = circle()
    out = np.where(np.arange(N) < 180, 1.1, 1.0)[:, None] * track.right
    builder = ParamsBuilder(Track("wider", "", track.centre, track.left, out), SPEC)
    assert builder.build(facts(degrees=90.0), 0)["track_width"] == pytest.approx(0.8 + 0.24)
    assert builder.build(facts(degrees=270.0), 0)["track_width"] == pytest.approx(0.8)


def test_waypoints_go_once_round_and_end_where_they_began():
    points = params()["waypoints"]
    assert len(points) == N + 1
    assert points[0] == points[-1] == pytest.approx((2.0, 0.0))
    assert points[90] == pytest.approx((0.0, 2.0))


def test_waypoints_run_the_way_the_track_is_driven():
    back = ParamsBuilder(circle().reversed(), SPEC).build(facts(), 0)["waypoints"]
    np.testing.assert_allclose(back, params()["waypoints"][::-1])


@pytest.mark.parametrize("degrees", [0.5, 90.5, 359.5])
def test_closest_waypoints_are_the_one_behind_and_the_one_ahead(degrees):
    here = params(degrees=degrees, radius=2.0)
    behind, ahead = (here["waypoints"][i] for i in here["closest_waypoints"])
    assert here["closest_waypoints"] == [int(degrees), int(degrees) + 1]
    angle = np.deg2rad(degrees + np.array([-0.5, 0.5]))
    assert behind == pytest.approx((2 * np.cos(angle[0]), 2 * np.sin(angle[0])), abs=1e-9)
    assert ahead == pytest.approx((2 * np.cos(angle[1]), 2 * np.sin(angle[1])), abs=1e-9)


def test_progress_steps_and_time_are_those_of_the_episode():
    here = params(progress=-0.25, steps=17, time=17 / 15)
    assert (here["progress"], here["steps"], here["sim_time"]) == (-0.25, 17, 17 / 15)


@pytest.mark.parametrize("key", ["all_wheels_on_track", "is_offtrack", "is_crashed"])
def test_what_happened_to_the_car_is_told(key):
    assert params(**{key: True})[key] is True
    assert params(**{key: False})[key] is False


def test_the_direction_of_the_track_is_told():
    for is_reversed in (False, True):
        builder = ParamsBuilder(circle(), SPEC, is_reversed)
        assert builder.build(facts(), 0)["is_reversed"] is is_reversed


def test_a_time_trial_has_no_objects():
    here = params()
    lists = [value for key, value in here.items() if key.startswith("objects_")]
    assert lists == [[]] * 6
    assert here["closest_objects"] == [0, 0]
    assert here["object_in_camera"] is False


def test_every_value_is_plain_python():
    here = params()
    kept = json.loads(json.dumps(here))
    assert kept == here | {"waypoints": [list(point) for point in here["waypoints"]]}
    assert all(type(point) is tuple for point in here["waypoints"])
    plain = {bool, int, float, list}
    assert {type(value) for value in here.values()} == plain
    assert {type(value) for value in here["closest_waypoints"]} == {int}


def test_many_cars_get_what_each_gets_alone():
    track = load_track("bowtie")
    rng, n = np.random.default_rng(0), 7
    xy = rng.uniform(-3, 3, (n, 2))
    place = track.locate(xy)
    flags = rng.random((3, n)) < 0.5
    many = Facts(
        xy=xy,
        yaw=rng.uniform(-4, 4, n),
        command=rng.uniform(0, 1, (n, 2)),
        place_s=place.s,
        place_d=place.d,
        place_segment=place.segment,
        progress=rng.uniform(0, 100, n),
        steps=np.arange(n),
        all_wheels_on_track=flags[0],
        is_offtrack=flags[1],
        is_crashed=flags[2],
        time=rng.uniform(0, 9, n),
    )
    builder = ParamsBuilder(track, SPEC)
    assert builder.build_all(many) == [builder.build(many, i) for i in range(n)]


def test_a_car_that_changes_its_params_changes_no_other_car_and_no_other_step():
    builder, now = ParamsBuilder(circle(), SPEC), facts()
    spoilt, clean = builder.build(now, 0), builder.build(now, 0)
    spoilt["x"] = 9.0
    for key in ("closest_waypoints", "closest_objects", "objects_location"):
        spoilt[key].append(9)
    assert builder.build(now, 0) == clean
