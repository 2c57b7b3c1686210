"""The camera on a device against the processor's: the same kernels on Warp's CPU target."""

from typing import Any

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.gpu.camera import GpuCamera
from racer.gpu.runtime import choose_device, load_warp
from racer.randomisation import Randomisation
from racer.sensors import CameraConfig, LeftCameraConfig, StereoConfig, make_sensor
from racer.sensors.camera_ground import SKY_COLOUR, ground_texture, luma
from racer.track import load_track
from tests.helpers.device_sensors import (
    around,
    drawn,
    drives,
    on_device,
    poses_of,
    start,
)

pytestmark = pytest.mark.needs("warp")

SPEC = deepracer()
MOST_LEVELS = 1
"""Levels of 255 by which 99.9 % of the pixels may differ: float32 rounds texel indices and edges
in another order here."""
LEAST_SHARE = 0.999
SMALL: Any = {"width": 80, "height": 60}


def new_frames(camera, n, device):
    return load_warp().zeros((n, *camera.space.shape), dtype=load_warp().uint8, device=device)


def both(config, track, body, walls=False, randomisation=None, device="cpu"):
    """What the processor's camera and the device's see, (n, H, W, C) each."""
    n, device = len(body), choose_device(device)
    options: Any = {} if randomisation is None else {"randomisation": randomisation}
    sensor = make_sensor(config, SPEC, track, n, walls)
    camera = GpuCamera(config, SPEC, [track], n, device, walls, **options)
    assert camera.space == sensor.space
    if randomisation is not None:
        rows = drawn(randomisation, n)
        sensor.start(np.arange(n), rows)
        start(camera, rows, device)
    expected, frames = np.zeros((n, *sensor.space.shape), np.uint8), new_frames(camera, n, device)
    sensor.observe(around(body), np.arange(n), expected)
    camera.observe(poses_of(body, device), frames)
    return expected, frames.numpy()


def share_alike(expected, got):
    """The share of pixels that differ by no more than `MOST_LEVELS`, where there is a picture."""
    assert expected.std() > 10.0
    return (np.abs(expected.astype(int) - got.astype(int)) <= MOST_LEVELS).mean()


@pytest.mark.parametrize(
    "config",
    [CameraConfig(), CameraConfig(colour="rgb", **SMALL), StereoConfig(**SMALL)],
    ids=["grey", "rgb", "stereo"],
)
def test_a_device_sees_what_the_processor_sees(config, subtests):
    for name in ("oval", "bowtie"):
        for walls in (False, True):
            with subtests.test(track=name, walls=walls):
                track = load_track(name)
                expected, got = both(config, track, drives(track, 24), walls)
                assert share_alike(expected, got) >= LEAST_SHARE


@pytest.mark.slow
def test_a_device_sees_what_the_processor_sees_on_every_road(subtests):
    configs = [
        *(CameraConfig(), CameraConfig(colour="rgb"), CameraConfig(**SMALL), StereoConfig()),
        LeftCameraConfig(width=61, height=47, pitch_deg=-20.0, fov=2.4),
        CameraConfig(width=9, height=8, left=0.5, up=1.2, colour="rgb"),
    ]
    for name in ("comb", "cove", "serpent", "speedway", "zigzag"):
        track = load_track(name)
        for config in configs:
            for walls in (False, True):
                with subtests.test(track=name, config=config, walls=walls):
                    expected, got = both(config, track, drives(track, 160, seed=1), walls)
                    assert share_alike(expected, got) >= LEAST_SHARE


MOUNTS = Randomisation(
    camera_forward=(-0.1, 0.1),
    camera_left=(-0.1, 0.1),
    camera_up=(-0.1, 0.1),
    camera_roll=(-0.3, 0.3),
    camera_pitch=(-0.3, 0.3),
    camera_yaw=(-0.3, 0.3),
    field_of_view=(0.5, 1.5),
)
TINTS = Randomisation(red=(0.2, 2.0), green=(0.2, 2.0), blue=(0.2, 2.0))
EFFECTS = Randomisation(brightness=(-64, 64), contrast=(0.5, 2.0), pixel_noise=(0, 32), blur=(0, 1))


def test_a_device_draws_what_an_episode_draws(subtests):
    track = load_track("oval")
    for name, randomisation in (("mounts", MOUNTS), ("tints", TINTS), ("effects", EFFECTS)):
        for config in (CameraConfig(**SMALL), CameraConfig(colour="rgb", **SMALL)):
            with subtests.test(drawn=name, colour=config.colour):
                expected, got = both(config, track, drives(track, 24), True, randomisation)
                assert share_alike(expected, got) >= LEAST_SHARE


