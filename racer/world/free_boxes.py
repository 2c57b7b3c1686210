"""The cost of Bullet alone: the floor that the simulator's speed is measured against."""

from __future__ import annotations

import numpy as np

from racer.car.spec import CarSpec
from racer.world.bullet import BulletClient
from racer.world.pybullet_client import bullet


class FreeBoxes:
    """n boxes in one Bullet client without a road: the least that the physics of n cars can cost.

    Args:
        spec: The parameters of every box.
        n: Number of boxes.
        dt: Length of a physics step [s].
    """

    def __init__(self, spec: CarSpec, n: int, dt: float) -> None:
        self._client = BulletClient(spec, n, dt)
        for box in range(n):
            row = np.zeros(13)
            row[:3] = box, 0.0, spec.mass_height
            self._client.put(box, row, np.array([0.0, 0.0, 0.0, 1.0]))

    def step(self) -> None:
        """Make one physics step: apply force and torque to each box, step, read pose and motion."""
        client, bodies = self._client.id, self._client.bodies
        nothing = (0.0, 0.0, 0.0)
        for body in bodies:
            bullet.applyExternalForce(body, -1, nothing, nothing, bullet.LINK_FRAME, client)
            bullet.applyExternalTorque(body, -1, nothing, bullet.LINK_FRAME, client)
        bullet.stepSimulation(client)
        for body in bodies:
            bullet.getBasePositionAndOrientation(body, client)
            bullet.getBaseVelocity(body, client)

    def close(self) -> None:
        """Free the Bullet client."""
        self._client.close()
