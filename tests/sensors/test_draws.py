"""What an episode's draw makes of frames: each quantity alone, and nothing where it is neutral."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from racer.car.spec import deepracer
from racer.randomisation import neutral_draws
from racer.sensors import CameraConfig, StateConfig, StereoConfig, empty_road_input, make_sensor
from racer.sensors.camera_ground import LUMA_WEIGHTS
from racer.sensors.config import LidarConfig
from racer.track import load_track
from racer.world import CarState

SPEC = deepracer()
TRACK = load_track("bowtie")
CENTRED: Any = {"forward": 0.0, "up": SPEC.mass_height, "pitch_deg": 0.0}
"""A camera in the car's origin: to turn it is to turn the car."""


def cars(yaw=0.0, roll=0.0, n=3):
    """Cars along the road, each with a box ahead."""
    xy, heading = TRACK.at(np.linspace(1.0, 15.0, n))
    body = np.zeros((n, 13))
    body[:, :2], body[:, 2] = xy, SPEC.mass_height
    turns = np.stack([heading + yaw, np.zeros(n), np.full(n, roll)], axis=1)
    body[:, 3:7] = Rotation.from_euler("ZYX", turns).as_quat()
    state = CarState.of(body, np.zeros(n), np.zeros((n, 2)))
    around = empty_road_input(state, TRACK.locate(xy))
    boxes = np.zeros((n, 1, 10))
    boxes[:, 0, :2] = xy + np.stack([np.cos(heading), np.sin(heading)], axis=1)
    boxes[:, 0, 2:] = 0.1, 0, 0, 0, 1, 0.1, 0.1, 0.1
    colours = np.tile(np.array([[200, 90, 20]], dtype=np.uint8), (n, 1, 1))
    return around._replace(boxes=boxes, colours=colours)


def seen(config, around=None, frames=1, seed=7, **draw):
    """What all cars see in each of the frames (frames, n, ...) where each has drawn this."""
    around = cars() if around is None else around
    n = len(around.is_reversed)
    sensor = make_sensor(config, SPEC, TRACK, n, walls=True)
    rows = neutral_draws(n)
    rows["seed"] = seed + np.arange(n)
    for name, value in draw.items():
        rows[name] = value
    sensor.start(np.arange(n), rows)
    out = np.zeros((frames, n, *sensor.space.shape), dtype=sensor.space.dtype)
    for frame in out:
        sensor.observe(around, np.arange(n), frame)
    return out


def assert_alike(one, other):
    """Frames from the same pose by another way: rounding moves a pixel on an edge at most."""
    assert one.shape == other.shape
    assert (np.abs(one.astype(int) - other) <= 2).mean() > 0.998


