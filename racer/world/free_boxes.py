"""The cost of Bullet alone: the floor that the simulator's speed is measured against."""

from __future__ import annotations

import numpy as np

from racer.car.spec import CarSpec
from racer.world.bullet import World
from racer.world.pybullet_client import bullet


class FreeBoxes:
    """n boxes in one Bullet world without a road: the least that the physics of n cars can cost."""

    def __init__(self, spec: CarSpec, n: int) -> None:
        self._world = World(spec, n)
        places = np.stack([np.arange(n), np.zeros(n)], axis=1)
        self._world.reset(np.arange(n), places.astype(float), np.zeros(n))

    def step(self) -> None:
        """Make one physics step: apply force and torque to each box, step, read pose and motion."""
        client, bodies = self._world._client, self._world._bodies
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
        self._world.close()
