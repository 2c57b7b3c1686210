"""Boxes and walls in a frame, against PyBullet's own renderer and against closed forms."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from racer.car.spec import deepracer
from racer.sensors import CameraConfig, empty_road_input, make_sensor
from racer.sensors.camera_ground import SKY_COLOUR
from racer.sensors.camera_objects import draw_objects, make_z_buffer, wall_segments
from racer.track import load_track
from racer.world import WALL_HEIGHT_M, CarState

SPEC = deepracer()
TRACK = load_track("bowtie")
WIDTH, HEIGHT, FOV = 160, 120, 1.13
FOCAL = WIDTH / 2 / np.tan(FOV / 2)
PURE = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]]) * 255
"""Colours that shading cannot mistake for one another; a wall's have a part of all three."""
LEVEL = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
"""Axes of a camera that looks along x."""


def objects(eye, axes, boxes, walls=False):
    """What each pixel sees: 0 nothing, 1 to 6 a box, 7 a wall, (HEIGHT, WIDTH)."""
    out = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    panels = wall_segments(TRACK if walls else None)
    colours = PURE[: len(boxes)].astype(np.uint8)
    one = (eye[None], axes[None], np.array([FOCAL]), boxes[None], colours[None])
    draw_objects(np.arange(1), *one, panels, make_z_buffer(HEIGHT, WIDTH), out[None], 0, 3)
    code = (out > 0) @ (1, 2, 4)
    known = {0: 0, 7: 7} | {int((PURE[k] > 0) @ (1, 2, 4)): k + 1 for k in range(6)}
    return np.vectorize(known.get)(code)


def box(x, y, z, half=(0.1, 0.1, 0.1), turn=(0.0, 0.0, 0.0, 1.0)):
    return np.array([x, y, z, *turn, *half])


def poses(count, seed):
    """Cameras over the road with roll and pitch, each with six boxes at random ahead of it."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        (x, y), heading = TRACK.at(rng.uniform(0, TRACK.length))
        turn = Rotation.from_euler(
            "ZYX", [heading + rng.normal(0, 0.3), rng.normal(0.2, 0.15), rng.normal(0, 0.15)]
        )
        axes = turn.apply([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
        eye = np.array([x, y, rng.uniform(0.1, 0.2)])
        ahead = np.array([np.cos(heading), np.sin(heading)])
        left = np.array([-ahead[1], ahead[0]])
        boxes = np.zeros((6, 10))
        far, aside = rng.uniform(0.5, 3.0, (2, 6, 1))
        boxes[:, :2] = eye[:2] + far * ahead + 0.25 * far * (aside - 1.75) * left
        boxes[:, 2] = rng.uniform(0.05, 0.25, 6)
        spin = Rotation.from_euler("ZYX", rng.normal(0, (1.5, 0.2, 0.2), (6, 3)))
        boxes[:, 3:7] = spin.as_quat()
        boxes[:, 7:] = rng.uniform(0.03, 0.25, (6, 3))
        yield eye, axes, boxes


def walls_mesh():
    """Both borders' walls for PyBullet: vertices, and triangles wound either way."""
    vertices, faces = [], []
    for ring in (TRACK.left, TRACK.right):
        n, base = len(ring), len(vertices)
        vertices += [(*point, z) for point in ring.tolist() for z in (0.0, WALL_HEIGHT_M)]
        for i in range(n):
            a, b = base + 2 * i, base + 2 * ((i + 1) % n)
            for tri in ((a, b, b + 1), (a, b + 1, a + 1)):
                faces += [*tri, *tri[::-1]]
    return vertices, faces


@pytest.fixture(scope="module")
def client():
    import pybullet

    client = pybullet.connect(pybullet.DIRECT)
    yield client
    pybullet.disconnect(client)


def tiny_objects(client, eye, axes, boxes, walls):
    """The same from PyBullet's segmentation mask.

    PyBullet samples a pixel at its lower left corner. Drawn twice as fine, every second corner is
    the centre of one of our pixels.
    """
    import pybullet

    pybullet.resetSimulation(physicsClientId=client)
    owner = {-1: 0}
    for k, row in enumerate(boxes):
        shape = pybullet.createVisualShape(
            pybullet.GEOM_BOX, halfExtents=row[7:].tolist(), physicsClientId=client
        )
        body = pybullet.createMultiBody(
            0, -1, shape, row[:3].tolist(), row[3:7].tolist(), physicsClientId=client
        )
        owner[body] = k + 1
    if walls:
        vertices, faces = walls_mesh()
        shape = pybullet.createVisualShape(
            pybullet.GEOM_MESH, vertices=vertices, indices=faces, physicsClientId=client
        )
        owner[pybullet.createMultiBody(0, -1, shape, physicsClientId=client)] = 7
    view = pybullet.computeViewMatrix(eye.tolist(), (eye + axes[0]).tolist(), (-axes[2]).tolist())
    aspect = WIDTH / HEIGHT
    vertical = np.rad2deg(2 * np.arctan(np.tan(FOV / 2) / aspect))
    *_, mask = pybullet.getCameraImage(
        2 * WIDTH,
        2 * HEIGHT,
        view,
        pybullet.computeProjectionMatrixFOV(vertical, aspect, 0.01, 300.0),
        renderer=pybullet.ER_TINY_RENDERER,
        physicsClientId=client,
    )
    return np.vectorize(owner.get)(np.reshape(mask, (2 * HEIGHT, 2 * WIDTH))[::2, 1::2])


