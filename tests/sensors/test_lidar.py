"""The lidar against PyBullet's rays, closed forms, and what its noise may be."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from racer.car.spec import deepracer
from racer.randomisation import Draws, Randomisation
from racer.sensors import empty_road_input, make_sensor
from racer.sensors.config import DiscretizedSectorLidarConfig, LidarConfig, SectorLidarConfig
from racer.track import Track, load_track
from racer.world import WALL_HEIGHT_M, CarState

SPEC = deepracer()
TRACK = load_track("bowtie")
PLAIN: Any = {"noise": 0.0, "clip": 12.0, "near": 0.0}
HEIGHT = 0.185
RINGS = (TRACK.left, TRACK.right)
FORWARD = 0.029


def scene(xy, yaw, boxes=None):
    """Cars at places (n, 2) or (2,), each with the same boxes; all stand level."""
    xy = np.atleast_2d(xy)
    n, yaw = len(xy), np.asarray(yaw)
    body = np.zeros((n, 13))
    body[:, :2], body[:, 2] = xy, SPEC.mass_height
    body[:, 5], body[:, 6] = np.sin(yaw / 2), np.cos(yaw / 2)
    around = empty_road_input(
        CarState.of(body, np.zeros(n), np.zeros((n, 2))), TRACK.locate(body[:, :2])
    )
    if boxes is None:
        return around
    many = np.tile(boxes, (n, 1, 1))
    return around._replace(boxes=many, colours=np.zeros((*many.shape[:2], 3), dtype=np.uint8))


def scans(config, around, track=TRACK, walls=True, draws=None, frames=1):
    """Each car's observation in each of the frames, (frames, n, ...)."""
    n = len(around.is_reversed)
    sensor = make_sensor(config, SPEC, track, n, walls)
    if draws is not None:
        sensor.start(np.arange(n), draws)
    out = np.zeros((frames, n, *sensor.space.shape), dtype=np.float32)
    for frame in out:
        sensor.observe(around, np.arange(n), frame)
    assert np.isfinite(out).all()
    return out


def box(x, y, yaw=0.0, half=(0.2, 0.15, 0.15), z=0.15):
    return np.array([x, y, z, 0, 0, np.sin(yaw / 2), np.cos(yaw / 2), *half])


def square(half):
    """A ring of straight walls around a square of twice that half side, within a larger one."""
    corners = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    ring = np.concatenate(
        [np.linspace(a, b, 9)[:-1] for a, b in zip(corners, corners[[1, 2, 3, 0]])]
    )
    return Track("square", "", 1.5 * half * ring, half * ring, 2 * half * ring)


@pytest.fixture(scope="module")
def bullet():
    """A client with the bowtie's walls and four boxes, and the boxes' rows."""
    import pybullet

    client = pybullet.connect(pybullet.DIRECT)
    for ring in RINGS:
        n = len(ring)
        vertices = [[*point, z] for point in ring.tolist() for z in (0.0, WALL_HEIGHT_M)]
        faces = []
        for i in range(n):
            a, b = 2 * i, 2 * ((i + 1) % n)
            for corners in ((a, b, b + 1), (a, b + 1, a + 1)):
                faces += [*corners, *corners[::-1]]
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_MESH,
            vertices=vertices,
            indices=faces,
            flags=pybullet.GEOM_FORCE_CONCAVE_TRIMESH,
            physicsClientId=client,
        )
        pybullet.createMultiBody(0, shape, physicsClientId=client)
    xy, heading = TRACK.at(np.array([1.0, 6.0, 11.0, 16.0]))
    rows = np.array([box(x, y, yaw + k) for k, ((x, y), yaw) in enumerate(zip(xy, heading))])
    for row in rows:
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=row[7:].tolist(), physicsClientId=client
        )
        pybullet.createMultiBody(
            0, shape, -1, row[:3].tolist(), row[3:7].tolist(), physicsClientId=client
        )
    yield client, rows
    pybullet.disconnect(client)


