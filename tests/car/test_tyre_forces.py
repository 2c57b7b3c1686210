"""The car's forces, through the real world and at the kernel; `tests/proving` has the gates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from racer.car.spec import GRAVITY, CarSpec, deepracer
from racer.car.tyre_forces import BODY_ROW_LENGTH, tyre_wrench
from racer.validation.closed_forms import axle_friction, drive_acceleration_limit
from racer.validation.manoeuvres import hold_commands
from racer.world import CONTROL_RATE_HZ, SUBSTEPS_PER_CONTROL, World
from tests.helpers.motion import set_motion

SPEC = deepracer()
PERIOD = 1.0 / CONTROL_RATE_HZ
DT = PERIOD / SUBSTEPS_PER_CONTROL


def fling(world: World, velocity, angular=(0.0, 0.0, 0.0), height: float | None = None) -> None:
    """Give car 0, level and heading along x, a velocity."""
    world.reset(np.zeros(1, dtype=int), np.zeros((1, 2)), np.zeros(1))
    set_motion(world, 0, velocity, angular, height)


def row(z: float = SPEC.mass_height, velocity=(0.0, 0.0, 0.0), angular=(0.0, 0.0, 0.0)):
    """A level body row that heads along x, (1, 13)."""
    return np.array([[0.0, 0.0, z, 0.0, 0.0, 0.0, 1.0, *velocity, *angular]])


def forces(body, steering=0.0, speed=0.0, spec: CarSpec = SPEC) -> tuple[np.ndarray, np.ndarray]:
    """Force and torque on body rows, with the wheels already turned to their command."""
    n = len(body)
    turned = np.full(n, float(steering))
    command = np.tile([float(steering), float(speed)], (n, 1))
    force, torque = np.empty((n, 3)), np.empty((n, 3))
    tyre_wrench(spec.parameters(n), body, turned, command, DT, force, torque, np.arange(n))
    return force, torque


def test_the_braking_distance_is_that_of_the_declared_brakes_and_drag(make_world):
    world = make_world(1)
    start = hold_commands(world, 0.0, 3.0, 3.0)[-1, 0]
    end = hold_commands(world, 0.0, 0.0, 4.0)[-1, 0]
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
    slippery = replace(
        SPEC, friction=0.5, load_sensitivity=0.0, rolling_resistance=0.0, air_drag=0.0
    )
    world = make_world(1, slippery)
    hold_commands(world, 0.0, 3.0, 3.0)
    speed = hold_commands(world, 0.0, 0.0, 0.4)[:, 0, 7]
    assert (speed[1] - speed[5]) / (4 * PERIOD) == pytest.approx(0.5 * GRAVITY, rel=0.01)


def test_a_car_without_drive_never_gains_energy(make_world):
    idle = replace(SPEC, speed_gain=0.0, drive_acceleration=0.0)
    for steering in (0.0, 0.4):
        world = make_world(1, idle)
        fling(world, (2.5, 1.5, 0.0), (0.0, 0.0, 6.0))
        rows = hold_commands(world, steering, 0.0, 5.0)[:, 0]
        energy = 0.5 * SPEC.mass * (rows[:, 7] ** 2 + rows[:, 8] ** 2)
        energy += 0.5 * SPEC.inertia_z * rows[:, 12] ** 2
        assert np.diff(energy).max() <= 1e-3
        assert energy[-1] < 0.5 * energy[0]


def test_a_car_at_rest_stays_level_at_its_declared_height(make_world):
    rows = hold_commands(make_world(1), 0.0, 0.0, 10.0)
    np.testing.assert_allclose(rows[-1], row(), atol=1e-9)


def test_the_car_settles_where_its_mass_stands_when_it_is_not_in_the_middle(make_world):
    nose_heavy = replace(SPEC, to_front_axle=0.06, to_rear_axle=0.104)
    rows = hold_commands(make_world(1, nose_heavy), 0.0, 0.0, 2.0)
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
    body = np.zeros((n, BODY_ROW_LENGTH))
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
    spec = replace(SPEC, friction=friction, load_sensitivity=0.0, air_drag=0.0)
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


def test_a_tyre_loses_friction_where_its_load_grows():
    # Rolled without turning, sliding sideways: the whole car gives what its unequal wheels give.
    spec = replace(SPEC, load_sensitivity=0.3, air_drag=0.0)
    body, roll = row(velocity=(0.0, -3.0, 0.0)), 0.04
    body[0, 3], body[0, 6] = np.sin(roll / 2), np.cos(roll / 2)
    force, _ = forces(body, spec=spec)
    omega = 2 * np.pi * SPEC.suspension_frequency
    shift = omega**2 * 0.5 * SPEC.tread * np.sin(roll) / GRAVITY
    assert 0.2 < shift < 0.5
    assert force[0, 1] == pytest.approx(axle_friction(spec, shift) * SPEC.mass * GRAVITY)
    assert axle_friction(spec, shift) < 0.99 * spec.friction
    assert axle_friction(spec, 0.0) == pytest.approx(spec.friction)


def test_the_motor_follows_its_torque_speed_curve():
    spec = replace(SPEC, air_drag=0.0, rolling_resistance=0.0)
    speeds = np.array([0.0, 1.0, 2.5, 4.0, 5.5, 7.0, 7.9, 8.0, 9.0])
    pushed = np.array(
        [forces(row(velocity=(v, 0, 0)), speed=99.0, spec=spec)[0][0, 0] for v in speeds]
    )
    np.testing.assert_allclose(
        pushed / spec.mass, drive_acceleration_limit(spec, speeds), atol=1e-12
    )
    force, power = pushed[:3], (pushed * speeds)[2:5]
    np.testing.assert_allclose(force, spec.mass * spec.drive_acceleration)
    np.testing.assert_allclose(power, spec.mass * spec.drive_acceleration * spec.drive_knee_speed)
    assert pushed[6] > 0.0
    assert not pushed[7:].any()


def turned(spec: CarSpec, seconds: float, dt: float = DT) -> float:
    """Angle of the front wheels after a step to the limit."""
    steering, command = np.zeros(1), np.array([[spec.steering_limit, 0.0]])
    out = np.empty((1, 3)), np.empty((1, 3))
    for _ in range(round(seconds / dt)):
        tyre_wrench(spec.parameters(1), row(), steering, command, dt, *out, np.zeros(1, dtype=int))
    return float(steering[0])


def test_the_servo_turns_the_wheels_at_its_declared_rate():
    prompt = replace(SPEC, steering_lag=0.0)
    needed = SPEC.steering_limit / SPEC.steering_rate
    assert turned(prompt, needed / 2) == pytest.approx(SPEC.steering_limit / 2)
    assert turned(prompt, needed) == pytest.approx(SPEC.steering_limit)
    assert turned(SPEC, needed / 2) == pytest.approx(SPEC.steering_limit / 2, rel=0.02)
    assert turned(SPEC, needed) < 0.9 * SPEC.steering_limit


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_the_servo_lags_by_its_time_constant_whatever_the_substep(dt):
    slow = replace(SPEC, steering_rate=1e9, steering_lag=0.1)
    for seconds in (0.05, 0.1, 0.2):
        ideal = SPEC.steering_limit * (1 - np.exp(-seconds / 0.1))
        assert turned(slow, seconds, dt) == pytest.approx(ideal)


def test_a_slow_servo_takes_its_time_through_the_world(make_world):
    slow = replace(SPEC, steering_rate=np.deg2rad(60.0), steering_lag=0.0)
    world = make_world(1, slow)
    hold_commands(world, SPEC.steering_limit, 1.0, 7 * PERIOD)
    assert world.state.steering[0] == pytest.approx(np.deg2rad(60.0) * 7 * PERIOD)
    hold_commands(world, SPEC.steering_limit, 1.0, PERIOD)
    assert world.state.steering[0] == pytest.approx(SPEC.steering_limit)
