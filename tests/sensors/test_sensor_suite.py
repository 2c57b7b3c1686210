"""Sensors in company: a car's part is its own, and several sensors are one observation."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from racer.car.spec import deepracer
from racer.envs import RacerEnv, RacerVectorEnv
from racer.randomisation import Draws, Randomisation, load_randomisation
from racer.sensors import SensorInput, make_sensors
from racer.sensors.config import (
    CameraConfig,
    DiscretizedSectorLidarConfig,
    LeftCameraConfig,
    LidarConfig,
    SectorLidarConfig,
    StateConfig,
    StereoConfig,
)
from racer.track import load_track
from racer.world import CarState

SPEC = deepracer()
TRACK = load_track("bowtie")
SMALL: Any = {"width": 40, "height": 30}
CONFIGS = [
    CameraConfig(**SMALL),
    CameraConfig(**SMALL, colour="rgb", stack=2),
    LeftCameraConfig(**SMALL),
    StereoConfig(**SMALL, stack=3),
    StateConfig(stack=2),
    LidarConfig(),
    SectorLidarConfig(stack=2, rate=7.0),
    DiscretizedSectorLidarConfig(),
]


def around(n, seed, boxes=3):
    """Cars on the bowtie, some of which drive it the other way, each with boxes of its own."""
    rng = np.random.default_rng(seed)
    xy, heading = TRACK.at(rng.uniform(0, TRACK.length, n))
    body = np.zeros((n, 13))
    body[:, :2] = xy + rng.normal(0, 0.1, (n, 2))
    body[:, 2] = SPEC.mass_height
    yaw = heading + rng.normal(0, 0.4, n)
    body[:, 5], body[:, 6] = np.sin(yaw / 2), np.cos(yaw / 2)
    body[:, 7:10] = rng.normal(0, 1, (n, 3))
    state = CarState.of(body, rng.normal(0, 0.2, n), rng.uniform(0, 1, (n, 2)))
    there = np.zeros((n, boxes, 10))
    there[..., :2] = body[:, None, :2] + rng.normal(0, 1.5, (n, boxes, 2))
    turn = rng.uniform(-np.pi, np.pi, (n, boxes))
    there[..., 5], there[..., 6] = np.sin(turn / 2), np.cos(turn / 2)
    there[..., 7:] = (0.2, 0.15, 0.125)
    there[..., 2] = 0.125
    there[:, ::2, 7:] *= rng.integers(0, 2, (n, len(there[0, ::2]), 1))
    colours = rng.integers(0, 256, (n, boxes, 3), dtype=np.uint8)
    return SensorInput(state, TRACK.locate(body[:, :2]), rng.random(n) < 0.5, there, colours)


def only(world, cars):
    """The same surroundings of some of the cars."""
    state, place = world.state, world.place
    return SensorInput(
        CarState.of(state.body[cars], state.steering[cars], state.command[cars]),
        type(place)(*(part[cars] for part in place)),
        *(part[cars] for part in world[2:]),
    )


def drawn(n, randomisation=None):
    draws = Draws(randomisation or Randomisation(), n)
    draws.draw(np.arange(n), [np.random.default_rng(i) for i in range(n)])
    return draws.rows


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.name}-{config.stack}")
@pytest.mark.parametrize("is_random", [False, True])
def test_a_part_of_the_cars_sees_what_all_at_once_see_and_a_car_alone_sees_it_too(
    config, is_random
):
    real = load_randomisation("sim2real").model_copy(update={"dropped_frames": (0.0, 0.8)})
    n, rows = 8, drawn(8, real if is_random else None)
    whole, parts = (make_sensors([config], SPEC, TRACK, n, walls=True) for _ in range(2))
    single = [make_sensors([config], SPEC, TRACK, 1, walls=True) for _ in range(n)]
    everyone = np.arange(n)
    for suite in (whole, parts):
        suite.start(everyone, rows)
    for k, suite in enumerate(single):
        suite.start(np.arange(1), rows[k : k + 1])
    for step in range(4):
        world = around(n, step)
        seen, one_by_one = whole.buffer(n), parts.buffer(n)
        whole.observe(world, everyone, seen)
        parts.observe(world, everyone[::3], one_by_one)
        assert not one_by_one[1::3].any(), "the others' rows are left alone"
        parts.observe(world, np.setdiff1d(everyone, everyone[::3]), one_by_one)
        assert one_by_one.tobytes() == seen.tobytes()
        for k, suite in enumerate(single):
            alone = suite.buffer(1)
            suite.observe(only(world, [k]), np.arange(1), alone)
            assert alone[0].tobytes() == seen[k].tobytes()


def test_a_stack_shows_the_last_frames_and_begins_with_the_first_one_repeated():
    one, three = (make_sensors([StateConfig(stack=stack)], SPEC, TRACK, 2) for stack in (1, 3))
    frames = []
    for step in range(5):
        world, cars = around(2, step), np.arange(2)
        seen, stacked = one.buffer(2), three.buffer(2)
        if step == 3:
            three.start(np.array([1]), drawn(2))
        one.observe(world, cars, seen)
        three.observe(world, cars, stacked)
        frames.append(seen)
        last = [frames[max(step - age, 0)] for age in (2, 1, 0)]
        assert np.array_equal(stacked[0], np.concatenate(last, axis=1)[0])
        last = [frames[max(step - age, 3 if step >= 3 else 0)] for age in (2, 1, 0)]
        assert np.array_equal(stacked[1], np.concatenate(last, axis=1)[1])


def test_a_stereo_frame_is_what_its_two_cameras_see_with_the_left_one_first():
    world, frames = around(3, 1), []
    for config in (
        StereoConfig(baseline=0.1),
        CameraConfig(left=0.05),
        CameraConfig(left=-0.05),
    ):
        suite = make_sensors([config], SPEC, TRACK, 3)
        frames.append(suite.buffer(3))
        suite.observe(world, np.arange(3), frames[-1])
    assert np.array_equal(frames[0], np.concatenate(frames[1:], axis=3))
    assert not np.array_equal(frames[1], frames[2])


def test_a_car_that_drives_the_other_way_sees_the_road_of_the_reversed_track():
    world, back = around(4, 2), TRACK.reversed()
    world = world._replace(place=back.locate(world.state.xy), is_reversed=np.ones(4, dtype=bool))
    onwards = world._replace(is_reversed=np.zeros(4, dtype=bool))
    seen = []
    for track, scene in ((TRACK, world), (back, onwards)):
        suite = make_sensors([StateConfig()], SPEC, track, 4)
        seen.append(suite.buffer(4))
        suite.observe(scene, np.arange(4), seen[-1])
    assert np.array_equal(*seen)


def test_several_sensors_are_a_dict_by_name_alone_and_among_others():
    sensors = ["state", {"kind": "camera", **SMALL}]
    alone, among = RacerEnv(sensor=sensors), RacerVectorEnv(3, sensor=sensors)
    first, _ = alone.reset(seed=8)
    seen, _ = among.reset(seed=7)
    assert isinstance(alone.observation_space, spaces.Dict)
    assert set(alone.observation_space.spaces) == {"state", "camera"}
    for action in np.random.default_rng(0).uniform(-1, 1, (40, 3, 2)):
        assert alone.observation_space.contains(first)
        assert among.observation_space.contains(seen)
        for name in ("state", "camera"):
            assert first[name].tobytes() == seen[name][1].tobytes()
        kept = {name: values.copy() for name, values in seen.items()}
        before, (seen, *_) = seen, among.step(action)
        assert all(np.array_equal(kept[name], before[name]) for name in kept)
        first, _, terminated, truncated, _ = alone.step(action[1])
        if terminated or truncated:
            first, _ = alone.reset()
    alone.close()
    among.close()