@pytest.mark.parametrize(
    ("draw", "config"),
    [
        ({"camera_forward": 0.05}, CameraConfig(forward=0.195)),
        ({"camera_left": -0.04}, CameraConfig(left=-0.04)),
        ({"camera_up": 0.03}, CameraConfig(up=0.16)),
        ({"camera_pitch": np.deg2rad(5)}, CameraConfig(pitch_deg=20)),
        ({"field_of_view": 1.2}, CameraConfig(fov=1.13 * 1.2)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_camera_moved_by_the_draw_sees_what_one_mounted_there_sees(draw, config):
    moved = seen(CameraConfig(), **draw)
    assert_alike(moved, seen(config))
    assert (moved != seen(CameraConfig())).mean() > 0.05


def test_a_camera_turned_to_the_left_sees_what_a_car_turned_to_the_left_sees():
    config = CameraConfig(**CENTRED)
    assert_alike(seen(config, camera_yaw=0.2), seen(config, cars(yaw=0.2)))


def test_a_camera_rolled_to_the_right_sees_what_a_car_rolled_to_the_right_sees():
    config = CameraConfig(**CENTRED)
    assert_alike(seen(config, camera_roll=0.2), seen(config, cars(roll=0.2)))


def test_a_colour_camera_s_channels_are_multiplied():
    config = CameraConfig(colour="rgb")
    plain, tinted = seen(config).astype(float), seen(config, red=0.5, green=1.3, blue=0.8)
    wanted = np.minimum(plain * (0.5, 1.3, 0.8), 255.0)
    assert np.abs(tinted - wanted).max() <= 0.51


@pytest.mark.parametrize("config", [CameraConfig(), StereoConfig(baseline=1e-9)])
def test_a_grey_camera_sees_the_luma_of_the_multiplied_channels(config):
    rgb = seen(CameraConfig(colour="rgb"), red=0.4, green=1.2, blue=1.1).astype(float)
    grey = seen(config, red=0.4, green=1.2, blue=1.1)
    assert np.abs(grey - (rgb @ LUMA_WEIGHTS)[..., None]).max() <= 0.6


def test_brightness_and_contrast_are_a_line_through_middle_grey():
    plain = seen(CameraConfig()).astype(float)
    changed = seen(CameraConfig(), brightness=20.0, contrast=1.5)
    wanted = np.clip(1.5 * (plain - 127.5) + 127.5 + 20.0, 0.0, 255.0)
    assert np.abs(changed - wanted).max() <= 0.51


def test_blur_takes_a_share_from_the_four_neighbours():
    plain = seen(CameraConfig(colour="rgb"))[0].astype(float)
    blurred = seen(CameraConfig(colour="rgb"), blur=0.4)[0]
    wide = np.pad(plain, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    four = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
    assert np.abs(blurred - (0.6 * plain + 0.1 * four)).max() <= 0.51


def test_pixel_noise_is_normal_and_new_in_each_frame_car_and_channel():
    config = StereoConfig(baseline=1e-9)
    plain = seen(config).astype(float)
    noise = seen(config, frames=6, pixel_noise=8.0) - plain
    calm = np.broadcast_to((plain > 40) & (plain < 215), noise.shape)
    assert noise[calm].std() == pytest.approx(8.0, rel=0.02)
    assert abs(noise[calm].mean()) < 0.1
    left, right = noise[..., 0], noise[..., 1]
    for one, other in (
        (left, right),
        (noise[1:], noise[:-1]),
        (noise[:, 1:], noise[:, :-1]),
        (noise[:, :, 1:], noise[:, :, :-1]),
        (noise[..., 1:, :], noise[..., :-1, :]),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.03


def test_noise_comes_from_the_episode_s_seed_alone():
    first, again, other = (
        seen(CameraConfig(), frames=2, seed=seed, pixel_noise=5.0) for seed in (1, 1, 9)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_a_car_that_drew_nothing_keeps_every_byte_beside_one_that_drew_much(colour):
    config = CameraConfig(colour=colour)
    much: dict[str, Any] = {
        "red": [1.0, 0.7, 1.0],
        "pixel_noise": [0.0, 9.0, 0.0],
        "blur": [0.0, 0.5, 0.0],
        "camera_yaw": [0.0, 0.1, 0.0],
        "dropped_frames": [0.0, 0.5, 0.0],
    }
    plain, beside = seen(config, frames=4), seen(config, frames=4, **much)
    assert np.array_equal(plain[:, [0, 2]], beside[:, [0, 2]])
    assert not np.array_equal(plain[:, 1], beside[:, 1])


def dropped(config, frames=400, chance=0.3):
    """Which frames repeat the one before, (frames - 1, n), where each is new in itself."""
    got = seen(config, frames=frames, dropped_frames=chance, pixel_noise=20.0, lidar_noise=5.0)
    return (got[1:] == got[:-1]).reshape(frames - 1, got.shape[1], -1).all(axis=2)


def test_frames_are_dropped_as_often_as_drawn_and_each_sensor_has_its_own_luck():
    camera = dropped(CameraConfig(width=16, height=12))
    lidar = dropped(LidarConfig(clip=12.0))
    for one in (camera, lidar):
        assert one.mean() == pytest.approx(0.3, abs=0.05)
    assert abs(np.corrcoef(camera.ravel(), lidar.ravel())[0, 1]) < 0.1
    assert not dropped(CameraConfig(width=16, height=12), 20, 0.0).any()


def test_the_first_frame_of_an_episode_is_never_dropped():
    sensor = make_sensor(StateConfig(), SPEC, TRACK, 3)
    rows = neutral_draws(3)
    rows["dropped_frames"] = 0.9
    for episode in range(20):
        rows["seed"] = 100 * episode + np.arange(3)
        around = cars(yaw=0.1 * episode)
        sensor.start(np.arange(3), rows)
        out, wanted = np.zeros((3, 26), np.float32), np.zeros((3, 26), np.float32)
        sensor.observe(around, np.arange(3), out)
        make_sensor(StateConfig(), SPEC, TRACK, 3).observe(around, np.arange(3), wanted)
        assert np.array_equal(out, wanted)


def test_a_dropped_frame_stands_in_a_stack_twice():
    config = StateConfig(stack=2)
    sensor = make_sensor(config, SPEC, TRACK, 3)
    rows = neutral_draws(3)
    rows["seed"], rows["dropped_frames"] = np.arange(3), 0.5
    sensor.start(np.arange(3), rows)
    last, repeats = np.zeros((3, 26), np.float32), 0
    for step in range(40):
        out = np.zeros((3, 52), np.float32)
        sensor.observe(cars(yaw=0.01 * step), np.arange(3), out)
        old, new = out[:, :26], out[:, 26:]
        assert step == 0 or np.array_equal(old, last)
        repeats += int((old == new).all(axis=1).sum()) if step else 0
        last = new
    assert 40 < repeats < 80