def somewhere(rows):
    """200 cars on the road, beside it and far away, and where their rays begin and point."""
    rng = np.random.default_rng(5)
    xy, heading = TRACK.at(rng.uniform(0, TRACK.length, 200))
    xy = xy + rng.normal(0, np.repeat([0.15, 1.0, 6.0], [140, 40, 20])[:, None], (200, 2))
    yaw = heading + rng.normal(0, 1, 200)
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    angles = yaw[:, None] + np.pi + np.deg2rad(np.linspace(-150, 150, 64))
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=2)
    return scene(xy, yaw, rows), np.repeat(xy + FORWARD * ahead, 64, axis=0), rays.reshape(-1, 2)


def cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def met(start, ray, boxes):
    """How far each ray (m, 2) goes until it meets any wall or any side of a box, one by one."""
    sides = [np.stack([ring, np.roll(ring, -1, axis=0)], axis=1) for ring in RINGS]
    for row in boxes:
        turn = 2 * np.arctan2(row[5], row[6])
        ahead = row[7] * np.array([np.cos(turn), np.sin(turn)])
        aside = row[8] * np.array([-np.sin(turn), np.cos(turn)])
        ring = row[:2] + np.array([ahead + aside, aside - ahead, -ahead - aside, ahead - aside])
        sides.append(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1))
    ends = np.concatenate(sides)
    from_start = ends[None, :, 0] - start[:, None]
    along = ends[:, 1] - ends[:, 0]
    rays = ray[:, None]
    turned = cross(rays, along)
    t, u = cross(from_start, along) / turned, cross(from_start, rays) / turned
    return np.where((t >= 0) & (u >= 0) & (u <= 1), t, 12.0).min(axis=1, initial=12.0)


def test_ranges_are_those_of_every_ray_with_every_wall_and_every_side_of_a_box(bullet):
    _, rows = bullet
    around, start, ray = somewhere(rows)
    ours = scans(LidarConfig(**PLAIN), around)[0].ravel()
    is_outside = ours > 0
    assert is_outside.mean() > 0.95, "only from within a box is the range 0"
    assert np.abs(ours - met(start, ray, rows))[is_outside].max() < 2e-6


@pytest.mark.parametrize(
    ("beams", "span", "yaw"),
    [(1, 10, 0), (2, 360, 0), (4, 360, 90), (91, 360, 180), (541, 270, -60)],
)
def test_every_fan_finds_the_nearest_wall(beams, span, yaw):
    """Cars near a wall, on a corner of it and far away; some look along the axes."""
    rng = np.random.default_rng(6)
    xy = TRACK.left[rng.integers(len(TRACK.left), size=60)]
    xy += rng.normal(0, np.repeat([0.0, 1e-3, 1.0], 20)[:, None], xy.shape)
    heading = rng.uniform(-np.pi, np.pi, 60)
    heading[::3] = np.pi / 2 * rng.integers(-2, 3, 20)
    config = LidarConfig(**PLAIN, beams=beams, span_deg=span, yaw_deg=yaw, forward=0.0)
    got = scans(config, scene(xy, heading))[0]
    fan = yaw + (np.linspace(-span / 2, span / 2, beams) if beams > 1 else np.array([-span / 2]))
    angles = heading[:, None] + np.deg2rad(fan)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(-1, 2)
    wanted = met(np.repeat(xy, beams, axis=0), rays, []).reshape(60, beams)
    # On the wall itself both are 0 or what is behind it, as the last bit of the place has it.
    is_clear = np.abs(got - wanted) < 1e-5
    assert is_clear[20:].mean() > 0.999
    assert (is_clear | (got < 1e-5) | (wanted < 1e-5)).all()


def test_ranges_are_those_of_pybullets_rays(bullet):
    """All within 0.1 mm but for 0.2 %: those that graze an edge, which PyBullet's boxes round off.

    Whatever PyBullet makes of those, it is hardly ever more than our range, and by under 1 mm.
    """
    import pybullet

    client, rows = bullet
    around, start, ray = somewhere(rows)
    ours = scans(LidarConfig(**PLAIN), around)[0].ravel()
    start = np.column_stack([start, np.full(len(start), HEIGHT)])
    end = start + 12.0 * np.column_stack([ray, np.zeros(len(ray))])
    parts = zip(np.array_split(start, 10), np.array_split(end, 10))
    hits = [hit for a, b in parts for hit in pybullet.rayTestBatch(a, b, physicsClientId=client)]
    theirs = 12.0 * np.array([hit[2] for hit in hits])
    error = (ours - theirs)[ours > 0]
    assert (ours < 11.9).mean() > 0.5
    assert (np.abs(error) < 1e-4).mean() >= 0.998
    assert error.min() > -1e-3


