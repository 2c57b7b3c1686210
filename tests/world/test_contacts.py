"""Walls, boxes and other cars: what a car hits stops it, and nothing gives it energy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from racer.car.spec import GRAVITY, deepracer, f1tenth
from racer.track import load_track
from racer.world import CONTROL_RATE_HZ, CarState, Contact, World
from tests.helpers.closing import closing
from tests.helpers.motion import set_motion

SPEC = deepracer()
COASTING = replace(SPEC, drive_acceleration=0.0)
BOX = (0.4, 0.3, 0.25)
SQUARE = np.array([(-3.0, -3.0), (3.0, -3.0), (3.0, 3.0), (-3.0, 3.0)])


@pytest.fixture
def build():
    yield from closing(World)


def launch(world: World, xy, yaw, speed) -> None:
    """Put every car on the road with a speed along its heading."""
    xy, yaw, speed = np.asarray(xy, dtype=float), np.asarray(yaw, dtype=float), np.asarray(speed)
    world.reset(np.arange(world.n), xy, yaw)
    for car, (heading, fast) in enumerate(zip(yaw, speed)):
        set_motion(world, car, (fast * np.cos(heading), fast * np.sin(heading), 0.0))


def energy(state: CarState) -> np.ndarray:
    """Energy of motion and of height over the road [J], (n,); the struts hold the rest."""
    x, y, z, w = state.body[:, 3:7].T
    axes = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
            [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
            [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    spin = np.einsum("kjn,nj->nk", axes, state.angular_velocity)
    inertia = np.array([SPEC.inertia_x, SPEC.inertia_y, SPEC.inertia_z])
    moving = 0.5 * SPEC.mass * (state.velocity**2).sum(axis=1) + 0.5 * (spin**2 @ inertia)
    return moving + SPEC.mass * GRAVITY * (state.body[:, 2] - SPEC.mass_height)


def corners(state: CarState) -> np.ndarray:
    """Corners of the body boxes seen from above [m], (n, 4, 2)."""
    cos, sin = np.cos(state.yaw)[:, None], np.sin(state.yaw)[:, None]
    x, y = (
        SPEC.body_length / 2 * np.array([1, 1, -1, -1]),
        SPEC.body_width / 2 * np.array([1, -1, -1, 1]),
    )
    return state.xy[:, None] + np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1)


@pytest.mark.parametrize("speed", [1.0, 2.5, 4.0])
def test_a_car_that_hits_a_wall_stays_inside_stays_low_and_gains_no_energy(build, speed):
    angles = np.deg2rad([5.0, 15.0, 30.0, 45.0, 60.0, 75.0, 85.0, 90.0])
    world = build(COASTING, 8, walls=[[SQUARE]])
    launch(world, np.tile([0.0, 2.0], (8, 1)), angles, np.full(8, speed))
    start = before = energy(world.state)
    touched = np.zeros(8, dtype=int)
    for _ in range(4 * CONTROL_RATE_HZ):
        state = world.step(np.tile([0.0, speed], (8, 1)))
        touched |= world.contact
        assert (np.abs(corners(state)) < 3.03).all()
        assert (state.body[:, 2] < 2.5 * SPEC.mass_height).all()
        assert (state.up > 0.5).all()
        now = energy(state)
        assert (now < before + 0.06 + 0.02 * start).all()  # The struts give back that much.
        assert (now <= start).all()
        before = now
    assert (touched == Contact.WALL).any()
    assert set(touched) <= {0, Contact.WALL}


def test_a_car_meets_the_walls_of_its_own_track_and_drives_through_the_others(build):
    far, near, nearest = SQUARE, SQUARE * 0.7, SQUARE * 0.4
    world = build(SPEC, 3, walls=[[far], [near], [nearest]])
    for turn in range(4):
        own = (np.arange(3) + turn) % 3
        for car in range(3):
            world.set_walls(car, int(own[car]))
        launch(world, np.zeros((3, 2)), np.zeros(3), np.full(3, 2.5))
        reached = np.full(3, np.nan)
        for _ in range(2 * CONTROL_RATE_HZ):
            state = world.step(np.tile([0.0, 2.5], (3, 1)))
            first = (world.contact != 0) & np.isnan(reached)
            reached[first] = state.xy[first, 0] + SPEC.body_length / 2
        # A car is seen only after the control step in which it met its wall, and bounced.
        assert reached == pytest.approx(np.array([3.0, 2.1, 1.2])[own], abs=2.5 / CONTROL_RATE_HZ)


@pytest.mark.parametrize("n", [4, pytest.param(32, marks=pytest.mark.slow)])
def test_no_car_leaves_a_walled_track_however_it_is_driven(build, n):
    track = load_track("bowtie")
    world = build(SPEC, n, walls=[[track.left, track.right]])
    rng = np.random.default_rng(3)
    xy, yaw = track.at(rng.uniform(0.0, track.length, n))
    launch(world, xy, yaw + rng.uniform(-0.5, 0.5, n), rng.uniform(0.0, 4.0, n))
    touched, command = np.zeros(n, dtype=int), np.zeros((n, 2))
    for step in range(12 * CONTROL_RATE_HZ):
        if step % 8 == 0:
            command = rng.uniform((-0.52, 0.0), (0.52, 4.0), (n, 2))
        state = world.step(command)
        touched |= world.contact
        assert track.on_road(state.xy).all()
        assert (state.body[:, 2] < 0.25).all()
        assert (np.hypot(*state.velocity[:, :2].T) < 4.3).all()
    assert (touched == Contact.WALL).mean() > 0.9


def test_a_box_stops_the_car_it_belongs_to_and_no_other(build):
    world = build(SPEC, 2, boxes=1, box_size=BOX)
    world.place_boxes(np.arange(2), np.array([[[2.0, 0.0, 0.3]], [[9.0, 9.0, 0.0]]]))
    launch(world, np.zeros((2, 2)), np.zeros(2), np.full(2, 3.0))
    touched = np.zeros(2, dtype=int)
    for _ in range(CONTROL_RATE_HZ):
        world.step(np.tile([0.0, 3.0], (2, 1)))
        touched |= world.contact
    assert world.state.xy[0, 0] < 2.0 < 2.8 < world.state.xy[1, 0]
    assert touched.tolist() == [Contact.BOX, 0]


def test_a_box_that_drives_into_a_car_pushes_it_along(build):
    world = build(COASTING, 1, boxes=1, box_size=BOX)
    world.place_boxes(np.array([0]), np.array([[[-0.6, 0.0, 0.0]]]))
    launch(world, [(0.0, 0.0)], [0.0], [0.0])
    touched = 0
    for step in range(CONTROL_RATE_HZ):
        world.step(np.zeros((1, 2)), np.array([[[-0.6 + (step + 1) / CONTROL_RATE_HZ, 0.0, 0.0]]]))
        touched |= world.contact[0]
    gap = world.state.xy[0, 0] - SPEC.body_length / 2 - (0.4 + 0.2)
    assert touched == Contact.BOX
    assert gap > -0.06  # Bullet presses it out of the box over some substeps.
    assert world.boxes[0, 0, 0] == pytest.approx(0.4)


def test_cars_together_meet_and_cars_alone_do_not(build):
    gone = []
    for is_together in (True, False):
        world = build(COASTING, 2, is_together=is_together)
        launch(world, [(0.0, 0.0), (1.0, 0.0)], [0.0, 0.0], [3.0, 0.0])
        touched, before = np.zeros(2, dtype=int), energy(world.state).sum()
        for _ in range(CONTROL_RATE_HZ):
            world.step(np.tile([0.0, 4.0], (2, 1)))
            touched |= world.contact
            assert energy(world.state).sum() < 1.001 * before
        gone.append(world.state.xy[1, 0])
        assert touched.tolist() == ([Contact.CAR] * 2 if is_together else [0, 0])
    assert gone[0] > 1.3
    assert gone[1] == pytest.approx(1.0)


def test_a_lifted_car_is_neither_met_nor_seen_until_it_is_put_back(build):
    world = build(SPEC, 2, is_together=True)
    launch(world, [(0.0, 0.0), (1.0, 0.0)], [0.0, 0.0], [3.0, 0.0])
    world.hold(np.array([1]))
    assert world.boxes[0, 1, 7:].tolist() == [0.0, 0.0, 0.0]
    for _ in range(CONTROL_RATE_HZ):
        world.step(np.tile([0.0, 3.0], (2, 1)))
        assert world.contact.tolist() == [0, 0]
    assert world.state.xy[0, 0] > 2.0
    assert world.state.body[1, :3] == pytest.approx([1.0, 0.0, SPEC.mass_height])
    world.reset(np.array([1]), np.array([[5.0, 0.0]]), np.zeros(1))
    assert world.boxes[0, 1, 7:] == pytest.approx(
        [SPEC.body_length / 2, SPEC.body_width / 2, SPEC.shell_height / 2]
    )
    assert world.boxes[0, 1, :3] == pytest.approx([5.0, 0.0, SPEC.shell_height / 2])
    assert world.boxes[1, 1, 7:].tolist() == [0.0, 0.0, 0.0]


def trace(world: World, car: int) -> bytes:
    """Drive one car into its box and a wall by fixed commands; its states' bytes."""
    cars = np.array([car])
    world.place_boxes(cars, np.array([[[1.5, 0.1, 0.4]]]))
    world.reset(cars, np.zeros((1, 2)), np.zeros(1))
    rng = np.random.default_rng(5)
    boxes = world._box_pose.copy()
    seen, touched = [], 0
    for _ in range(150):
        command = np.tile(rng.uniform((-0.2, 2.0), (0.3, 4.0)), (world.n, 1))
        boxes[car, 0, 1] += 0.02
        seen.append(world.step(command, boxes).body[car].tobytes())
        touched |= world.contact[car]
    assert touched == Contact.WALL | Contact.BOX
    return b"".join(seen)


