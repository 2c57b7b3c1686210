"""The lidar on a device against the processor's: the same kernels on Warp's CPU target."""

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.gpu.lidar import GpuLidar
from racer.gpu.runtime import choose_device, load_warp
from racer.randomisation import Randomisation
from racer.sensors import (
    DiscretizedSectorLidarConfig,
    LidarConfig,
    SectorLidarConfig,
    make_sensor,
)
from racer.track import Track, load_track
from tests.helpers.device_sensors import around, drawn, drives, on_device, poses_of, start

pytestmark = pytest.mark.needs("warp")

SPEC = deepracer()
TOLERANCE_M = 1e-6
"""The largest difference of two ranges: they are computed in float64 and given in float32, whose
steps are 5e-7 m at 4 to 8 m and 1e-6 m at 8 to 16 m."""
FAR_CLIP = LidarConfig(clip=12.0, near=0.0, noise=0.0)
KINDS = (
    LidarConfig(),
    LidarConfig(beams=33, span_deg=360.0, yaw_deg=20.0, clip=7.0, far=8.0, near=0.0, noise=0.3),
    LidarConfig(beams=1, span_deg=10.0, rate=4.0, up=0.29),
    SectorLidarConfig(noise=0.1),
    DiscretizedSectorLidarConfig(values=5, sectors=16),
)


def scans(config, tracks, bodies, randomisation=None, walls=True, device="cpu", line=None):
    """What the processor's lidar and the device's scan at each of some body rows."""
    n, device, warp = len(bodies[0]), choose_device(device), load_warp()
    sensor = make_sensor(config, SPEC, tracks[0], n, walls)
    options = {} if randomisation is None else {"randomisation": randomisation}
    lidar = GpuLidar(config, SPEC, tracks, n, device, walls, **options)
    assert lidar.space == sensor.space
    rows = drawn(randomisation or Randomisation(), n)
    sensor.start(np.arange(n), rows)
    start(lidar, rows, device)
    expected = np.zeros((len(bodies), n, *sensor.space.shape), dtype=np.float32)
    got = np.zeros_like(expected)
    for k, body in enumerate(bodies):
        sensor.observe(around(body), np.arange(n), expected[k])
        out = warp.zeros((n, *lidar.space.shape), dtype=warp.float32, device=device)
        lidar.observe(poses_of(body, device), out, line)
        got[k] = out.numpy()
    return expected, got


def agree(expected, got):
    """Whether ranges are alike to the tolerance."""
    return np.abs(expected.astype(np.float64) - got).max() < TOLERANCE_M


def test_a_device_scans_what_the_processor_scans(subtests):
    for name in ("oval", "bowtie"):
        track = load_track(name)
        bodies = [drives(track, 32, seed) for seed in range(3)]
        for config in KINDS:
            with subtests.test(track=name, config=config):
                expected, got = scans(config, [track], bodies)
                assert len(np.unique(expected)) > 1
                assert agree(expected, got)


@pytest.mark.slow
def test_a_device_scans_what_the_processor_scans_on_every_road(subtests):
    for name in ("comb", "cove", "fork", "serpent", "speedway", "zigzag"):
        track = load_track(name)
        bodies = [drives(track, 400, seed) for seed in range(4)]
        for config in (*KINDS, FAR_CLIP):
            with subtests.test(track=name, config=config):
                expected, got = scans(config, [track], bodies)
                assert agree(expected, got)


def test_noise_drops_stacks_and_rates_are_those_of_the_processor(subtests):
    track = load_track("oval")
    bodies = [drives(track, 24, seed) for seed in range(6)]
    drawn_noise = Randomisation(lidar_noise=(0.0, 20.0), dropped_frames=(0.0, 0.8))
    for config in (
        LidarConfig(stack=3, rate=10.0),
        SectorLidarConfig(stack=2),
        DiscretizedSectorLidarConfig(rate=7.0),
    ):
        with subtests.test(kind=config.kind):
            expected, got = scans(config, [track], bodies, drawn_noise)
            assert (expected[0] != expected[-1]).any()
            assert agree(expected, got)