@given(
    st.floats(-0.9, 0.9),
    st.floats(-0.9, 0.9),
    st.floats(-np.pi, np.pi),
)
@settings(max_examples=60, deadline=None)
def test_in_a_square_room_every_beam_ends_on_its_wall(x, y, yaw):
    half = 1.0
    got = scans(LidarConfig(**PLAIN), scene((x, y), yaw), square(half))[0, 0]
    angles = yaw + np.pi + np.deg2rad(np.linspace(-150, 150, 64))
    ex, ey = x + FORWARD * np.cos(yaw), y + FORWARD * np.sin(yaw)
    dx, dy = np.cos(angles), np.sin(angles)
    with np.errstate(divide="ignore"):
        wanted = np.minimum((np.copysign(half, dx) - ex) / dx, (np.copysign(half, dy) - ey) / dy)
    assert np.abs(got - wanted).max() < 1e-5


@pytest.mark.parametrize("ring", RINGS, ids=["left", "right"])
def test_a_beam_at_the_joint_of_two_segments_does_not_slip_through(ring):
    """From one place to each point where a border goes on beyond the ray, and an ulp beside it."""
    config = LidarConfig(**PLAIN, beams=1, yaw_deg=0.5, forward=0.0, span_deg=1.0)
    place = np.array([0.1, 0.2])
    way = ring - place
    before, after = (cross(way, np.roll(way, k, axis=0)) for k in (1, -1))
    way = way[before * after < 0]
    aim = np.arctan2(way[:, 1], way[:, 0])[:, None] + np.arange(-8, 9) * 2.0**-52
    got = scans(config, scene(np.tile(place, (aim.size, 1)), aim.ravel()))[0, :, 0]
    assert len(way) > 150
    assert (got.reshape(aim.shape) <= np.hypot(*way.T)[:, None] + 1e-5).all()


def test_the_fan_has_its_gap_ahead_and_runs_counter_clockwise():
    """A box on the left is met by beams of the right half of a fan that looks backwards."""
    config = LidarConfig(**PLAIN)
    ahead = scans(config, scene((0, 0), 0, box(1, 0)[None]), walls=False)[0, 0]
    left = scans(config, scene((0, 0), 0, box(0, 1)[None]), walls=False)[0, 0]
    assert (ahead == 12.0).all()
    hit = np.flatnonzero(left < 12.0)
    assert hit.max() < 32
    angles = np.linspace(-150, 150, 64)[hit]
    assert angles.mean() == pytest.approx(-90.0, abs=3)
    assert left.min() == pytest.approx(0.85, abs=0.01)


@pytest.mark.parametrize(("height", "seen"), [(0.18, False), (0.19, True)])
def test_a_box_lower_than_the_lidar_is_not_seen(height, seen):
    low = box(-1, 0, half=(0.2, 0.2, height / 2), z=height / 2)[None]
    got = scans(LidarConfig(**PLAIN), scene((0, 0), 0, low), walls=False)[0, 0]
    assert (got < 12.0).any() == seen


def test_a_lidar_above_the_walls_does_not_see_them():
    config = LidarConfig(**PLAIN, up=WALL_HEIGHT_M + 0.01)
    assert (scans(config, scene(TRACK.at(1.0)[0], 0.0))[0] == 12.0).all()


def test_a_range_is_clipped_at_both_ends():
    rows = np.stack([box(-0.31, 0.0), box(0, 3.0)])
    got = scans(LidarConfig(noise=0.0), scene((0, 0), 0, rows), walls=False)[0, 0]
    assert got.min() == np.float32(0.15)
    assert got.max() == 1.0
    assert LidarConfig().space.contains(got)