def test_an_effect_of_the_draw_is_seen_by_its_noise():
    track, noisy = load_track("oval"), Randomisation(pixel_noise=(20, 20))
    body = drives(track, 8)
    plain, _ = both(CameraConfig(**SMALL), track, body)
    expected, got = both(CameraConfig(**SMALL), track, body, randomisation=noisy)
    noise = got.astype(int) - plain
    assert noise.std() == pytest.approx(20.0, rel=0.15)
    assert np.abs(noise - (expected.astype(int) - plain)).max() <= 1


def test_stacks_drops_and_restarts_are_those_of_the_processor():
    """Frames of cars that begin episodes at different times, some of which are dropped."""
    warp, device, n = load_warp(), choose_device("cpu"), 12
    track = load_track("oval")
    drops = Randomisation(dropped_frames=(0.0, 0.8))
    for stack, randomisation in ((4, None), (3, drops), (1, drops)):
        config = CameraConfig(stack=stack, **SMALL)
        sensor = make_sensor(config, SPEC, track, n)
        options: Any = {} if randomisation is None else {"randomisation": randomisation}
        camera = GpuCamera(config, SPEC, [track], n, device, **options)
        rows = drawn(randomisation or Randomisation(), n)
        sensor.start(np.arange(n), rows)
        start(camera, rows, device)
        expected, frames = np.zeros((n, *sensor.space.shape), np.uint8), None
        for step in range(9):
            begin = np.arange(n) % 5 == step
            if begin.any():
                rows["seed"][begin] += np.uint64(1)
                sensor.start(np.flatnonzero(begin), rows)
                start(camera, rows, device, on_device(begin, warp.int32, device))
            body = drives(track, n, seed=step)
            frames = new_frames(camera, n, device)  # No frame depends on the last output array.
            sensor.observe(around(body), np.arange(n), expected)
            camera.observe(poses_of(body, device), frames)
            assert share_alike(expected, frames.numpy()) >= LEAST_SHARE
        oldest, newest = expected[..., 0].astype(int), expected[..., -1].astype(int)
        assert stack == 1 or np.abs(newest - oldest).max() > 50


def test_each_car_sees_the_road_of_its_line():
    warp, device = load_warp(), choose_device("cpu")
    tracks = [load_track(name) for name in ("oval", "bowtie")]
    body = np.concatenate([drives(track, 8) for track in tracks])
    config = CameraConfig(**SMALL)
    camera = GpuCamera(config, SPEC, tracks, 16, device, walls=True)
    frames = new_frames(camera, 16, device)
    line = on_device(np.repeat([1, 2], 8), warp.int32, device)
    camera.observe(poses_of(body, device), frames, line)
    for k, track in enumerate(tracks):
        own = slice(8 * k, 8 * k + 8)
        expected, _ = both(config, track, body[own], walls=True)
        assert share_alike(expected, frames.numpy()[own]) >= LEAST_SHARE


def test_cars_out_of_the_mask_keep_their_rows_and_their_frame_numbers():
    warp, device, track = load_warp(), choose_device("cpu"), load_track("oval")
    camera = GpuCamera(CameraConfig(stack=2, **SMALL), SPEC, [track], 4, device, walls=True)
    frames = new_frames(camera, 4, device)
    mask = on_device([1, 0, 1, 0], warp.int32, device)
    first, second = drives(track, 4, seed=1), drives(track, 4, seed=2)
    camera.observe(poses_of(first, device), frames, mask=mask)
    assert (frames.numpy()[[1, 3]] == 0).all()
    camera.observe(poses_of(second, device), frames)
    after = frames.numpy()
    assert (after[[1, 3], ..., 0] == after[[1, 3], ..., 1]).all(), "their first frame fills both"
    assert (after[[0, 2], ..., 0] != after[[0, 2], ..., 1]).any()


