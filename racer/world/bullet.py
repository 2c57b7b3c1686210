"""n cars in one Bullet world. The only file that imports pybullet."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from racer.car.forces import BODY, wrench
from racer.car.spec import CarSpec
from racer.errors import RacerError

CONTROL_RATE = 15
"""Commands a second, one a camera frame."""

SUBSTEPS = 16
"""Physics steps a command: 240 Hz."""

ROOM = 100.0
"""How far from the origin [m] a car counts as still in the world."""


@contextmanager
def _silenced(*descriptors: int) -> Iterator[None]:
    """Hide what pybullet's C code prints on file descriptors."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(fd, os.dup(fd)) for fd in descriptors]
    try:
        with open(os.devnull, "w") as nowhere:
            for fd, _ in kept:
                os.dup2(nowhere.fileno(), fd)
            yield
    finally:
        ctypes.CDLL(None).fflush(None)
        for fd, copy in kept:
            os.dup2(copy, fd)
            os.close(copy)


with _silenced(1, 2):
    import pybullet as bullet


def has_display() -> bool:
    """Whether Bullet's own window can open here."""
    return bool(os.environ.get("DISPLAY"))


def yaw_of(body: np.ndarray) -> np.ndarray:
    """Heading of the x axes of body rows (..., 13) [rad], (...)."""
    x, y, z, w = np.moveaxis(body[..., 3:7], -1, 0)
    return np.arctan2(2.0 * (x * y + z * w), 1.0 - 2.0 * (y * y + z * z))


@dataclass(frozen=True)
class CarState:
    """Views of what the cars do now; rows are cars. They change with the next step.

    Attributes:
        body: Position [m], quaternion x y z w, velocity [m/s], angular velocity [rad/s], all in
            the world frame, (n, 13).
        steering: Angle of the front wheels [rad], (n,).
        command: The last commanded steering [rad] and speed [m/s], (n, 2).
    """

    body: np.ndarray
    steering: np.ndarray
    command: np.ndarray

    @property
    def xy(self) -> np.ndarray:
        """Position of the centres of mass on the ground plane [m], (n, 2)."""
        return self.body[:, :2]

    @property
    def velocity(self) -> np.ndarray:
        """Velocity in the world frame [m/s], (n, 3)."""
        return self.body[:, 7:10]

    @property
    def angular_velocity(self) -> np.ndarray:
        """Angular velocity in the world frame [rad/s], (n, 3)."""
        return self.body[:, 10:13]

    @property
    def up(self) -> np.ndarray:
        """Vertical part of each body's own z axis, 1 upright, -1 on the roof, (n,)."""
        return 1.0 - 2.0 * (self.body[:, 3] ** 2 + self.body[:, 4] ** 2)

    @property
    def yaw(self) -> np.ndarray:
        """Heading of the bodies' x axes [rad], (n,)."""
        return yaw_of(self.body)


