"""Forces and motion on Warp's processor target are those of the twin of Bullet."""

import numpy as np
import pytest
import warp as wp

from racer.car.spec import deepracer, f1tenth
from racer.car.tyre_forces import servo_share
from racer.gpu import car_kernels, fleet
from racer.gpu.force_functions import CarParameters
from racer.gpu.runtime import choose_device
from racer.world import SUBSTEPS_PER_CONTROL, World

N = 64


def wild_world(spec, seed=0):
    """Cars in every attitude, height and motion, some beyond Bullet's limit of a velocity."""
    rng, world = np.random.default_rng(seed), World(spec, N, engine="twin")
    q = rng.normal(size=(N, 4)) * [0.2, 0.2, 1.0, 1.0]
    q[::5] = rng.normal(size=(len(q[::5]), 4))
    q /= np.linalg.norm(q, axis=1)[:, None]
    world._body[:, :3] = rng.normal(size=(N, 3)) * [3.0, 3.0, 0.01] + [0.0, 0.0, spec.mass_height]
    world._body[:, 3:7], world._inverse[:] = q, q * [-1.0, -1.0, -1.0, 1.0]
    world._body[:, 7:10] = rng.normal(size=(N, 3)) * [2.0, 2.0, 0.2]
    world._body[:, 10:] = rng.normal(size=(N, 3))
    world._body[::9, 7:] *= 60.0
    return world


@pytest.mark.parametrize("spec", [deepracer(), f1tenth()], ids=lambda spec: spec.name)
def test_a_step_moves_cars_as_the_twin_does(spec):
    device, world = choose_device("cpu"), wild_world(spec)
    cars = fleet.device_fleet(spec, N, device)
    share = servo_share(spec.parameters(1)[0], world._dt)
    published = wp.zeros((N, 13), dtype=wp.float64, device=device)
    poses = wp.zeros((N, 7), dtype=wp.float64, device=device)
    yaw = wp.zeros(N, dtype=wp.float64, device=device)
    world.variation.shift[:] = np.random.default_rng(1).normal(size=(N, 2)) * 0.03
    cars.shift.assign(world.variation.shift)
    cars.body.assign(world._body)
    cars.inverse.assign(world._inverse)
    rng, is_limited = np.random.default_rng(2), False
    for _ in range(5):
        limits = spec.steering_limit, spec.speed_limit
        command = np.stack([rng.uniform(-1, 1, N), rng.uniform(0, 1, N)], axis=1) * limits
        cars.acting.assign(command)
        told = [cars.cars, cars.body, cars.inverse, cars.steering, cars.acting]
        steps = [share, world._dt, SUBSTEPS_PER_CONTROL]
        wp.launch(car_kernels.drive_cars, N, [*told, *steps], device=device)
        told = [cars.body, cars.shift, published, poses, yaw]
        wp.launch(car_kernels.publish_cars, N, told, device=device)
        state = world.step(command)
        np.testing.assert_allclose(published.numpy(), state.body, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(cars.steering.numpy(), state.steering, rtol=0, atol=1e-12)
        turned = np.angle(np.exp(1j * (yaw.numpy() - state.yaw)))
        np.testing.assert_allclose(turned, 0.0, atol=1e-9)
        assert np.array_equal(poses.numpy(), published.numpy()[:, :7])
        is_limited |= bool((np.abs(world._body[:, 7:]) == 100.0).any())
    assert is_limited


def test_the_parameters_of_a_car_have_the_order_of_its_row():
    row = deepracer().parameters(1)
    assert list(CarParameters.vars) == list(row.dtype.names or ())