def test_noise_has_the_deviation_of_the_config():
    track = load_track("oval")
    body = np.tile(drives(track, 6)[4:5], (500, 1))
    _, quiet = scans(LidarConfig(noise=0.0, clip=3.0, near=0.0), [track], [body])
    _, noisy = scans(LidarConfig(noise=0.05, clip=3.0, near=0.0), [track], [body])
    is_met = quiet[0, 0] < 2.5
    assert is_met.sum() > 8
    assert (noisy - quiet)[0][:, is_met].std() == pytest.approx(0.05, rel=0.1)


def test_a_lidar_in_a_square_measures_the_distance_of_its_walls():
    corners = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    track = Track("square", "", 1.5 * corners, corners, 2 * corners)
    body = np.zeros((1, 13))
    body[0, :3] = 0.3 - 0.029 - (SPEC.to_front_axle - SPEC.to_rear_axle) / 2, 0.2, SPEC.mass_height
    body[0, 6] = 1.0
    config = LidarConfig(beams=4, span_deg=270, yaw_deg=135, clip=12, near=0, noise=0)
    _, got = scans(config, [track], [body])
    assert got[0, 0] == pytest.approx([0.7, 0.8, 1.3, 1.2], abs=TOLERANCE_M)
    body[0, 2] = 0.3
    assert (scans(config, [track], [body])[1] == 12.0).all(), "it looks over the walls"


def test_without_walls_nothing_is_met():
    track = load_track("oval")
    expected, got = scans(FAR_CLIP, [track], [drives(track, 8)], walls=False)
    assert (got == 12.0).all()
    assert agree(expected, got)


def test_each_car_meets_the_walls_of_its_line():
    warp, device = load_warp(), choose_device("cpu")
    tracks = [load_track(name) for name in ("bowtie", "oval")]
    body = drives(tracks[1], 8)
    line = on_device([2, 3] * 4, warp.int32, device)
    _, got = scans(FAR_CLIP, tracks, [body], line=line)
    expected, _ = scans(FAR_CLIP, [tracks[1]], [body])
    assert agree(expected, got)


def test_cars_out_of_the_mask_keep_their_rows_and_their_scans():
    warp, device, track = load_warp(), choose_device("cpu"), load_track("oval")
    lidar = GpuLidar(LidarConfig(stack=2, noise=0.0), SPEC, [track], 4, device, walls=True)
    out = warp.zeros((4, *lidar.space.shape), dtype=warp.float32, device=device)
    mask = on_device([1, 0, 1, 0], warp.int32, device)
    lidar.observe(poses_of(drives(track, 4, seed=1), device), out, mask=mask)
    assert (out.numpy()[[1, 3]] == 0).all()
    lidar.observe(poses_of(drives(track, 4, seed=2), device), out)
    older, newer = np.split(out.numpy(), 2, axis=1)
    assert (older[[1, 3]] == newer[[1, 3]]).all(), "their first scan fills both"
    assert (older[[0, 2]] != newer[[0, 2]]).any()


def test_a_broken_pose_does_not_harm_the_next_scan():
    device, warp, track = choose_device("cpu"), load_warp(), load_track("oval")
    bad, good = drives(track, 5), drives(track, 5, seed=3)
    bad[0, :3], bad[1, 2], bad[2, 3:7], bad[3, :2], bad[4, 3:7] = np.nan, np.inf, 0.0, 1e30, 1e20
    lidar = GpuLidar(LidarConfig(noise=0.0), SPEC, [track], 5, device, walls=True)
    out = warp.zeros((5, *lidar.space.shape), dtype=warp.float32, device=device)
    lidar.observe(poses_of(bad, device), out)
    lidar.observe(poses_of(good, device), out)
    expected, _ = scans(LidarConfig(noise=0.0), [track], [good])
    assert agree(expected[0], out.numpy())


def test_the_memory_of_a_car_grows_by_its_stack():
    device, track = choose_device("cpu"), load_track("oval")
    one, four = (
        GpuLidar(LidarConfig(stack=stack), SPEC, [track], 2, device, walls=True) for stack in (1, 4)
    )
    assert one.bytes_per_car < 1000 + 64 * 8
    assert four.bytes_per_car == one.bytes_per_car + 3 * 64 * 4


@pytest.mark.gpu
def test_a_gpu_scans_what_the_processor_scans(subtests):
    track = load_track("hairpin")
    bodies = [drives(track, 256, seed) for seed in range(3)]
    for config in KINDS:
        with subtests.test(config=config):
            expected, got = scans(config, [track], bodies, device="cuda")
            assert agree(expected, got)