@pytest.mark.parametrize("spec", [deepracer(), f1tenth()], ids=lambda spec: spec.name)
def test_a_car_is_where_bullet_has_it_and_touches_what_bullet_says_through_a_crash(build, spec):
    from racer.world.pybullet_client import bullet

    track, n = load_track("bowtie"), 8
    world = build(spec, n, walls=[(track.left, track.right)], engine="bullet")
    pick = np.linspace(0, len(track.centre), n, endpoint=False).astype(int)
    world.reset(np.arange(n), track.centre[pick], track.heading[pick] + 0.4)
    client, touched = world._clients[0], 0
    for _ in range(2 * CONTROL_RATE_HZ):
        world.step(np.tile([0.0, spec.speed_limit], (n, 1)))
        for car, (_, seat) in world._seats.items():
            pose = bullet.getBasePositionAndOrientation(client.bodies[seat], client.id)
            assert np.concatenate(pose).tolist() == world._body[car, :7].tolist()
            # Of the last physics step; the flag is that of all in the control step.
            if any(where == seat for where, _ in client.contacts()):
                touched += 1
                assert world.contact[car] == Contact.WALL
    assert touched > 100


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 64])
def test_a_car_crashes_the_same_bits_among_others_as_alone(build, n):
    alone = build(SPEC, 1, walls=[[SQUARE]], boxes=1, box_size=BOX)
    many = build(SPEC, n, walls=[[SQUARE]], boxes=1, box_size=BOX)
    rng = np.random.default_rng(1)
    launch(many, rng.uniform(-2.0, 2.0, (n, 2)), rng.uniform(-3.0, 3.0, n), np.full(n, 2.0))
    many.place_boxes(np.arange(n), rng.uniform(-2.0, 2.0, (n, 1, 3)))
    first = trace(alone, 0)
    assert trace(many, n - 3) == first
    assert trace(many, 1) == first
    assert trace(alone, 0) == first


