"""The params of real races, each key against shapely and the world's own state."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import LinearRing, Point, Polygon

from racer.envs import RacerVectorEnv
from racer.race import RACE_KINDS, Ending

LISTEN = """
heard = []
def reward_function(params):
    heard.append(params)
    return 1.0
"""


@pytest.fixture
def listen(tmp_path):
    """Builds an env of one car whose reward keeps every params; gives both."""
    path, envs = tmp_path / "listen.py", []
    path.write_text(LISTEN)

    def build(**config) -> tuple[RacerVectorEnv, list[dict]]:
        env = RacerVectorEnv(1, sensor="state", reward=str(path), **config)
        envs.append(env)
        env.reset(seed=5)
        assert env._rewards
        return env, env._rewards._functions[0].__globals__["heard"]

    yield build
    for env in envs:
        env.close()


def drive_on(env, metres=3.0, speed=2.0):
    """Turn onto the line again and again until the way is made good, or the episode ends."""
    race = env.race
    while abs(race.distance[0]) < metres and race.ending[0] == Ending.RUNNING:
        line = race.roads.line_of(race.road.of(0))
        ahead, _ = line.at(race.place.s[0] + 0.75)
        away = ahead - env.world.state.xy[0]
        bearing = np.arctan2(away[1], away[0]) - env.world.state.yaw[0]
        steering = np.arctan2(2 * 0.164 * np.sin(bearing), np.hypot(*away))
        turn = steering / np.deg2rad(30.0)
        env.advance(np.array([[turn, (speed - 0.5) / 3.5 * 2 - 1]]))


def is_left(line: np.ndarray, point: np.ndarray, way: float) -> bool:
    """Whether a point lies left of a ring where that is `way` metres along."""
    ring = LinearRing(line)
    a, b = (
        np.array(ring.interpolate((way + off) % ring.length).coords[0]) for off in (-0.01, 0.01)
    )
    return bool(np.cross(np.append(b - a, 0.0), np.append(point - a, 0.0))[2] > 0.0)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("kind", RACE_KINDS)
def test_the_place_on_the_track_is_where_shapely_says_that_the_front_is(listen, kind, direction):
    env, heard = listen(
        track="hairpin", race={"kind": kind, "start": "line", "direction": direction}
    )
    drive_on(env)
    now, state, track = heard[-1], env.world.state, env.tracks[0]
    line = track.centre if direction == "forward" else np.roll(track.centre[::-1], 1, axis=0)
    middle = (env.car.to_front_axle - env.car.to_rear_axle) / 2
    ahead = np.array([np.cos(state.yaw[0]), np.sin(state.yaw[0])])
    front = state.xy[0] + (middle + 0.14) * ahead
    ring, at = LinearRing(line), Point(front)

    assert (now["x"], now["y"]) == pytest.approx(tuple(front))
    assert now["heading"] == pytest.approx((np.rad2deg(state.yaw[0]) + 180) % 360 - 180)
    assert now["is_reversed"] is (direction == "reverse")
    assert now["track_length"] == pytest.approx(ring.length)
    assert now["waypoints"] == [tuple(point) for point in [*line.tolist(), line[0].tolist()]]
    assert now["distance_from_center"] == pytest.approx(ring.distance(at), abs=1e-9)
    assert now["projection_distance"] == pytest.approx(ring.project(at), abs=1e-9)
    assert now["is_left_of_center"] is is_left(line, front, ring.project(at))
    behind, ahead = now["closest_waypoints"]
    ways = [ring.project(Point(now["waypoints"][i])) for i in (behind, ahead)]
    assert ahead == behind + 1
    assert ways[0] <= now["projection_distance"] <= ways[1]
    assert now["track_width"] == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("kind", RACE_KINDS)
def test_what_the_car_does_is_what_was_asked_and_what_happened(listen, kind, direction):
    env, heard = listen(track="oval", race={"kind": kind, "start": "line", "direction": direction})
    drive_on(env, metres=0.5)
    env.advance(np.array([[0.5, -1.0]]))
    now, state = heard[-1], env.world.state
    assert now["steps"] == len(heard)
    assert now["sim_time"] == pytest.approx(len(heard) / 15)
    assert now["speed"] == 0.5, "commanded, and not yet driven"
    assert np.hypot(*state.velocity[0, :2]) > 0.6
    assert now["steering_angle"] == pytest.approx(15.0)
    assert (now["all_wheels_on_track"], now["is_offtrack"], now["is_crashed"]) == (
        True,
        False,
        False,
    )
    line = env.race.roads.line_of(env.race.road.of(0))
    way = LinearRing(line.centre).project(Point(state.xy[0]))
    assert now["progress"] == pytest.approx(100 * way / line.length, abs=1e-3)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("kind", RACE_KINDS[1:])
def test_objects_are_where_the_world_has_them(listen, kind, direction):
    env, heard = listen(track="oval", race={"kind": kind, "start": "line", "direction": direction})
    for _ in range(20):
        env.advance(np.array([[0.0, -0.8]]))
    now, boxes, track = heard[-1], env.world.boxes[0], env.tracks[0]
    line = track.centre if direction == "forward" else np.roll(track.centre[::-1], 1, axis=0)
    ring = LinearRing(line)
    middles = [Point(xy) for xy in boxes[:, :2]]
    assert np.allclose(now["objects_location"], boxes[:, :2], atol=1e-6)
    ways = np.array([ring.project(point) for point in middles])
    assert now["objects_distance"] == pytest.approx(ways, abs=0.02)
    aside = [ring.distance(point) for point in middles]
    assert now["objects_distance_from_center"] == pytest.approx(aside, abs=0.005)
    sides = [is_left(line, xy, way) for xy, way in zip(boxes[:, :2], ways)]
    assert now["objects_left_of_center"] == sides
    speed = 0.2 if kind == "head_to_bot" else 0.0
    assert now["objects_speed"] == [speed] * len(boxes)
    yaw = [pose if kind == "head_to_bot" else 0.0 for pose in env.race.objects.pose[0, :, 2]]
    assert now["objects_heading"] == pytest.approx(yaw)
    order = np.argsort((ways - now["projection_distance"]) % ring.length)
    assert now["closest_objects"] == [order[-1], order[0]]


def test_leaving_the_road_is_told_wheel_by_wheel(listen):
    env, heard = listen(track="oval", race={"start": "line"})
    half, tread = env.tracks[0].width[0] / 2, env.car.tread / 2
    road = Polygon(env.tracks[0].right, [env.tracks[0].left])
    while env.race.ending[0] == Ending.RUNNING:
        env.advance(np.array([[1.0, -0.8]]))
        front = [[env.car.to_front_axle, tread], [env.car.to_front_axle, -tread]]
        rear = [[-env.car.to_rear_axle, tread], [-env.car.to_rear_axle, -tread]]
        yaw = env.world.state.yaw[0]
        turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
        wheels = np.array(front + rear) @ turn + env.world.state.xy[0]
        inside = [road.contains(Point(wheel)) for wheel in wheels]
        assert heard[-1]["all_wheels_on_track"] is all(inside)
        assert heard[-1]["is_offtrack"] is (not any(inside))
    assert heard[-1]["is_offtrack"] is True
    assert heard[-1]["distance_from_center"] > half
    assert any(not now["all_wheels_on_track"] and not now["is_offtrack"] for now in heard)


def test_progress_is_100_where_a_lap_is_complete_and_begins_anew_in_the_next(listen):
    env, heard = listen(track="oval", race={"start": "line", "laps": 3})
    drive_on(env, metres=3 * env.tracks[0].length, speed=2.0)
    assert env.race.ending[0] == Ending.LAPS_COMPLETE
    progress = np.array([now["progress"] for now in heard])
    laps = np.flatnonzero(progress == 100.0)
    assert len(laps) == 3
    assert laps[-1] == len(progress) - 1
    after = progress[laps[:-1] + 1]
    assert ((after > 0.0) & (after < 3.0)).all(), "what was driven beyond the line is not lost"
    assert [now["steps"] for now in heard] == list(range(1, len(heard) + 1))


def test_progress_counts_from_where_the_episode_began_and_is_below_0_behind_it(listen):
    env, heard = listen(track="oval", race={"start": "line", "start_offset": 0.5})
    env.advance(np.array([[0.0, -0.8]]))
    assert abs(heard[-1]["progress"]) < 1.0
    assert heard[-1]["projection_distance"] == pytest.approx(0.5 * env.tracks[0].length, abs=0.5)
    env.race.set_on_track(
        np.array([0]), np.array([0.5 * env.tracks[0].length]), np.zeros(1), np.full(1, np.pi)
    )
    for _ in range(8):
        env.advance(np.array([[0.0, -0.5]]))
    assert -5.0 < heard[-1]["progress"] < 0.0
