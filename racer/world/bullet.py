"""Cars in one Bullet client, with the walls and boxes that they can touch."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from racer.car.spec import CarSpec
from racer.errors import RacerError
from racer.world.car_state import WALL_HEIGHT_M, WORLD_RADIUS_M, Contact
from racer.world.pybullet_client import bullet, connect

CARS, WALLS, BOXES, FIRST_SET_OF_WALLS = 1, 2, 4, 8
"""Bullet's collision groups; of several sets of walls each has its own."""
MAX_SETS_OF_WALLS = 28
"""The groups that 31 bits leave for sets of walls."""
BODY_FRICTION = 0.3
"""Friction of a car's body against what it hits; our own choice, between plastic and wood."""
UNUSED_BODY_POSITION = (10.0 * WORLD_RADIUS_M, 0.0, 0.0)
"""Where a body is kept that stands for no box at the moment [m]."""
UNUSED_CAR_SPACING_M = 5.0
"""Distance between the bodies that stand for no car at the moment [m]; they must not meet."""
_CAR = int(Contact.CAR)
"""The flag as a number: Python 3.11 is slow to look up an enum's member."""
WHITE, BROWN = (0.85, 0.85, 0.83, 1.0), (0.69, 0.5, 0.32, 1.0)
"""The colours of walls and of boxes in Bullet's own window."""


