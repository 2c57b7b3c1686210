# pyright: reportInvalidTypeForm=false, reportIndexIssue=false, reportGeneralTypeIssues=false
"""Places on lines, found on Warp's processor target, are those of `racer.track` and `Roads`."""

import numpy as np
import pytest
import warp as wp

from racer.gpu import track_kernels
from racer.gpu.runtime import choose_device
from racer.gpu.track_kernels import LineTables
from racer.race.roads import Road, Roads
from racer.track import load_track
from racer.track.nearest_point import nearest_near

N = 400


@wp.kernel
def locate(
    lines: LineTables,
    line: wp.array(dtype=wp.int32),
    xy: wp.array2d(dtype=wp.float64),
    near: wp.array(dtype=wp.int32),
    s: wp.array(dtype=wp.float64),
    lane: wp.array(dtype=wp.float64),
    out: wp.array2d(dtype=wp.float64),
):
    i = wp.tid()
    x = xy[i, 0]
    y = xy[i, 1]
    whole = track_kernels.place_on_line(lines, line[i], x, y)
    part = track_kernels.place_near(lines, line[i], x, y, near[i], wp.float64(1.0))
    pose = track_kernels.lane_pose(lines, line[i], s[i], lane[i])
    out[i, 0] = whole.s
    out[i, 1] = whole.d
    out[i, 2] = wp.float64(whole.segment)
    out[i, 3] = part.s
    out[i, 4] = part.d
    out[i, 5] = wp.float64(part.segment)
    out[i, 6] = pose[0]
    out[i, 7] = pose[1]
    out[i, 8] = pose[2]
    out[i, 9] = wp.float64(track_kernels.is_on_road(lines, line[i], x, y))


wp.set_module_options({"enable_backward": False})


@pytest.fixture(scope="module")
def located():
    """Random points and stretches on the lines of two tracks, and what the kernels say of them."""
    roads = Roads([load_track("hairpin"), load_track("oval")])
    rng, device = np.random.default_rng(0), choose_device("cpu")
    line = rng.integers(0, 4, N)
    s, lane = rng.uniform(-30, 60, N), rng.uniform(-2, 2, N)
    s[:8], lane[:8] = [0.0, -0.0, -1e-18, *roads.length[[0, 1]], 1e-18, *-roads.length[[0, 1]]], 0.0
    line[:8] = [0, 1, 2, 0, 1, 3, 0, 1]
    _, xy, _ = roads.on_lane(Road(line), s, lane)
    near = roads.locate(Road(line), xy).segment
    near = (near + rng.integers(-30, 30, N)) % np.array([len(roads.lines[k].centre) for k in line])
    xy = xy + rng.normal(size=xy.shape) * rng.choice([0.0, 0.2, 3.0], (N, 1))
    out = wp.zeros((N, 10), dtype=wp.float64, device=device)
    told = [
        track_kernels.device_lines(roads, device),
        wp.array(line.astype(np.int32), device=device),
        wp.array(xy, device=device),
        wp.array(near.astype(np.int32), device=device),
        wp.array(s, device=device),
        wp.array(lane, device=device),
        out,
    ]
    wp.launch(locate, N, told, device=device)
    return roads, line, xy, near, s, lane, out.numpy()


def test_a_place_on_a_whole_line_is_that_of_the_track(located):
    roads, line, xy, _, _, _, found = located
    place = roads.locate(Road(line), xy)
    np.testing.assert_allclose(found[:, :2], np.stack([place.s, place.d], 1), atol=1e-12)
    assert np.array_equal(found[:, 2], place.segment)


def test_a_place_near_a_segment_is_that_of_the_numba_code(located):
    roads, line, xy, near, _, _, found = located
    for k in range(N):
        of = roads.lines[line[k]]
        wanted = nearest_near(of.centre, of.s, xy[k, 0], xy[k, 1], near[k], 1.0)
        np.testing.assert_allclose(found[k, 3:6], wanted, atol=1e-12)


def test_a_point_of_a_lane_is_that_of_the_roads(located):
    roads, line, _, _, s, lane, found = located
    _, xy, yaw = roads.on_lane(Road(line), s, lane)
    np.testing.assert_allclose(found[:, 6:8], xy, atol=1e-12)
    np.testing.assert_allclose(found[:, 8], yaw, atol=1e-12)


def test_the_road_is_where_the_track_has_it(located):
    roads, line, xy, _, _, _, found = located
    on_road = [bool(roads.lines[k].on_road(point)) for k, point in zip(line, xy)]
    assert np.array_equal(found[:, 9] == 1.0, on_road)
    assert 0 < sum(on_road) < N