def test_a_sector_is_one_where_something_is_nearer_than_half_a_metre():
    rows = np.stack([box(0, 0.6), box(0, -0.7)])
    got = scans(SectorLidarConfig(noise=0.0), scene((0, 0), 0, rows), walls=False)[0, 0]
    assert got.tolist() == [0, 1, 1, 0, 0, 0, 0, 0]


def test_a_sector_says_the_step_of_its_nearest_range(subtests):
    for distance, step in [(0.16, 0), (0.3, 1), (1.1, 4), (1.99, 7), (2.1, None)]:
        with subtests.test(distance=distance, step=step):
            config = DiscretizedSectorLidarConfig(noise=0.0, forward=0.0)
            rows = box(-distance - 0.2, 0)[None]
            got = scans(config, scene((0, 0), 0, rows), walls=False)[0, 0].reshape(8, 8)
            wanted = np.zeros(8)
            if step is not None:
                wanted[step] = 1
            nearest = got[3:5].max(axis=0)
            assert np.array_equal(nearest, wanted)


def noisy(sigma=0.01, **draw):
    """500 frames of two cars in a square room, less what they see without noise."""
    around = scene(np.zeros((2, 2)), 0.3)
    draws = Draws(Randomisation(**{k: (v, v) for k, v in draw.items()}), 2)
    draws.draw(np.arange(2), [np.random.default_rng(k) for k in (3, 4)])
    config = LidarConfig(clip=12.0, noise=sigma)
    clean = scans(LidarConfig(**PLAIN), around, square(1.0))
    return scans(config, around, square(1.0), draws=draws.rows, frames=500) - clean


def test_noise_is_normal_and_differs_between_frames_beams_and_cars():
    noise = noisy()
    assert abs(noise.mean()) < 2e-4
    assert noise.std() == pytest.approx(0.01, rel=0.01)
    assert (np.abs(noise) < 0.01).mean() == pytest.approx(0.6827, abs=0.005)
    flat = noise.reshape(500, -1)
    assert abs(np.corrcoef(flat[1:].ravel(), flat[:-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[..., 1:].ravel(), noise[..., :-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.02


def test_noise_is_the_same_for_the_same_seed_and_grows_with_the_draw():
    assert np.array_equal(noisy(), noisy())
    assert noisy(lidar_noise=3.0).std() == pytest.approx(0.03, rel=0.01)


def test_what_hits_nothing_has_no_noise():
    got = scans(LidarConfig(clip=12.0), scene((0, 0), 0), walls=False, frames=3)
    assert (got == 12.0).all()


def test_cutting_the_rays_at_the_clip_changes_no_reading():
    """A scan that looks only as far as the clip reads what one that looks further reads.

    Drawn noise lets a sensor look further than before, as far as its beams may be shortened.
    """
    around = scene(TRACK.at(np.linspace(0, 19, 40))[0], 0.5)
    for factor in (1.0, 8.0):
        draws = Draws(Randomisation(lidar_noise=(factor, factor)), 40)
        draws.draw(np.arange(40), [np.random.default_rng(k) for k in range(40)])
        near, far = (
            scans(LidarConfig(clip=clip), around, draws=draws.rows, frames=5)
            for clip in (1.0, 12.0)
        )
        np.testing.assert_allclose(near, np.minimum(far, 1.0), atol=1e-6)


def test_between_two_scans_the_last_one_is_held():
    config = LidarConfig(clip=12.0, rate=5.0)
    got = scans(config, scene((0, 0), 0), square(1.0), frames=9)
    changed = [not np.array_equal(a, b) for a, b in pairwise(got)]
    assert changed == [False, False, True, False, False, True, False, False]


@pytest.mark.parametrize(
    "wrong", [{"near": 2.0}, {"clip": 13.0}, {"beams": 63, "kind": "sector_lidar"}]
)
def test_a_lidar_that_cannot_be_is_refused(wrong):
    kind = SectorLidarConfig if "kind" in wrong else LidarConfig
    with pytest.raises(ValidationError, match=r"must hold|evenly"):
        kind(**wrong)