@pytest.mark.parametrize("walls", [False, True])
def test_pybullets_renderer_sees_the_same_objects_in_the_same_pixels(client, walls):
    """The share of pixels in which both see the same box, wall or nothing, over 12 poses."""
    shares, hidden = [], 0
    for eye, axes, boxes in poses(12, seed=1):
        ours = objects(eye, axes, boxes, walls)
        shares.append((ours == tiny_objects(client, eye, axes, boxes, walls)).mean())
        alone = [objects(eye, axes, one[None]) > 0 for one in boxes]
        hidden += sum(int(((ours != k + 1) & seen).sum()) for k, seen in enumerate(alone))
    assert min(shares) >= 0.999
    assert hidden > 5000, "the boxes overlap"


def first_met(eye, axes, boxes):
    """The box that the ray through each pixel's centre meets first, by slabs."""
    column, row = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    slopes = np.stack([np.full_like(row, FOCAL), column - WIDTH / 2, row - HEIGHT / 2], axis=-1)
    nearest, met = np.full((HEIGHT, WIDTH), np.inf), np.zeros((HEIGHT, WIDTH), dtype=int)
    for k, one in enumerate(boxes):
        own = Rotation.from_quat(one[3:7]).as_matrix()
        start, ray = (eye - one[:3]) @ own, slopes @ axes @ own
        planes = np.stack([(-one[7:] - start) / ray, (one[7:] - start) / ray])
        enters, leaves = planes.min(axis=0).max(axis=-1), planes.max(axis=0).min(axis=-1)
        is_met = (enters <= leaves) & (enters > 0) & (enters < nearest)
        nearest[is_met], met[is_met] = enters[is_met], k + 1
    return met


def test_every_pixel_sees_the_box_that_the_ray_through_its_centre_meets_first():
    """But for a pixel whose ray grazes a box, where the last digit decides."""
    seen = [(objects(*pose), first_met(*pose)) for pose in poses(40, seed=2)]
    assert all((ours != exact).sum() <= 1 for ours, exact in seen)