class World:
    """n cars that share one Bullet client and never meet each other.

    Each car is one rigid box without contact friction or damping; every other force on it comes
    from `car.forces`. A car's states are the same bits alone and among others. A new world's cars
    stand at the origin.
    """

    def __init__(self, spec: CarSpec, n: int, gui: bool = False) -> None:
        self.spec = spec
        self.n = n
        self._cars = spec.parameters(n)
        self._force, self._torque = np.zeros((n, 3)), np.zeros((n, 3))
        self._places: list[tuple[float, ...]] = [()] * n
        self.state = CarState(np.zeros((n, BODY)), np.zeros(n), np.zeros((n, 2)))
        if gui and not has_display():
            raise RacerError("no display for render_mode='human'; use 'rgb_array' or set DISPLAY")
        # Where a display refuses, Bullet says so on stderr and ends the process.
        with _silenced(1):
            self._client = bullet.connect(bullet.GUI if gui else bullet.DIRECT)
        if self._client < 0:
            raise RacerError("Bullet could not start; is another GUI open, or no display here?")
        bullet.setTimeStep(1.0 / (CONTROL_RATE * SUBSTEPS), physicsClientId=self._client)
        # struct packs a flat list of floats three times as fast as numpy converts one.
        self._pack = struct.Struct(f"{n * BODY}d").pack_into
        self._bodies = [self._spawn() for _ in range(n)]
        self.reset(np.arange(n), np.zeros((n, 2)), np.zeros(n))

    def _spawn(self) -> int:
        spec, client = self.spec, self._client
        half = [spec.body_length / 2, spec.body_width / 2, spec.body_height / 2]
        box = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half, physicsClientId=client)
        body = bullet.createMultiBody(spec.mass, box, physicsClientId=client)
        bullet.changeDynamics(
            body,
            -1,
            linearDamping=0.0,
            angularDamping=0.0,
            lateralFriction=0.0,
            rollingFriction=0.0,
            spinningFriction=0.0,
            restitution=0.0,
            localInertiaDiagonal=[spec.inertia_x, spec.inertia_y, spec.inertia_z],
            physicsClientId=client,
        )
        bullet.setCollisionFilterGroupMask(body, -1, 0, 0, physicsClientId=client)
        return body

    def reset(self, cars: np.ndarray, xy: np.ndarray, yaw: np.ndarray) -> None:
        """Put cars at rest on the road, level and with straight wheels.

        Args:
            cars: Indices of the cars, (k,).
            xy: Where their centres of mass stand [m], (k, 2).
            yaw: Their headings [rad], (k,).
        """
        for car, (x, y), heading in zip(cars, xy, yaw):
            place = (float(x), float(y), self.spec.mass_height)
            turn = (0.0, 0.0, float(np.sin(heading / 2)), float(np.cos(heading / 2)))
            body = self._bodies[car]
            bullet.resetBasePositionAndOrientation(body, place, turn, physicsClientId=self._client)
            bullet.resetBaseVelocity(body, (0, 0, 0), (0, 0, 0), physicsClientId=self._client)
            self._places[car] = place
            self.state.body[car] = (*place, *turn, 0, 0, 0, 0, 0, 0)
            self.state.steering[car] = 0.0
            self.state.command[car] = 0.0

    def step(self, command: np.ndarray) -> CarState:
        """Hold a command for one control period.

        Args:
            command: Steering [rad] and speed [m/s] of each car, (n, 2); clipped to the car's
                limits.
        """
        state, spec, client = self.state, self.spec, self._client
        np.clip(command[:, 0], -spec.steering_limit, spec.steering_limit, state.command[:, 0])
        np.clip(command[:, 1], 0.0, spec.speed_limit, state.command[:, 1])
        dt = 1.0 / (CONTROL_RATE * SUBSTEPS)
        push, twist = bullet.applyExternalForce, bullet.applyExternalTorque
        frame = bullet.WORLD_FRAME
        force, torque = self._force, self._torque
        for _ in range(SUBSTEPS):
            wrench(self._cars, state.body, state.steering, state.command, dt, force, torque)
            for body, place, f, t in zip(
                self._bodies, self._places, force.tolist(), torque.tolist()
            ):
                push(body, -1, f, place, frame, client)
                twist(body, -1, t, frame, client)
            bullet.stepSimulation(client)
            self._read()
        return state

    def _read(self) -> None:
        client = self._client
        pose, motion = bullet.getBasePositionAndOrientation, bullet.getBaseVelocity
        flat: list[float] = []
        places = []
        for body in self._bodies:
            place, turn = pose(body, client)
            linear, angular = motion(body, client)
            places.append(place)
            flat += place
            flat += turn
            flat += linear
            flat += angular
        self._places = places
        self._pack(self.state.body.data, 0, *flat)

    def paint(self, left: np.ndarray, right: np.ndarray) -> None:
        """Show a closed road between two borders, (N, 2) [m] each, on grass, and the cars in red.

        For Bullet's own window; what it shows takes no part in the physics.
        """
        client, across = self._client, right - left
        bullet.configureDebugVisualizer(bullet.COV_ENABLE_GUI, 0, physicsClientId=client)
        corners = np.array([(-ROOM, -ROOM), (ROOM, -ROOM), (ROOM, ROOM), (-ROOM, ROOM)])
        self._strip(corners[[0, 3]], corners[[1, 2]], 0.0, (0.26, 0.48, 0.23, 1), is_loop=False)
        self._strip(left, right, 0.002, (0.24, 0.25, 0.28, 1))
        for share in (0.0, 0.95):
            first, last = left + share * across, left + (share + 0.05) * across
            self._strip(first, last, 0.004, (0.95, 0.95, 0.93, 1))
        for body in self._bodies:
            bullet.changeVisualShape(
                body, -1, rgbaColor=(0.89, 0.24, 0.16, 1), physicsClientId=client
            )

    def _strip(
        self,
        first: np.ndarray,
        last: np.ndarray,
        height: float,
        colour: tuple,
        is_loop: bool = True,
    ) -> None:
        n, client = len(first), self._client
        points = np.column_stack([np.vstack([first, last]), np.full(2 * n, height)])
        after = (np.arange(n) + 1) % n
        here = np.arange(n)[: None if is_loop else -1]
        after = after[: len(here)]
        faces = np.concatenate(
            [np.stack([here, n + here, n + after], 1), np.stack([here, n + after, after], 1)]
        )
        shape = bullet.createVisualShape(
            bullet.GEOM_MESH,
            vertices=points.tolist(),
            indices=faces.ravel().tolist(),
            normals=[(0.0, 0.0, 1.0)] * len(points),
            rgbaColor=colour,
            physicsClientId=client,
        )
        bullet.createMultiBody(0, -1, shape, physicsClientId=client)

    def follow(self, car: int) -> None:
        """Put the window's camera behind a car."""
        x, y, z = self._places[car]
        yaw = float(np.rad2deg(self.state.yaw[car])) - 90.0
        bullet.resetDebugVisualizerCamera(1.2, yaw, -28.0, (x, y, z), physicsClientId=self._client)

    def close(self) -> None:
        """Free the Bullet client; a second call does nothing."""
        if self._client >= 0:
            bullet.disconnect(physicsClientId=self._client)
            self._client = -1


class FreeBoxes:
    """n boxes in one Bullet world without a road: the least that a car's physics could cost."""

    def __init__(self, spec: CarSpec, n: int) -> None:
        self._world = World(spec, n)
        places = np.stack([np.arange(n), np.zeros(n)], axis=1)
        self._world.reset(np.arange(n), places.astype(float), np.zeros(n))

    def step(self) -> None:
        """One physics step: apply a force and a torque to each, step, read pose and velocity."""
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
