"""The car's forces against closed forms, through the real world and at the kernel itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pybullet
import pytest

from racer.car.forces import BODY, wrench
from racer.car.spec import GRAVITY, CarSpec, deepracer
from racer.world import CONTROL_RATE, SUBSTEPS, World

SPEC = deepracer()
PERIOD = 1.0 / CONTROL_RATE
DT = PERIOD / SUBSTEPS


def drive(world: World, steering, speed, seconds: float) -> np.ndarray:
    """Hold commands; return the body rows before and after each control step, (t + 1, n, 13)."""
    command = np.empty((world.n, 2))
    command[:, 0], command[:, 1] = steering, speed
    rows = [world.state.body.copy()]
    for _ in range(round(seconds * CONTROL_RATE)):
        rows.append(world.step(command).body.copy())
    return np.array(rows)


def fling(world: World, velocity, angular=(0.0, 0.0, 0.0), height: float | None = None) -> None:
    """Give car 0, level and heading along x, a velocity."""
    place = (0.0, 0.0, world.spec.mass_height if height is None else height)
    body, client = world._bodies[0], world._client
    pybullet.resetBasePositionAndOrientation(body, place, (0, 0, 0, 1), physicsClientId=client)
    pybullet.resetBaseVelocity(body, velocity, angular, physicsClientId=client)
    world._read()
    world._show()


def row(z: float = SPEC.mass_height, velocity=(0.0, 0.0, 0.0), angular=(0.0, 0.0, 0.0)):
    """A level body row that heads along x, (1, 13)."""
    return np.array([[0.0, 0.0, z, 0.0, 0.0, 0.0, 1.0, *velocity, *angular]])


def forces(body, steering=0.0, speed=0.0, spec: CarSpec = SPEC) -> tuple[np.ndarray, np.ndarray]:
    """Force and torque on body rows, with the wheels already turned to their command."""
    n = len(body)
    turned = np.full(n, float(steering))
    command = np.tile([float(steering), float(speed)], (n, 1))
    force, torque = np.empty((n, 3)), np.empty((n, 3))
    wrench(spec.parameters(n), body, turned, command, DT, force, torque)
    return force, torque


def yaw_of(rows: np.ndarray) -> np.ndarray:
    x, y, z, w = np.moveaxis(rows[..., 3:7], -1, 0)
    return np.arctan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z))


def strut_loads(body: np.ndarray, spec: CarSpec = SPEC) -> np.ndarray:
    """Load of the front and the rear axle at a settled pitch [N], (2,)."""
    x, y, z, w = body[3:7]
    pitch = np.arcsin(2 * (w * y - x * z))
    omega = 2 * np.pi * spec.suspension_frequency
    arms = np.array([spec.to_front_axle, -spec.to_rear_axle])
    strut = body[2] - arms * np.sin(pitch)
    share = 1 - np.abs(arms) / spec.wheelbase
    return spec.mass * share * (GRAVITY + omega**2 * (spec.mass_height - strut))


def skid_pad_peak(world: World, headings: np.ndarray, side: np.ndarray, speed: float):
    """Largest lateral acceleration of each car while its steering slowly goes to full lock."""
    n = world.n
    world.reset(np.arange(n), np.zeros((n, 2)), headings)
    drive(world, 0.0, speed, 3.0)
    peak = np.zeros(n)
    for part in np.linspace(0.0, 1.0, 8 * CONTROL_RATE):
        before, after = drive(world, side * part * SPEC.steering_limit, speed, PERIOD)[:, :, 7:9]
        mean, change = (before + after) / 2, (after - before) / PERIOD
        lateral = mean[:, 0] * change[:, 1] - mean[:, 1] * change[:, 0]
        peak = np.maximum(peak, side * lateral / np.hypot(*mean.T))
    return peak


def test_the_rear_axle_runs_on_the_kinematic_radius_at_low_speed(make_world):
    angles = np.deg2rad([2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0])
    angles = np.concatenate([angles, -angles])
    world = make_world(len(angles))
    drive(world, angles, 0.3, 4.0)
    rows = drive(world, angles, 0.3, 10.0)
    heading = yaw_of(rows)
    back = SPEC.to_rear_axle * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    rear = rows[..., :2] - back
    turned = np.unwrap(heading, axis=0)
    chord = np.hypot(*np.diff(rear, axis=0).T).T
    radius = chord.sum(axis=0) / (turned[-1] - turned[0])
    np.testing.assert_allclose(radius, SPEC.wheelbase / np.tan(angles), rtol=0.01)


HEADINGS = np.deg2rad(np.tile([0.0, 15.0, 30.0, 45.0, 60.0, 90.0, 135.0, 200.0], 2))
SIDES = np.repeat([1.0, -1.0], 8)


def test_grip_on_the_skid_pad_is_the_same_at_every_heading_and_to_both_sides(make_world):
    peak = skid_pad_peak(make_world(16), HEADINGS, SIDES, speed=3.0)
    assert np.ptp(peak) < 1e-6 * peak.mean()
    # Full lock is where this car's soft tyres end, before they slide altogether.
    assert 0.75 < peak.mean() / (SPEC.friction * GRAVITY) < 1.0


@pytest.mark.parametrize("friction", [0.5, 1.0489])
def test_stiff_tyres_corner_at_mu_g(make_world, friction):
    # Stiff tyres on a low car reach their grip at small angles, where nothing is lost to the
    # wheels' own angle and to the drive that holds the speed.
    stiff = replace(
        SPEC, friction=friction, stiffness_front=30.0, stiffness_rear=33.0, mass_height=0.01
    )
    peak = skid_pad_peak(make_world(16, stiff), HEADINGS, SIDES, speed=3.0)
    np.testing.assert_allclose(peak, friction * GRAVITY, rtol=0.02)
    assert np.ptp(peak) < 0.01 * peak.mean()


def test_a_left_turn_mirrors_a_right_turn(make_world):
    rng = np.random.default_rng(3)
    world, mirrored = make_world(1), make_world(1)
    for command in rng.uniform((-0.5, 0.5), (0.5, 4.0), (150, 1, 2)):
        world.step(command)
        mirrored.step(command * [-1.0, 1.0])
    signs = np.ones(BODY)
    signs[[1, 3, 5, 8, 10, 12]] = -1.0
    np.testing.assert_allclose(mirrored.state.body * signs, world.state.body, atol=1e-9)


def test_the_braking_distance_is_that_of_the_declared_brakes_and_drag(make_world):
    world = make_world(1)
    start = drive(world, 0.0, 3.0, 3.0)[-1, 0]
    end = drive(world, 0.0, 0.0, 4.0)[-1, 0]
    # Constant braking and quadratic drag down to the speed where the controller lets go, then
    # its exponential tail.
    flat = SPEC.brake_acceleration + SPEC.rolling_resistance * GRAVITY
    air = SPEC.air_drag / SPEC.mass
    v0, v1 = start[7], flat / SPEC.speed_gain
    distance = np.log((flat + air * v0**2) / (flat + air * v1**2)) / (2 * air)
    distance += v1 / SPEC.speed_gain
    assert end[0] - start[0] == pytest.approx(distance, rel=0.02)
    assert v0 == pytest.approx(3.0, rel=1e-3)


def test_brakes_beyond_the_grip_stop_the_car_at_mu_g(make_world):
    slippery = replace(SPEC, friction=0.5, rolling_resistance=0.0, air_drag=0.0)
    world = make_world(1, slippery)
    drive(world, 0.0, 3.0, 3.0)
    speed = drive(world, 0.0, 0.0, 0.4)[:, 0, 7]
    assert (speed[1] - speed[5]) / (4 * PERIOD) == pytest.approx(0.5 * GRAVITY, rel=0.01)


@pytest.mark.parametrize("speed", [4.0, 0.0], ids=["driving", "braking"])
def test_an_axle_gains_m_a_h_over_l_of_load(make_world, speed):
    world = make_world(1)
    drive(world, 0.0, 4.0 - speed, 3.0)
    before, after = drive(world, 0.0, speed, 0.4)[-2:, 0]
    acceleration = (after[7] - before[7]) / PERIOD
    front, rear = strut_loads(before)
    transfer = SPEC.mass * acceleration * before[2] / SPEC.wheelbase
    assert abs(transfer) > 1.0
    assert (rear - front) / 2 == pytest.approx(transfer, rel=0.02)
    assert front + rear == pytest.approx(SPEC.mass * GRAVITY, rel=0.01)


def test_a_coasting_car_slows_by_the_declared_drag_alone(make_world):
    idle = replace(SPEC, speed_gain=0.0, drive_acceleration=0.0)
    world = make_world(1, idle)
    fling(world, (3.0, 0.0, 0.0))
    speed = drive(world, 0.0, 0.0, 6.0)[-1, 0, 7]
    # dv/dt = -r - c v^2
    r, c = SPEC.rolling_resistance * GRAVITY, SPEC.air_drag / SPEC.mass
    root = np.sqrt(c / r)
    expected = np.tan(np.arctan(3.0 * root) - 6.0 * np.sqrt(r * c)) / root
    assert 3.0 - speed == pytest.approx(3.0 - expected, rel=0.01)


def test_a_car_without_drive_never_gains_energy(make_world):
    idle = replace(SPEC, speed_gain=0.0, drive_acceleration=0.0)
    for steering in (0.0, 0.4):
        world = make_world(1, idle)
        fling(world, (2.5, 1.5, 0.0), (0.0, 0.0, 6.0))
        rows = drive(world, steering, 0.0, 5.0)[:, 0]
        energy = 0.5 * SPEC.mass * (rows[:, 7] ** 2 + rows[:, 8] ** 2)
        energy += 0.5 * SPEC.inertia_z * rows[:, 12] ** 2
        assert np.diff(energy).max() <= 1e-3
        assert energy[-1] < 0.5 * energy[0]


def test_a_car_at_rest_does_not_creep(make_world):
    world = make_world(4)
    drive(world, [0.0, 0.0, 0.5, -0.5], [0.0, 2.0, 3.0, 3.0], 2.0)
    drive(world, [0.0, 0.5, 0.5, -0.5], 0.0, 5.0)
    rows = drive(world, [0.0, 0.5, 0.5, -0.5], 0.0, 10.0)
    assert np.abs(rows[-1, :, :2] - rows[0, :, :2]).max() < 1e-6
    assert np.abs(yaw_of(rows[-1]) - yaw_of(rows[0])).max() < 1e-6


def test_a_car_at_rest_stays_level_at_its_declared_height(make_world):
    rows = drive(make_world(1), 0.0, 0.0, 10.0)
    np.testing.assert_allclose(rows[-1], row(), atol=1e-9)


def test_the_car_settles_where_its_mass_stands_when_it_is_not_in_the_middle(make_world):
    nose_heavy = replace(SPEC, to_front_axle=0.06, to_rear_axle=0.104)
    rows = drive(make_world(1, nose_heavy), 0.0, 0.0, 2.0)
    np.testing.assert_allclose(rows[-1], row(), atol=1e-9)


def test_a_car_in_the_air_feels_only_its_weight():
    body = row(z=0.5, velocity=(3.0, 2.0, -1.0), angular=(1.0, 2.0, 3.0))
    force, torque = forces(body, steering=0.3, speed=4.0, spec=replace(SPEC, air_drag=0.0))
    np.testing.assert_array_equal(force, [[0.0, 0.0, -SPEC.mass * GRAVITY]])
    np.testing.assert_array_equal(torque, np.zeros((1, 3)))


def test_wheels_that_hang_free_neither_pull_the_car_down_nor_drive_it():
    body, roll = row(z=0.06), 0.3
    body[0, 3], body[0, 6] = np.sin(roll / 2), np.cos(roll / 2)
    force, torque = forces(body, speed=4.0)
    omega = 2 * np.pi * SPEC.suspension_frequency
    right = 0.06 - 0.5 * SPEC.tread * np.sin(roll)
    pressed = 0.5 * SPEC.mass * (GRAVITY + omega**2 * (SPEC.mass_height - right))
    assert force[0, 2] == pytest.approx(pressed - SPEC.mass * GRAVITY)
    assert force[0, 0] == pytest.approx(0.5 * SPEC.mass * SPEC.drive_acceleration)
    assert torque[0, 0] == pytest.approx(-pressed * 0.5 * SPEC.tread * np.cos(roll))


def test_a_car_on_its_roof_has_no_wheels_on_the_road():
    body = row(velocity=(2.0, 0.0, 0.0))
    body[0, 3:7] = [1.0, 0.0, 0.0, 0.0]
    force, torque = forces(body, speed=4.0)
    np.testing.assert_array_equal(force, [[0.0, 0.0, -SPEC.mass * GRAVITY]])
    np.testing.assert_array_equal(torque, np.zeros((1, 3)))


def random_rows(n: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    body = np.zeros((n, BODY))
    body[:, 2] = SPEC.mass_height + rng.uniform(-0.005, 0.005, n)
    body[:, 3:5] = rng.uniform(-0.05, 0.05, (n, 2))
    heading = rng.uniform(-np.pi, np.pi, n)
    body[:, 5], body[:, 6] = np.sin(heading / 2), np.cos(heading / 2)
    body[:, 3:7] /= np.linalg.norm(body[:, 3:7], axis=1, keepdims=True)
    body[:, 7:9] = rng.uniform(-3.0, 3.0, (n, 2))
    body[:, 10:13] = rng.uniform(-3.0, 3.0, (n, 3))
    return body


@pytest.mark.parametrize("friction", [0.3, 1.0489])
def test_the_tyres_never_give_more_than_the_friction_circle(friction):
    spec = replace(SPEC, friction=friction, air_drag=0.0)
    body, reached = random_rows(2000), 0.0
    for speed in (0.0, 1.0, 4.0):
        for steering in (-0.5, 0.0, 0.5):
            force, _ = forces(body, steering, speed, spec)
            grip = friction * (force[:, 2] + spec.mass * GRAVITY)
            pull = np.hypot(force[:, 0], force[:, 1])
            assert (pull <= grip * (1 + 1e-9)).all()
            reached = max(reached, np.max(pull[grip > 0] / grip[grip > 0]))
    assert reached > 0.99


def test_braking_in_a_turn_costs_lateral_force_and_stays_in_the_circle():
    body = row(velocity=(2.0, -0.8, 0.0))
    spec = replace(SPEC, air_drag=0.0)
    grip = SPEC.friction * SPEC.mass * GRAVITY
    coasting, _ = forces(body, speed=2.0, spec=spec)
    braking, _ = forces(body, speed=0.0, spec=spec)
    assert braking[0, 0] == pytest.approx(-SPEC.mass * SPEC.brake_acceleration, rel=0.05)
    assert 0.5 * grip < braking[0, 1] < coasting[0, 1]
    assert np.hypot(*braking[0, :2]) <= grip * (1 + 1e-9)


@pytest.mark.parametrize("degrees", [20.0, 45.0, 70.0])
def test_locked_wheels_rub_against_the_slide_whatever_the_heading(degrees):
    slippery = replace(SPEC, friction=0.3, air_drag=0.0, slip_speed=0.05)
    slide = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    stiff = replace(slippery, stiffness_front=20.0, stiffness_rear=20.0)
    force, _ = forces(row(velocity=(*(3.0 * slide), 0.0)), speed=0.0, spec=stiff)
    np.testing.assert_allclose(force[0, :2], -0.3 * SPEC.mass * GRAVITY * slide, rtol=1e-6)


def test_the_servo_turns_the_wheels_at_its_declared_rate():
    steering, command = np.zeros(1), np.array([[SPEC.steering_limit, 0.0]])
    out = np.empty((1, 3)), np.empty((1, 3))
    needed = SPEC.steering_limit / SPEC.steering_rate
    for _ in range(round(needed / DT / 2)):
        wrench(SPEC.parameters(1), row(), steering, command, DT, *out)
    assert steering[0] == pytest.approx(SPEC.steering_limit / 2)
    for _ in range(round(needed / DT / 2)):
        wrench(SPEC.parameters(1), row(), steering, command, DT, *out)
    assert steering[0] == pytest.approx(SPEC.steering_limit)


def test_a_slow_servo_takes_its_time_through_the_world(make_world):
    slow = replace(SPEC, steering_rate=np.deg2rad(60.0))
    world = make_world(1, slow)
    drive(world, SPEC.steering_limit, 1.0, 7 * PERIOD)
    assert world.state.steering[0] == pytest.approx(np.deg2rad(60.0) * 7 * PERIOD)
    drive(world, SPEC.steering_limit, 1.0, PERIOD)
    assert world.state.steering[0] == pytest.approx(SPEC.steering_limit)