@pytest.mark.parametrize("is_together", [False, True])
@pytest.mark.parametrize("engine", ["auto", "bullet"])
def test_a_car_that_is_reset_out_of_a_crash_is_not_pushed_by_it(build, engine, is_together):
    # Bullet drops a contact at once if the body leaves the box around the mesh: so it is wide.
    ring = np.array([(-3.0, -3.0), (3.0, -3.0), (3.0, 3.0), (9.0, 3.0), (-3.0, 4.0)])
    world = build(SPEC, 2, walls=[[ring]], engine=engine, is_together=is_together)
    launch(world, [(2.5, 0.0), (-2.0, 0.0)], [0.0, 0.0], [1.0, 0.0])
    drive, stop = np.array([[0.0, 1.0], [0.0, 0.0]]), np.zeros((2, 2))
    while not world.contact[0]:
        world.step(drive)
    # Beyond the wall and straight ahead, where the points of the contact lie deep inside of it.
    xy = np.array([(4.5, world.state.xy[0, 1]), (-2.0, 0.0)])
    world.reset(np.arange(2), xy, np.zeros(2))
    state = world.state
    for _ in range(3):
        world.step(stop)
        assert not world.contact.any()
    assert np.abs(state.velocity).max() < 1e-6
    assert np.allclose(state.xy, xy, atol=1e-6)