def test_a_box_is_as_large_as_its_distance_says():
    seen = objects(np.zeros(3), LEVEL, box(1.1, 0, 0)[None])
    rows, columns = np.nonzero(seen)
    size = 2 * 0.1 * FOCAL / 1.0
    assert np.ptp(rows) + 1 == pytest.approx(size, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(size, abs=1)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(HEIGHT / 2, abs=0.5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_small_box_behind_a_large_one_is_not_seen(order):
    both = np.stack([box(1, 0, 0), box(2, 0, 0)])[list(order)]
    seen = objects(np.zeros(3), LEVEL, both)
    assert set(np.unique(seen)) == {0, order.index(0) + 1}


def test_two_boxes_that_pierce_each_other_are_seen_each_on_its_side_of_the_cut():
    """Turned by 45 degrees they meet in a vertical line in the middle of the frame."""
    half, c = (0.5, 0.005, 0.2), np.cos(np.pi / 8)
    turns = [(0, 0, side * np.sin(np.pi / 8), c) for side in (1, -1)]
    seen = objects(np.zeros(3), LEVEL, np.stack([box(1, 0, 0, half, turn) for turn in turns]))
    middle = seen[HEIGHT // 2]
    left, right = middle[60:78], middle[82:100]
    assert len(set(left)) == len(set(right)) == 1
    assert {*left, *right} == {1, 2}


def test_a_box_behind_the_camera_is_not_seen():
    assert not objects(np.zeros(3), LEVEL, box(-1, 0, 0)[None]).any()


def test_a_row_without_a_size_is_no_box():
    assert not objects(np.zeros(3), LEVEL, box(1, 0, 0, (0, 0, 0))[None]).any()


def test_a_box_that_reaches_past_the_camera_is_cut_where_it_passes():
    """A long beam along the view on the left: it fills the left edge and ends in the middle."""
    seen = objects(np.zeros(3), LEVEL, box(0, 0.3, 0, (5, 0.1, 0.1))[None])
    assert seen[HEIGHT // 2, 0] == 1
    assert seen[:, 80:].max() == 0
    last = np.flatnonzero(seen[HEIGHT // 2])[-1]
    assert last + 1 == pytest.approx(WIDTH / 2 - 0.2 / 5 * FOCAL, abs=1)


def across(s=1.0):
    """A camera on the centre line that looks left, at the wall on the border."""
    xy, heading = TRACK.at(s)
    left = np.array([-np.sin(heading), np.cos(heading)])
    axes = np.array([[*left, 0.0], [left[1], -left[0], 0.0], [0.0, 0.0, -1.0]])
    return np.array([*xy, 0.15]), axes, left


def test_a_wall_stands_on_the_border_and_is_as_high_as_it_is():
    eye, axes, _ = across()
    seen = objects(eye, axes, np.zeros((0, 10)), walls=True)[:, WIDTH // 2]
    distance = TRACK.width[TRACK.locate(eye[:2]).segment] / 2
    rows = np.flatnonzero(seen == 7)
    assert np.array_equal(rows, np.arange(rows[0], rows[-1] + 1))
    wanted = FOCAL * WALL_HEIGHT_M / distance
    assert len(rows) == pytest.approx(min(wanted, HEIGHT), abs=1)


@pytest.mark.parametrize(("beyond", "seen"), [(-0.2, True), (0.2, False)])
def test_a_box_behind_a_wall_is_not_seen(beyond, seen):
    eye, axes, left = across()
    half = TRACK.width[TRACK.locate(eye[:2]).segment] / 2
    x, y = eye[:2] + (half + beyond) * left
    there = objects(eye, axes, box(x, y, 0.1, (0.05, 0.05, 0.05))[None], walls=True)
    assert (there == 1).any() == seen


def test_a_wall_shows_its_two_colours_equally_often():
    panels = wall_segments(TRACK)
    length = np.hypot(*(panels.ends[:, 2:] - panels.ends[:, :2]).T)
    kinds, index = np.unique(panels.colours, axis=0, return_inverse=True)
    shares = np.bincount(index.ravel(), length) / length.sum()
    assert len(kinds) == 2
    assert shares == pytest.approx([0.5, 0.5])
    both = sum(
        np.hypot(*np.diff(np.vstack([r, r[:1]]), axis=0).T).sum() for r in (TRACK.left, TRACK.right)
    )
    assert length.sum() == pytest.approx(both)


def seen_by_car(colour, boxes, walls):
    """A car's whole frame, and which of its pixels `stand` draws on."""
    xy, heading = TRACK.at(2.0)
    body = np.zeros((1, 13))
    body[0, :7] = *xy, SPEC.mass_height, 0, 0, np.sin(heading / 2), np.cos(heading / 2)
    state = CarState.of(body, np.zeros(1), np.zeros((1, 2)))
    around = empty_road_input(state, TRACK.locate(body[:, :2]))
    around = around._replace(boxes=boxes[None], colours=PURE[None, : len(boxes)].astype(np.uint8))
    sensor = make_sensor(CameraConfig(colour=colour), SPEC, TRACK, 1, walls)
    out = np.zeros((1, *sensor.space.shape), dtype=np.uint8)
    sensor.observe(around, np.arange(1), out)
    turn = Rotation.from_quat(body[0, 3:7]) * Rotation.from_euler("Y", np.deg2rad(15))
    eye = body[0, :3] + Rotation.from_quat(body[0, 3:7]).apply([0.145, 0, 0.13 - SPEC.mass_height])
    return out[0], objects(eye, turn.apply(LEVEL), boxes, walls)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize("walls", [False, True])
def test_a_frame_with_solids_is_the_ground_s_wherever_none_is_seen(colour, walls):
    (x, y), _ = TRACK.at(3.0)
    boxes = box(x, y, 0.1)[None]
    frame, there = seen_by_car(colour, boxes, walls)
    bare, _ = seen_by_car(colour, np.zeros((0, 10)), False)
    assert (there > 0).sum() > 100
    assert np.array_equal(frame[there == 0], bare[there == 0])
    assert (frame[there > 0] != bare[there > 0]).any(axis=1).mean() > 0.95


def test_a_red_box_is_red_in_colour_and_dark_in_grey():
    (x, y), _ = TRACK.at(3.0)
    boxes = box(x, y, 0.1)[None]
    rgb, there = seen_by_car("rgb", boxes, False)
    grey, _ = seen_by_car("grey", boxes, False)
    red, green, blue = rgb[there == 1].T
    assert red.min() > 170
    assert green.max() == blue.max() == 0
    assert np.abs(grey[there == 1][:, 0] - 0.2989 * red).max() <= 1
    assert not (rgb[there == 1] == SKY_COLOUR).all(axis=1).any()