class BulletClient:
    """n bodies of cars in one Bullet client, with walls and boxes to hit.

    Each is one rigid box without damping. A body may stand for one car after another: `put` puts a
    car there, `put_away` takes it out of the others' way. Within the client the bodies of cars come
    first, then walls, then boxes: this order decides about the last bits of a crash.

    Args:
        spec: The parameters of every car.
        n: Number of bodies of cars.
        dt: Length of a physics step [s].
        gui: Whether to open Bullet's own window.
        walls: Sets of closed rings of points (N, 2) [m], on which walls stand, up to
            `MAX_SETS_OF_WALLS`. A car meets one set: the first, until `set_walls` selects another.
        boxes: Whether there are boxes.
        box_size: Length, width and height of a box [m].
        is_together: Whether the cars meet each other, and each other's boxes.

    Attributes:
        id: Bullet's id of the client; -1 once it is closed.
        bodies: Bullet's ids of the bodies of the cars.
        free: Those bodies that were put away, by their index.

    Raises:
        RacerError: There are too many sets of walls.
    """

    def __init__(
        self,
        spec: CarSpec,
        n: int,
        dt: float,
        gui: bool = False,
        walls: Sequence[Sequence[np.ndarray]] = (),
        boxes: bool = False,
        box_size: Sequence[float] = (0.0, 0.0, 0.0),
        is_together: bool = False,
    ) -> None:
        if len(walls) > MAX_SETS_OF_WALLS:
            raise RacerError(
                f"walls on {len(walls)} tracks; PyBullet can tell {MAX_SETS_OF_WALLS} apart: name "
                "fewer tracks, or race without walls"
            )
        self._spec, self._is_together = spec, is_together
        self._is_walled_alike = len(walls) < 2
        self._can_touch = bool(walls or boxes or is_together)
        self._half = np.array(box_size) / 2
        self.id = connect(gui)
        bullet.setPhysicsEngineParameter(
            fixedTimeStep=dt, deterministicOverlappingPairs=1, physicsClientId=self.id
        )
        self.bodies = [self._spawn() for _ in range(n)]
        self._masses = [spec.mass] * n
        self._numbers = {body: car for car, body in enumerate(self.bodies)}
        self._kinds: dict[int, int] = {}
        for which, rings in enumerate(walls):
            group = WALLS if self._is_walled_alike else FIRST_SET_OF_WALLS << which
            self._kinds |= {self._wall(ring, group): int(Contact.WALL) for ring in rings}
        for car in range(n):
            self.set_walls(car, 0)
        self._boxes: list[list[int]] = [[] for _ in range(1 if is_together else n)]
        self._last_paired = [0] * n
        self._with_old_contacts: set[int] = set()
        self.free: list[int] = []

    def _spawn(self) -> int:
        """Create one car's body at the origin and return Bullet's id of it."""
        spec, client = self._spec, self.id
        half = [spec.body_length / 2, spec.body_width / 2, spec.body_height / 2]
        box = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half, physicsClientId=client)
        body = bullet.createMultiBody(spec.mass, box, physicsClientId=client)
        bullet.changeDynamics(
            body,
            -1,
            linearDamping=0.0,
            angularDamping=0.0,
            lateralFriction=BODY_FRICTION,
            rollingFriction=0.0,
            spinningFriction=0.0,
            restitution=0.0,
            localInertiaDiagonal=[spec.inertia_x, spec.inertia_y, spec.inertia_z],
            physicsClientId=client,
        )
        self._let_meet(body, WALLS)
        return body

    def _let_meet(self, body: int, walls: int) -> None:
        """Let a car's body meet a group of walls, and the other cars if they are together."""
        meets = walls | CARS | BOXES if self._is_together else walls
        group = CARS if self._can_touch else 0
        bullet.setCollisionFilterGroupMask(body, -1, group, meets, physicsClientId=self.id)

    def _wall(self, ring: np.ndarray, group: int) -> int:
        """Create the wall on a ring (N, 2) [m], of a group, and return Bullet's id of it.

        It is one concave mesh: a box for each segment would cost ten times as much.
        """
        client, n = self.id, len(ring)
        low, high = (
            np.column_stack([ring, np.full(n, z)]) for z in (-WALL_HEIGHT_M, WALL_HEIGHT_M)
        )
        here, after = np.arange(n), (np.arange(n) + 1) % n
        faces = np.stack([here, after, n + after, here, n + after, n + here], axis=1)
        shape = bullet.createCollisionShape(
            bullet.GEOM_MESH,
            vertices=np.vstack([low, high]).tolist(),
            indices=faces.ravel().tolist(),
            flags=bullet.GEOM_FORCE_CONCAVE_TRIMESH,
            physicsClientId=client,
        )
        # Bullet lets two bodies meet if either one's mask has the other's group.
        return self._solid(shape, group, CARS if self._is_walled_alike else 0, WHITE)

    def _box(self, car: int) -> int:
        """Create a body for one more box of a car, or of all cars if they are together."""
        client, half = self.id, self._half.tolist()
        shape = bullet.createCollisionShape(
            bullet.GEOM_BOX, halfExtents=half, physicsClientId=client
        )
        box = self._solid(shape, BOXES, CARS if self._is_together else 0, BROWN)
        if not self._is_together:
            self._pair(car, box)
        self._kinds[box] = int(Contact.BOX)
        return box

    def _solid(self, shape: int, group: int, meets: int, colour: tuple) -> int:
        """Create a body that does not move and return Bullet's id of it.

        Args:
            shape: Bullet's id of its collision shape.
            group: Its collision group.
            meets: The collision groups that it collides with.
            colour: Red, green, blue and alpha, 0-1, for Bullet's own window.
        """
        client = self.id
        body = bullet.createMultiBody(0, shape, physicsClientId=client)
        bullet.changeDynamics(
            body, -1, lateralFriction=1.0, restitution=0.0, physicsClientId=client
        )
        bullet.setCollisionFilterGroupMask(body, -1, group, meets, physicsClientId=client)
        bullet.changeVisualShape(body, -1, rgbaColor=colour, physicsClientId=client)
        return body

    def _pair(self, car: int, box: int) -> None:
        """Let a car meet a box, and list first the car anew, then the box."""
        body, client = self.bodies[car], self.id
        bullet.setCollisionFilterPair(body, box, -1, -1, True, physicsClientId=client)

    def set_walls(self, car: int, walls: int) -> None:
        """Let a car meet the walls of set `walls` alone."""
        if not self._is_walled_alike:
            self._let_meet(self.bodies[car], FIRST_SET_OF_WALLS << walls)

    def weigh(self, car: int, row: np.void) -> None:
        """Give a car the mass and inertia of its row of parameters."""
        if row["mass"] == self._masses[car]:
            return
        self._masses[car] = float(row["mass"])
        bullet.changeDynamics(
            self.bodies[car],
            -1,
            mass=row["mass"],
            localInertiaDiagonal=[row["inertia_x"], row["inertia_y"], row["inertia_z"]],
            physicsClientId=self.id,
        )

    def is_fresh(self, car: int) -> bool:
        """Return whether a car's body was never paired with a box."""
        return self._last_paired[car] == 0

    def remembers_contact(self, car: int) -> bool:
        """Return whether a body was put away out of a contact, and the world not stepped since.

        Bullet forgets a contact in its next step, if it finds the bodies apart then.
        """
        return car in self._with_old_contacts

    def forget_contacts(self) -> None:
        """Step the world if bodies were put away out of a contact; others must not be driven."""
        if self._with_old_contacts:
            self.step([], np.zeros((3, 0, 3)))

    def drop_contacts(self, cars: list[int]) -> None:
        """Move the bodies of some cars away and let Bullet find all contacts anew.

        The contacts of the other bodies may come in another order.
        """
        if not cars:
            return
        for car in cars:
            self._move_away(car)
        bullet.performCollisionDetection(physicsClientId=self.id)

    def put(self, car: int, body_row: np.ndarray, inverse: np.ndarray) -> None:
        """Put a car somewhere, with its velocities.

        Args:
            car: Index of its body.
            body_row: Its body row, (13,).
            inverse: Its inverse orientation x y z w, (4,). The orientation that the row states is
                rounded; see `racer.world.free_body`.
        """
        row, (x, y, z, w) = body_row.tolist(), inverse.tolist()
        self._put(car, tuple(row[:3]), (-x, -y, -z, w), row[7:10], row[10:13])

    def _put(self, car: int, place: tuple, turn: tuple, velocity: Any, spin: Any) -> None:
        """Put a body at a place, turned, with its velocity and angular velocity."""
        body, client = self.bodies[car], self.id
        bullet.resetBasePositionAndOrientation(body, place, turn, physicsClientId=client)
        bullet.resetBaseVelocity(body, velocity, spin, physicsClientId=client)

    def put_away(self, car: int, has_touched: bool = False) -> None:
        """Take a car's body to where it meets nothing, at rest.

        Args:
            car: Index of its body.
            has_touched: Whether it may be in contact with something.
        """
        self.free.append(car)
        if has_touched:
            self._with_old_contacts.add(car)
        self._move_away(car)

    def _move_away(self, car: int) -> None:
        """Put a car's body where it meets nothing, at rest."""
        x, y, z = UNUSED_BODY_POSITION
        place, still = (x, y + UNUSED_CAR_SPACING_M * (car + 1), z), (0.0, 0.0, 0.0)
        self._put(car, place, (-0.0, -0.0, -0.0, 1.0), still, still)

    def place_boxes(
        self, car: int, count: int, before: np.ndarray, change: np.ndarray, substeps: int
    ) -> list[tuple[int, np.ndarray]]:
        """Give the boxes near a car a body each.

        The last bits of a contact depend on which of the two bodies stands first in Bullet's list,
        and pairing a car with a box lists both anew: the last box stands behind the car, all others
        before it. So the number of bodies that a car's boxes have had is part of its state.

        Args:
            car: Index of the car's body, or 0 for the boxes of all cars that are together.
            count: Number of bodies of boxes that the car has had so far, at least k.
            before: x, y [m] and heading [rad] of each at the beginning of a control step, (k, 3).
            change: How far each moves in it, (k, 3).
            substeps: Physics steps in it.

        Returns:
            Each body that moves, with its poses after each physics step, (substeps, 3).
        """
        bodies = self._boxes[car]
        while len(bodies) < count:
            bodies.append(self._box(car))
            self._last_paired[car] = len(bodies)
        if not self._is_together and count and self._last_paired[car] != count:
            self._pair(car, bodies[count - 1])
            self._last_paired[car] = count
        share = np.arange(1, substeps + 1)[:, None] / substeps
        moves = []
        for body, pose, way in zip(bodies, before, change):
            self.move(body, pose)
            if way.any():
                moves.append((body, pose + share * way))
        for body in bodies[len(before) :]:
            self.move(body, np.array(UNUSED_BODY_POSITION))
        return moves

    def move(self, box: int, pose: np.ndarray) -> None:
        """Put a box's body at x, y [m] with a heading [rad], (3,)."""
        x, y, yaw = pose.tolist()
        place, facing = (x, y, self._half[2]), (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
        bullet.resetBasePositionAndOrientation(box, place, facing, physicsClientId=self.id)

    def step(self, cars: Sequence[int], loads: np.ndarray) -> np.ndarray:
        """Advance the world by one physics step.

        Args:
            cars: Indices of the k bodies that stand for cars.
            loads: Place [m], force [N] and torque [N m] of each of them, (3, k or more, 3).

        Returns:
            Their velocities [m/s] and angular velocities [rad/s] after it, (k, 6).
        """
        client, read, frame = self.id, bullet.getBaseVelocity, bullet.WORLD_FRAME
        push, twist = bullet.applyExternalForce, bullet.applyExternalTorque
        mine = [self.bodies[car] for car in cars]
        for body, place, force, torque in zip(mine, *loads.tolist()):
            push(body, -1, force, place, frame, client)
            twist(body, -1, torque, frame, client)
        bullet.stepSimulation(client)
        self._with_old_contacts.clear()
        flat: list[float] = []
        for body in mine:
            linear, angular = read(body, client)
            flat += (*linear, *angular)
        # struct packs a flat list of floats three times as fast as numpy converts one.
        return np.frombuffer(struct.pack(f"{len(flat)}d", *flat)).reshape(-1, 6)

    def contacts(self) -> list[tuple[int, int]]:
        """Return the bodies that touched something in the last physics step.

        Returns:
            Index of a car's body and `Contact` flags, once for each of its points.
        """
        points = bullet.getContactPoints(-1, -1, -2, -2, self.id) if self._can_touch else ()
        numbers, kinds = self._numbers, self._kinds
        return [
            (numbers[body], kinds.get(other, _CAR))
            for point in points
            if point[9] > 0.0  # The normal force; Bullet also lists points that only are near.
            for body, other in ((point[1], point[2]), (point[2], point[1]))
            if body in numbers
        ]

    def close(self) -> None:
        """Free the client; a second call does nothing."""
        if self.id >= 0:
            bullet.disconnect(physicsClientId=self.id)
            self.id = -1
