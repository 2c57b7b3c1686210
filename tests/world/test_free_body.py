"""The free body has the bits of a body in PyBullet, whatever force is on it."""

from __future__ import annotations

import math

import numpy as np
import pybullet
import pytest
from numba import njit

from racer.world.free_body import (
    MAX_VELOCITY,
    accelerated,
    reported_orientation,
    rotation_of,
    turned,
)

DT = 1.0 / 240.0
STEPS = 2000


@njit
def follow(place, inverse, velocity, spin, mass, inertia, forces, torques, dt, rows):
    """Fill `rows` (steps, 13) with the body's rows under given forces and torques."""
    for step in range(forces.shape[0]):
        force = forces[step, 0], forces[step, 1], forces[step, 2]
        torque = torques[step, 0], torques[step, 1], torques[step, 2]
        turn = rotation_of(inverse)
        motion = accelerated(turn, velocity, spin, mass, inertia, force, torque, dt)
        velocity, spin = motion[:3], motion[3:]
        place = (
            place[0] + dt * velocity[0],
            place[1] + dt * velocity[1],
            place[2] + dt * velocity[2],
        )
        inverse = turned(inverse, spin, dt)
        reported = reported_orientation(rotation_of(inverse))
        for k in range(3):
            rows[step, k], rows[step, 7 + k], rows[step, 10 + k] = place[k], velocity[k], spin[k]
        for k in range(4):
            rows[step, 3 + k] = reported[k]


def bullet_rows(mass: float, inertia, start, turn, forces, torques) -> np.ndarray:
    """What PyBullet reports of such a body after each step, (steps, 13)."""
    client = pybullet.connect(pybullet.DIRECT)
    try:
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=DT, deterministicOverlappingPairs=1, physicsClientId=client
        )
        box = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=(0.16, 0.1, 0.05), physicsClientId=client
        )
        body = pybullet.createMultiBody(mass, box, physicsClientId=client)
        pybullet.changeDynamics(
            body,
            -1,
            linearDamping=0.0,
            angularDamping=0.0,
            localInertiaDiagonal=inertia,
            physicsClientId=client,
        )
        pybullet.resetBasePositionAndOrientation(body, start, turn, physicsClientId=client)
        rows, place = [], start
        for force, torque in zip(forces.tolist(), torques.tolist()):
            frame = pybullet.WORLD_FRAME
            pybullet.applyExternalForce(body, -1, force, place, frame, client)
            pybullet.applyExternalTorque(body, -1, torque, frame, client)
            pybullet.stepSimulation(client)
            place, now = pybullet.getBasePositionAndOrientation(body, client)
            linear, angular = pybullet.getBaseVelocity(body, client)
            rows.append((*place, *now, *linear, *angular))
        return np.array(rows)
    finally:
        pybullet.disconnect(client)


@pytest.mark.parametrize(
    ("strength", "mass"), [(1.0, 2.0), (1.0, 2.274), (30.0, 2.0), (0.001, 2.0), (0.0, 2.0)]
)
def test_a_free_body_has_the_bits_of_pybullet_s(strength, mass):
    rng = np.random.default_rng(3)
    yaw = rng.uniform(-3.0, 3.0)
    turn = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    start, inertia = (1.0, -2.0, 0.05), (0.0053 * mass / 2, 0.0103 * mass / 2, 0.0136 * mass / 2)
    forces = rng.normal(0.0, 20.0 * strength, (STEPS, 3))
    torques = rng.normal(0.0, 0.3 * strength, (STEPS, 3))
    rows = np.empty((STEPS, 13))
    inverse = (-turn[0], -turn[1], -turn[2], turn[3])
    still = (0.0, 0.0, 0.0)
    follow(start, inverse, still, still, mass, inertia, forces, torques, DT, rows)
    expected = bullet_rows(mass, inertia, start, turn, forces, torques)
    assert rows.tobytes() == expected.tobytes()
    # The strong forces reach the limit of a component, and the cap of a step's turn.
    assert (np.abs(rows[:, 7:]).max() == MAX_VELOCITY) == (strength == 30.0)
