"""The bound on a car's free way is never too long, and long enough to be of use."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy.spatial.transform import Rotation

from racer.car.spec import deepracer
from racer.track import load_track
from racer.world import World
from racer.world.clearance import SEGMENT_RANGE_M, free_distance

SPEC = deepracer()
LEVEL = (0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def scene():
    """A track, and the solids of a car between its walls, with one box."""
    track = load_track("bowtie")
    world = World(SPEC, 1, walls=[[track.left, track.right]], boxes=1, box_size=(0.4, 0.3, 0.25))
    yield track, world._solids
    world.close()


def body_outline(x: float, y: float, yaw: float) -> shapely.Polygon:
    """The car's body, seen from above."""
    half = np.array([SPEC.body_length, SPEC.body_width]) / 2
    corners = half * [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    cos, sin = np.cos(yaw), np.sin(yaw)
    return shapely.Polygon(corners @ [[cos, sin], [-sin, cos]] + [x, y])


def test_a_car_has_at_least_as_far_to_the_walls_and_boxes_as_the_bound_says(scene):
    track, solids = scene
    rng = np.random.default_rng(0)
    xy, heading = track.at(rng.uniform(0.0, track.length, 400))
    xy = xy + rng.normal(0.0, 0.3, xy.shape)
    yaw = heading + rng.uniform(-3.0, 3.0, 400)
    walls = shapely.union_all([shapely.LinearRing(side) for side in (track.left, track.right)])
    useful = 0
    for (x, y), turn in zip(xy, yaw):
        box_x, box_y, change = (
            x + rng.normal(0.0, 1.0),
            y + rng.normal(0.0, 1.0),
            rng.normal(0, 0.1),
        )
        box = shapely.box(-0.2, -0.15, 0.2, 0.15)
        box = shapely.affinity.rotate(box, rng.uniform(0.0, 90.0))
        share = rng.uniform()
        here = solids._replace(
            boxes=np.array([[[box_x, box_y]]]), box_change=np.array([[[change, 0.0]]])
        )
        box = shapely.affinity.translate(box, box_x + share * change, box_y)
        outline = body_outline(x, y, turn)
        true = min(outline.distance(walls), outline.distance(box))
        quaternion = (0.0, 0.0, np.sin(turn / 2), np.cos(turn / 2))
        bound = free_distance(here, 0, (x, y, SPEC.mass_height), quaternion, share)
        assert bound <= true - here.margin + 1e-9
        useful += bound > 0.0
    assert useful > 100


def test_the_bound_is_exact_beside_a_wall_and_loses_little_further_off(scene):
    track, solids = scene
    walls = shapely.union_all([shapely.LinearRing(side) for side in (track.left, track.right)])
    away = solids._replace(boxes=np.full((1, 1, 2), 50.0))
    rng = np.random.default_rng(1)
    exact = 0
    for s in np.linspace(0.0, track.length, 200, endpoint=False):
        (x, y), yaw = (values[0] for values in track.at(np.array([s])))
        aside = rng.uniform(0.15, 0.32)
        x, y, yaw = x - aside * np.sin(yaw), y + aside * np.cos(yaw), yaw + rng.uniform(-0.4, 0.4)
        quaternion = (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
        true = body_outline(x, y, yaw).distance(walls)
        bound = free_distance(away, 0, (x, y, SPEC.mass_height), quaternion, 1.0)
        assert bound <= true - solids.margin + 1e-9
        assert bound > true - solids.margin - 0.09
        if true <= solids.margin:
            assert bound == pytest.approx(true - solids.margin, abs=1e-9)
            exact += 1
    assert exact > 10


def test_a_tilted_car_is_no_further_from_a_wall_than_its_corners(scene):
    track, solids = scene
    walls = shapely.union_all([shapely.LinearRing(side) for side in (track.left, track.right)])
    away = solids._replace(boxes=np.full((1, 1, 2), 50.0))
    half = np.array([SPEC.body_length, SPEC.body_width, SPEC.body_height]) / 2
    corners = half * np.array([(i, j, k) for i in (1, -1) for j in (1, -1) for k in (1, -1)])
    rng = np.random.default_rng(2)
    for s in np.linspace(0.0, track.length, 200, endpoint=False):
        (x, y), yaw = (values[0] for values in track.at(np.array([s])))
        aside = rng.uniform(0.2, 0.33)
        x, y = x - aside * np.sin(yaw), y + aside * np.cos(yaw)
        tilt = rng.uniform(-0.6, 0.6, 2)
        turn = Rotation.from_euler("ZYX", [yaw, *tilt])
        seen = shapely.MultiPoint(turn.apply(corners)[:, :2] + np.array([x, y])).convex_hull
        quaternion = tuple(turn.as_quat().tolist())
        bound = free_distance(away, 0, (x, y, SPEC.mass_height), quaternion, 1.0)
        assert bound <= seen.distance(walls) - solids.margin + 1e-9


def test_a_car_far_off_the_walls_is_free_as_far_as_they_are_looked_for(scene):
    _, solids = scene
    far = solids._replace(boxes=np.full((1, 1, 2), 500.0))
    free = free_distance(far, 0, (90.0, 90.0, 0.05), LEVEL, 1.0)
    assert free == pytest.approx(SEGMENT_RANGE_M - solids.margin)
    assert free_distance(far, 0, (90.0, 90.0, 50.0), LEVEL, 1.0) > 40.0
