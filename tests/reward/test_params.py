"""Each key of the params against a circle worked out by hand: radius 2 m, width 0.8 m."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.race import OtherCars
from racer.reward import ParamsBuilder, StepFacts
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


def facts(degrees: float = 90.5, radius: float = 1.9, turn: int = 1, **changes) -> StepFacts:
    """One car with its front on the circle, `degrees` into the lap, and along the tangent there."""
    angle = turn * np.deg2rad(degrees)
    yaw = changes.get("yaw", angle + turn * np.pi / 2)
    front = radius * np.array([np.cos(angle), np.sin(angle)])
    values = {
        "xy": front - 0.14 * np.array([np.cos(yaw), np.sin(yaw)]),
        "yaw": yaw,
        "command": [0.0, 1.0],
        "segment": int(degrees - np.rad2deg(0.14 / RADIUS)) % N,
        "progress": 0.0,
        "steps": 1,
        "all_wheels_on_track": True,
        "is_offtrack": False,
        "is_crashed": False,
        "time": 1 / 15,
    }
    some: dict[str, Any] = {key: np.array([value]) for key, value in (values | changes).items()}
    return StepFacts(**some)


def objects(degrees, radius: Any = 2.1, speed=0.0, turn=1) -> OtherCars:
    """Objects on the circle, seen by one car."""
    degrees, angle = np.array([degrees]), turn * np.deg2rad([degrees])
    radii = np.broadcast_to(radius, angle.shape)
    pose = np.stack([radii * np.cos(angle), radii * np.sin(angle), angle + turn * np.pi / 2], 2)
    d, speeds = turn * (RADIUS - radii), np.broadcast_to(speed, angle.shape)
    return OtherCars(RADIUS * np.deg2rad(degrees), d, pose, speeds)


def params(turn: int = 1, there: OtherCars | None = None, **changes) -> dict:
    now = facts(turn=turn, **changes)._replace(objects=there)
    return ParamsBuilder(circle(turn), SPEC).build(now, 0)


def test_x_and_y_are_the_front_of_the_car():
    here = params(xy=[0.0, 2.0], yaw=np.pi)
    assert (here["x"], here["y"]) == pytest.approx((-0.14, 2.0))


def test_the_front_is_measured_from_the_middle_between_the_axles():
    spec = replace(SPEC, to_front_axle=0.10, to_rear_axle=0.06)
    here = ParamsBuilder(circle(), spec).build(facts(xy=[0.0, 2.0], yaw=np.pi), 0)
    assert (here["x"], here["y"]) == pytest.approx((-0.02 - 0.14, 2.0))


def test_the_place_on_the_track_is_the_front_s_and_not_the_centre_of_mass_s():
    """A car on the line that looks straight out of the circle has its front 0.14 m beside it."""
    here = params(xy=[0.0, RADIUS], yaw=np.pi / 2, segment=89)
    assert here["distance_from_center"] == pytest.approx(0.14, abs=1e-3)
    assert here["is_left_of_center"] is False
    along = params(xy=[0.0, RADIUS], yaw=np.pi, segment=89)
    degrees = 90 + np.rad2deg(np.arctan2(0.14, RADIUS))
    assert along["closest_waypoints"] == [int(degrees), int(degrees) + 1] == [94, 95]
    assert along["projection_distance"] == pytest.approx(RADIUS * np.deg2rad(degrees), rel=1e-4)


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
    assert params(radius=radius)["distance_from_center"] == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize(("turn", "is_left"), [(1, True), (-1, False)])
def test_the_inside_of_a_left_hand_circle_is_left_and_of_a_right_hand_one_right(turn, is_left):
    assert params(turn, radius=1.9)["is_left_of_center"] is is_left
    assert params(turn, radius=2.1)["is_left_of_center"] is not is_left


def test_projection_distance_is_the_way_along_the_line():
    assert params(degrees=90.0, radius=2.0)["projection_distance"] == pytest.approx(np.pi, rel=1e-4)


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


def test_left_in_reverse_is_the_other_side_of_the_same_road():
    track = circle()
    for line, yaw, is_left in ((track, np.pi, True), (track.reversed(), 0.0, False)):
        segment = int(line.locate(np.array([0.0, 1.8])).segment)
        now = facts(xy=[0.0, 1.8], yaw=yaw, segment=segment)
        assert ParamsBuilder(line, SPEC).build(now, 0)["is_left_of_center"] is is_left


def test_in_reverse_the_way_along_the_line_is_counted_the_other_way():
    track, degrees = circle().reversed(), np.array([10.5, 349.5])
    yaw = np.deg2rad(degrees) - np.pi / 2
    way = []
    for angle, heading in zip(np.deg2rad(degrees), yaw):
        front = RADIUS * np.array([np.cos(angle), np.sin(angle)])
        xy = front - 0.14 * np.array([np.cos(heading), np.sin(heading)])
        now = facts(xy=xy, yaw=heading, segment=int(track.locate(xy).segment))
        here = ParamsBuilder(track, SPEC).build(now, 0)
        way.append(here["projection_distance"])
        behind, ahead = (here["waypoints"][i] for i in here["closest_waypoints"])
        assert behind[0] * ahead[1] - behind[1] * ahead[0] < 0.0, "clockwise"
    assert way == pytest.approx(RADIUS * np.deg2rad([349.5, 10.5]), rel=1e-4)


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
    assert params(1, None, **{key: True})[key] is True
    assert params(1, None, **{key: False})[key] is False


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


def test_closest_objects_are_behind_and_ahead_across_the_start_line_too(subtests):
    for degrees, closest in [
        (45.5, [0, 1]),
        (100.5, [1, 2]),
        (10.5, [2, 0]),
        (359.5, [2, 0]),
        (300.5, [2, 0]),
    ]:
        with subtests.test(degrees=degrees, closest=closest):
            assert (
                params(there=objects([20.0, 80.0, 250.0]), degrees=degrees)["closest_objects"]
                == closest
            )


def test_closest_objects_are_indices_of_the_lists_in_whatever_order_those_are():
    here = params(there=objects([250.0, 20.0, 80.0]), degrees=45.5)
    assert here["closest_objects"] == [1, 2]


def test_an_object_is_passed_where_the_front_passes_it_and_not_the_centre_of_mass():
    there = objects([90.0, 270.0])
    assert params(there=there, degrees=89.5)["closest_objects"] == [1, 0]
    assert params(there=there, degrees=90.5)["closest_objects"] == [0, 1]


def test_a_single_object_is_behind_and_ahead():
    assert params(there=objects([90.0]))["closest_objects"] == [0, 0]


@pytest.mark.parametrize("turn", [1, -1])
def test_each_object_is_told_of_in_metres_radians_and_sides(turn):
    there = objects([30.0, 90.0], radius=np.array([[2.2, 1.9]]), speed=0.7, turn=turn)
    here = params(turn, there)
    assert here["objects_distance"] == pytest.approx([2 * np.pi / 6, np.pi])
    assert here["objects_distance_from_center"] == pytest.approx([0.2, 0.1])
    assert here["objects_left_of_center"] == [turn == -1, turn == 1]
    assert here["objects_location"][1] == pytest.approx((0.0, turn * 1.9))
    assert here["objects_heading"] == pytest.approx([turn * 2 * np.pi / 3, turn * np.pi])
    assert here["objects_speed"] == [0.7, 0.7]


def test_a_box_has_no_speed_and_no_heading():
    here = params(there=objects([30.0, 90.0]))
    assert here["objects_speed"] == here["objects_heading"] == [0.0, 0.0]


@pytest.mark.parametrize(("bearing", "is_seen"), [(0.0, True), (0.5, True), (0.6, False)])
def test_the_next_object_is_in_the_camera_within_half_of_1_13_radians_from_the_front(
    bearing, is_seen
):
    box, degrees = objects([99.0], radius=2.0), 90.5
    front = RADIUS * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    away = box.pose[0, 0, :2] - front
    yaw = np.arctan2(away[1], away[0]) - bearing
    here = params(there=box, degrees=degrees, radius=2.0, yaw=yaw)
    assert here["object_in_camera"] is is_seen
    assert params(there=box, degrees=degrees, yaw=yaw + np.pi)["object_in_camera"] is False


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
    many = StepFacts(
        xy=xy,
        yaw=rng.uniform(-4, 4, n),
        command=rng.uniform(0, 1, (n, 2)),
        segment=place.segment,
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
    for key in ("waypoints", "closest_waypoints", "closest_objects", "objects_location"):
        spoilt[key].append(9)
    assert builder.build(now, 0) == clean