@pytest.mark.slow
def test_cars_that_drive_on_a_device_see_what_those_of_the_processor_see():
    """Frames and final frames of the environments, with episodes that end at different steps."""
    torch = pytest.importorskip("torch")
    from racer.envs import RacerVectorEnv
    from racer.gpu.gpu_env import GpuVectorEnv

    config: Any = {
        "sensor": {"kind": "camera", "stack": 3, **SMALL},
        "track": "oval",
        "race": {"start": "round_robin", "direction": "alternate"},
        "reward": None,
    }
    n = 8
    device, host = GpuVectorEnv(n, "cpu", **config), RacerVectorEnv(n, engine="twin", **config)
    got, (expected, _) = device.reset(seed=0), host.reset(seed=0)
    actions = np.stack([np.linspace(-1.0, 1.0, n), np.full(n, 0.5)], axis=1).astype(np.float32)
    ended = 0
    for _ in range(30):
        assert share_alike(expected, got.numpy()) >= LEAST_SHARE
        step = device.step(torch.from_numpy(actions))
        got = step.observations
        expected, _, _, _, info = host.step(actions)
        for car in np.flatnonzero(info.get("_final_obs", np.zeros(0))):
            ended += 1
            final = step.final_observations.numpy()[car]
            assert share_alike(info["final_obs"][car], final) >= LEAST_SHARE
    assert ended > 2
    host.close()


def test_torch_sees_the_frames_without_a_copy():
    torch = pytest.importorskip("torch")
    warp, device, track = load_warp(), choose_device("cpu"), load_track("oval")
    camera = GpuCamera(CameraConfig(**SMALL), SPEC, [track], 2, device)
    frames = new_frames(camera, 2, device)
    seen = warp.to_torch(frames)
    assert seen.dtype == torch.uint8
    camera.observe(poses_of(drives(track, 2), device), frames)
    assert seen.float().std() > 10.0
    assert (seen.numpy() == frames.numpy()).all()


def test_a_broken_pose_sees_no_texel_that_is_not_there():
    device, track = choose_device("cpu"), load_track("oval")
    body = drives(track, 6)
    body[0, :3], body[1, 2], body[2, 3:7] = np.nan, np.inf, 0.0
    body[3, :2], body[4, 3:7], body[5, 2] = 1e30, 1e20, -1e30
    camera = GpuCamera(CameraConfig(**SMALL), SPEC, [track], 6, device, walls=True)
    frames = new_frames(camera, 6, device)
    camera.observe(poses_of(body, device), frames)
    camera.observe(poses_of(drives(track, 6), device), frames)
    expected, _ = both(CameraConfig(**SMALL), track, drives(track, 6), walls=True)
    assert share_alike(expected, frames.numpy()) >= LEAST_SHARE


def test_the_memory_of_a_car_is_that_of_its_arrays():
    device, track = choose_device("cpu"), load_track("oval")
    pixels = 160 * 120
    plain = GpuCamera(CameraConfig(), SPEC, [track], 2, device)
    stacked = GpuCamera(CameraConfig(stack=4), SPEC, [track], 2, device)
    walled = GpuCamera(CameraConfig(), SPEC, [track], 2, device, walls=True)
    assert plain.bytes_per_car < 1000
    assert stacked.bytes_per_car == plain.bytes_per_car + 4 * pixels
    assert walled.bytes_per_car == plain.bytes_per_car + 8 * pixels
    assert plain.texture_bytes == ground_texture(track).grey.texels.nbytes


def test_a_camera_that_looks_up_sees_the_sky_alone():
    device, track = choose_device("cpu"), load_track("oval")
    camera = GpuCamera(CameraConfig(pitch_deg=-45, **SMALL), SPEC, [track], 1, device)
    frames = new_frames(camera, 1, device)
    body = np.zeros((1, 13))
    body[0, 2], body[0, 6] = SPEC.mass_height, 1.0
    camera.observe(poses_of(body, device), frames)
    assert (frames.numpy() == luma(np.array(SKY_COLOUR))).all()


def test_the_ground_compiles_for_a_gpu_that_is_not_here(tmp_path):
    load_warp()
    from racer.gpu import camera_ground_kernels

    made = load_warp().compile_aot_module(
        camera_ground_kernels, arch=90, module_dir=tmp_path, use_ptx=True
    )
    text = "".join(path.read_text() for path in made if path.suffix == ".ptx")
    assert ".target sm_90" in text
    assert ".entry draw_grey_ground" in text
    assert ".entry draw_coloured_ground" in text


@pytest.mark.gpu
def test_a_gpu_sees_what_the_processor_sees(subtests):
    track = load_track("hairpin")
    for config in (CameraConfig(stack=4), CameraConfig(colour="rgb"), StereoConfig(**SMALL)):
        for randomisation in (None, MOUNTS, TINTS, EFFECTS):
            with subtests.test(config=config, randomisation=randomisation):
                body = drives(track, 256)
                expected, got = both(config, track, body, True, randomisation, "cuda")
                assert share_alike(expected, got) >= LEAST_SHARE
