"""The world: n cars in one Bullet client."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from racer.car.spec import CarSpec
from racer.car.tyre_forces import BODY_ROW_LENGTH, tyre_wrench
from racer.snapshot import restore_snapshot, take_snapshot
from racer.world.car_state import (
    CONTROL_RATE_HZ,
    SUBSTEPS_PER_CONTROL,
    WALL_HEIGHT_M,
    WORLD_RADIUS_M,
    CarState,
    Contact,
    moved_point,
    yaw_of,
)
from racer.world.orientation import integrate_orientation
from racer.world.pybullet_client import bullet, connect
from racer.world.variation import Variation

CARS, WALLS, BOXES = 1, 2, 4
"""Bullet's collision groups."""
BODY_FRICTION = 0.3
"""Friction of a car's body against what it hits; our own choice, between plastic and wood."""
BOX_CONTACT_RANGE_M = 1.0
"""A box has a body in Bullet while it is this close to its car [m], beyond what the car can drive
in a step."""
UNUSED_BODY_POSITION = np.array([10.0 * WORLD_RADIUS_M, 0.0, 0.0])
"""Where a body is kept that stands for no box at the moment [m]."""
WHITE, BROWN = (0.85, 0.85, 0.83, 1.0), (0.69, 0.5, 0.32, 1.0)
"""The colours of walls and of boxes in Bullet's own window."""
HOLD_HEIGHT_M = 50.0
"""Height at which Bullet keeps a car that is out of the race [m]; only `World` knows of it."""
WORLD_STATE = ("contact", "boxes", "_body", "_inverse", "_places", "_is_lifted", "_box_pose")
"""The attributes that a step changes, besides the cars' state and the commands still under way."""


class World:
    """n cars in one Bullet client, alone or together, with walls and boxes to hit.

    Each car is one rigid box without damping. All forces on it come from `racer.car.tyre_forces`,
    except for those that Bullet adds at contacts. Cars that are alone never meet, and a car's
    states are the same bits alone and among others. In a new world all cars stand at the origin.

    Args:
        spec: The parameters of every car.
        n: Number of cars.
        gui: Whether to open Bullet's own window.
        walls: Sets of closed rings of points (N, 2) [m], on which walls stand. A car meets the
            walls of
            one set: the first, until `set_walls` selects another.
        boxes: Number of solid boxes that each car has of its own, or that all cars share if they
            are together.
        box_size: Length, width and height of a box [m].
        is_together: Whether the cars meet each other.
        rate: Commands per second [Hz].
        substeps: Physics steps per command.

    Attributes:
        state: The state of the cars.
        contact: `Contact` flags of what each car touched in the last control step, (n,).
        boxes: What each car can meet, (n, K, 10): centre [m], quaternion x y z w, half sizes along
            its own axes [m]. The boxes come first; if cars are together, all n cars follow. Half
            sizes are 0 where there is nothing, as in a car's own place.

    Example:
        >>> from racer.car.spec import deepracer
        >>> world = World(deepracer(), n=2)
        >>> for _ in range(world.rate):  # one second: straight on, and a turn to the left
        ...     state = world.step(np.array([[0.0, 1.0], [0.2, 1.0]]))
        >>> state.xy[:, 0].round(1)
        array([0.9, 0.7])
        >>> world.close()
    """

    def __init__(
        self,
        spec: CarSpec,
        n: int,
        gui: bool = False,
        walls: Sequence[Sequence[np.ndarray]] = (),
        boxes: int = 0,
        box_size: Sequence[float] = (0.0, 0.0, 0.0),
        is_together: bool = False,
        rate: int = CONTROL_RATE_HZ,
        substeps: int = SUBSTEPS_PER_CONTROL,
    ) -> None:
        self.spec, self.n, self.is_together = spec, n, is_together
        self.rate, self.substeps = rate, substeps
        self._is_walled_alike = len(walls) < 2
        self._can_touch = bool(walls or boxes or is_together)
        self.variation = Variation(spec, n)
        self._masses = np.full(n, spec.mass)
        self._force, self._torque = np.zeros((n, 3)), np.zeros((n, 3))
        self._places: list[tuple[float, ...]] = [()] * n
        self._body = np.zeros((n, BODY_ROW_LENGTH))
        self._inverse = np.zeros((n, 4))
        self.state = CarState(np.zeros((n, BODY_ROW_LENGTH)), np.zeros(n), np.zeros((n, 2)))
        self.contact = np.zeros(n, dtype=np.int64)
        self._is_lifted = np.zeros(n, dtype=bool)
        self._client = connect(gui)
        bullet.setPhysicsEngineParameter(
            fixedTimeStep=1.0 / (rate * substeps),
            deterministicOverlappingPairs=1,
            physicsClientId=self._client,
        )
        # struct packs a flat list of floats three times as fast as numpy converts one.
        self._pack = struct.Struct(f"{n * BODY_ROW_LENGTH}d").pack_into
        self._bodies = [self._spawn() for _ in range(n)]
        self._numbers = {body: car for car, body in enumerate(self._bodies)}
        self._walls = [[self._wall(ring) for ring in rings] for rings in walls]
        self._kinds = {wall: Contact.WALL for rings in self._walls for wall in rings}
        self._walled_in = np.zeros(n, dtype=np.int64)
        if len(self._walls) > 1:
            for body in self._bodies:
                self._meet(body, self._walls[0], True)
        groups = 1 if is_together else n
        self._half = np.array(box_size) / 2
        self._solids: list[list[int]] = [[] for _ in range(groups)]
        self._box_pose = np.zeros((groups, boxes, 3))
        self.boxes = np.zeros((n, boxes + n * is_together, 10))
        self.boxes[:, :boxes, 2] = self._half[2]
        self.boxes[..., 6] = 1.0
        self.boxes[:, :boxes, 7:] = self._half
        self.reset(np.arange(n), np.zeros((n, 2)), np.zeros(n))

    def _spawn(self) -> int:
        """Create one car's body at the origin and return Bullet's id of it."""
        spec, client = self.spec, self._client
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
        # Bullet lets two bodies meet if either one's mask has the other's group. So where there
        # are several sets of walls, a car's mask must not have the group of walls: `set_walls`
        # pairs each car with the walls that it meets.
        meets = WALLS if self._is_walled_alike else 0
        if self.is_together:
            meets |= CARS | BOXES
        group = CARS if self._can_touch else 0
        bullet.setCollisionFilterGroupMask(body, -1, group, meets, physicsClientId=client)
        return body

    def _wall(self, ring: np.ndarray) -> int:
        """Create the wall on a ring (N, 2) [m] and return Bullet's id of it.

        It is one concave mesh: a box for each segment would cost ten times as much.
        """
        client, n = self._client, len(ring)
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
        return self._solid(shape, WALLS, CARS if self._is_walled_alike else 0, WHITE)

    def _box(self, car: int) -> int:
        """Create a body for one more box of a car, or of all cars if they are together."""
        client, half = self._client, self._half.tolist()
        shape = bullet.createCollisionShape(
            bullet.GEOM_BOX, halfExtents=half, physicsClientId=client
        )
        box = self._solid(shape, BOXES, CARS if self.is_together else 0, BROWN)
        if not self.is_together:
            self._meet(self._bodies[car], [box], True)
        self._kinds[box] = Contact.BOX
        return box

    def _meet(self, car: int, others: list[int], is_met: bool) -> None:
        """Set whether a car's body collides with some other bodies."""
        for other in others:
            bullet.setCollisionFilterPair(car, other, -1, -1, is_met, physicsClientId=self._client)

    def set_walls(self, car: int, walls: int) -> None:
        """Let a car meet the walls of set `walls` instead of those that it met so far."""
        if self._is_walled_alike or walls == self._walled_in[car]:
            return
        body = self._bodies[car]
        self._meet(body, self._walls[self._walled_in[car]], False)
        self._meet(body, self._walls[walls], True)
        self._walled_in[car] = walls

    def _solid(self, shape: int, group: int, meets: int, colour: tuple) -> int:
        """Create a body that does not move and return Bullet's id of it.

        Args:
            shape: Bullet's id of its collision shape.
            group: Its collision group.
            meets: The collision groups that it collides with.
            colour: Red, green, blue and alpha, 0-1, for Bullet's own window.
        """
        client = self._client
        body = bullet.createMultiBody(0, shape, physicsClientId=client)
        bullet.changeDynamics(
            body, -1, lateralFriction=1.0, restitution=0.0, physicsClientId=client
        )
        bullet.setCollisionFilterGroupMask(body, -1, group, meets, physicsClientId=client)
        bullet.changeVisualShape(body, -1, rgbaColor=colour, physicsClientId=client)
        return body

    def vary(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """Give cars their drawn differences.

        Args:
            cars: Indices of the cars, (k,).
            draws: Rows of `randomisation.DRAW_DTYPE` of all n cars, (n,).
        """
        self.variation.draw(cars, draws)
        self._weigh()

    def _weigh(self) -> None:
        """Pass the masses and inertias that have changed on to Bullet."""
        rows = self.variation.cars
        for car in np.flatnonzero(rows["mass"] != self._masses):
            row = rows[car]
            bullet.changeDynamics(
                self._bodies[car],
                -1,
                mass=row["mass"],
                localInertiaDiagonal=[row["inertia_x"], row["inertia_y"], row["inertia_z"]],
                physicsClientId=self._client,
            )
        self._masses[:] = rows["mass"]

    def reset(self, cars: np.ndarray, xy: np.ndarray, yaw: np.ndarray) -> None:
        """Put cars at rest on the road, level and with straight wheels.

        Args:
            cars: Indices of the cars, (k,).
            xy: Positions of their centres of mass [m], (k, 2).
            yaw: Their headings [rad], (k,).
        """
        self._is_lifted[cars] = False
        height = self.variation.cars["mass_height"]
        for car, (x, y), heading in zip(cars, xy, yaw):
            cos, sin = float(np.cos(heading)), float(np.sin(heading))
            # `xy` is the spec's centre of mass; Bullet's body is the drawn one.
            ahead = -self.variation.shift[car, 0]
            self._set(int(car), x + ahead * cos, y + ahead * sin, float(height[car]), heading)
        self.variation.forget(cars)
        self._publish()

    def _set(self, car: int, x: float, y: float, z: float, yaw: float) -> None:
        """Put one car's body at rest at a position [m], level, with a heading [rad]."""
        place = (float(x), float(y), float(z))
        orientation = (0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))
        body, client = self._bodies[car], self._client
        bullet.resetBasePositionAndOrientation(body, place, orientation, physicsClientId=client)
        bullet.resetBaseVelocity(body, (0, 0, 0), (0, 0, 0), physicsClientId=client)
        self._places[car] = place
        self._body[car] = (*place, *orientation, 0, 0, 0, 0, 0, 0)
        self._inverse[car] = _inverted(orientation)
        self.state.steering[car] = 0.0
        self.state.command[car] = 0.0
        self.contact[car] = 0

    def hold(self, cars: np.ndarray) -> None:
        """Take cars (k,) out of the race until their next reset: no other car meets or sees them.

        Their rows of `state` say that they stand where they were, level and at rest.
        """
        self._is_lifted[cars] = True
        self._hold()
        self._publish()

    def _hold(self) -> None:
        """Put every car that is out of the race back to its place high above the road."""
        for car in np.flatnonzero(self._is_lifted).tolist():
            x, y = self._body[car, :2]
            self._set(car, x, y, HOLD_HEIGHT_M, float(yaw_of(self._body[car])))

    def place_boxes(self, cars: np.ndarray, pose: np.ndarray) -> None:
        """Put boxes on the road.

        Args:
            cars: Indices of the cars whose boxes move, (k,); (0,) if the cars are together, for the
                boxes of all.
            pose: x, y [m] and heading [rad] of each box, (k, boxes, 3).
        """
        self._box_pose[cars] = pose
        self._publish()

    def _move(self, box: int, pose: np.ndarray) -> None:
        """Put a box's body at x, y [m] with a heading [rad], (3,)."""
        x, y, yaw = pose.tolist()
        place, facing = (x, y, self._half[2]), (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
        bullet.resetBasePositionAndOrientation(box, place, facing, physicsClientId=self._client)

    def step(self, command: np.ndarray, boxes: np.ndarray | None = None) -> CarState:
        """Hold a command for one control period and return the cars' state.

        The state is the same object each time, and its arrays change with the next step.

        Args:
            command: Steering [rad] and speed [m/s] of each car, (n, 2); clipped to the car's
                limits.
            boxes: The boxes' poses at the end of the step, as for `place_boxes` with every car;
                they move there evenly. Without it they stay where they are.
        """
        state, spec, client = self.state, self.spec, self._client
        np.clip(command[:, 0], -spec.steering_limit, spec.steering_limit, state.command[:, 0])
        np.clip(command[:, 1], 0.0, spec.speed_limit, state.command[:, 1])
        acting, cars = self.variation.acting(state.command), self.variation.cars
        dt = 1.0 / (self.rate * self.substeps)
        push, twist = bullet.applyExternalForce, bullet.applyExternalTorque
        frame = bullet.WORLD_FRAME
        force, torque = self._force, self._torque
        self.contact[:] = 0
        moves = self._moves(self._box_pose if boxes is None else boxes)
        for substep in range(self.substeps):
            tyre_wrench(cars, self._body, state.steering, acting, dt, force, torque)
            for body, place, f, t in zip(
                self._bodies, self._places, force.tolist(), torque.tolist()
            ):
                push(body, -1, f, place, frame, client)
                twist(body, -1, t, frame, client)
            for box, way in moves:
                self._move(box, way[substep])
            bullet.stepSimulation(client)
            self._read()
            integrate_orientation(self._inverse, self._body, dt)
            if self._can_touch:
                self._read_contacts()
        if self._is_lifted.any():
            self._hold()
        self._publish()
        return state

    def _moves(self, boxes: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Give the boxes near a car a body, and return the bodies that move with their poses.

        The poses have the shape (substeps, 3). Boxes far from their car need no body, which would
        cost Bullet time in every step.
        """
        if not boxes.size:
            return []
        before, change = self._box_pose.copy(), boxes - self._box_pose
        change[..., 2] = (change[..., 2] + np.pi) % (2 * np.pi) - np.pi
        is_near = np.ones(before.shape[:2], dtype=bool)
        if not self.is_together:
            away = before[..., :2] - self._body[:, None, :2]
            reach = BOX_CONTACT_RANGE_M + self.spec.speed_limit / self.rate
            is_near = (away**2).sum(axis=-1) < reach**2
        share = np.arange(1, self.substeps + 1)[:, None] / self.substeps
        moves = []
        for car, solids in enumerate(self._solids):
            near = np.flatnonzero(is_near[car]).tolist()
            if not near and not solids:
                continue
            while len(solids) < len(near):
                solids.append(self._box(car))
            for body, k in zip(solids, near):
                self._move(body, before[car, k])
                if change[car, k].any():
                    moves.append((body, before[car, k] + share * change[car, k]))
            for body in solids[len(near) :]:
                self._move(body, UNUSED_BODY_POSITION)
        self._box_pose[:] = boxes
        return moves

    def _read(self) -> None:
        """Read position, orientation and velocities of every car from Bullet into the body rows."""
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
        self._pack(self._body.data, 0, *flat)

    def _read_contacts(self) -> None:
        """Add what each car touches in this substep to `contact`."""
        for point in bullet.getContactPoints(physicsClientId=self._client):
            if point[9] > 0.0:  # The normal force; Bullet also lists points that only are near.
                for body, other in ((point[1], point[2]), (point[2], point[1])):
                    car = self._numbers.get(body)
                    if car is not None:
                        self.contact[car] |= self._kinds.get(other, Contact.CAR)

    def _publish(self) -> None:
        """Update the public `state` and `boxes` from what Bullet last reported."""
        moved_point(self._body, self.variation.shift, self.state.body)
        if self._is_lifted.any():
            lifted = self._is_lifted
            self.state.body[lifted, 2] -= HOLD_HEIGHT_M - self.variation.cars["mass_height"][lifted]
        k = self._box_pose.shape[1]
        if k:
            half = self._box_pose[..., 2] / 2
            self.boxes[:, :k, :2] = self._box_pose[..., :2]
            self.boxes[:, :k, 5], self.boxes[:, :k, 6] = np.sin(half), np.cos(half)
        if self.is_together:
            spec, shells = self.spec, np.empty_like(self._body)
            half = np.array([spec.body_length, spec.body_width, spec.shell_height]) / 2
            middle = np.tile([0.0, half[2] - spec.mass_height], (self.n, 1))
            moved_point(self.state.body, middle, shells)
            self.boxes[:, k:, :7] = shells[:, :7]
            self.boxes[:, k:, 7:] = np.where(self._is_lifted[:, None], 0.0, half)
            self.boxes[np.arange(self.n), k + np.arange(self.n), 7:] = 0.0

    def paint(self, left: np.ndarray, right: np.ndarray) -> None:
        """Show a closed road on grass, and the cars in red, in Bullet's own window.

        What it shows takes no part in the physics.

        Args:
            left: Points of the left border [m], (N, 2).
            right: Points of the right border [m], (N, 2).
        """
        client, across = self._client, right - left
        bullet.configureDebugVisualizer(bullet.COV_ENABLE_GUI, 0, physicsClientId=client)
        corners = np.array(
            [
                (-WORLD_RADIUS_M, -WORLD_RADIUS_M),
                (WORLD_RADIUS_M, -WORLD_RADIUS_M),
                (WORLD_RADIUS_M, WORLD_RADIUS_M),
                (-WORLD_RADIUS_M, WORLD_RADIUS_M),
            ]
        )
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
        """Show a flat strip between two lines in Bullet's own window.

        Args:
            first: Points of one line [m], (N, 2).
            last: Points of the other [m], (N, 2).
            height: Height over the ground [m]; strips lie over each other without flickering.
            colour: Red, green, blue and alpha, 0-1.
            is_loop: Whether the strip closes from the last points to the first.
        """
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
        """Put the camera of Bullet's own window behind a car."""
        x, y, z = self._places[car]
        yaw = float(np.rad2deg(self.state.yaw[car])) - 90.0
        bullet.resetDebugVisualizerCamera(1.2, yaw, -28.0, (x, y, z), physicsClientId=self._client)

    def get_state(self) -> dict[str, Any]:
        """Return the state of the cars and their boxes; it can be pickled."""
        return {
            "world": take_snapshot(self, WORLD_STATE),
            "cars": {name: values.copy() for name, values in vars(self.state).items()},
            "walled_in": self._walled_in.copy(),
            "variation": self.variation.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that `get_state` of a world of the same kind returned."""
        for car, walls in enumerate(state["walled_in"].tolist()):
            self.set_walls(car, walls)
        self.variation.set_state(state["variation"])
        self._weigh()
        restore_snapshot(self, state["world"])
        for name, values in state["cars"].items():
            getattr(self.state, name)[...] = values
        client = self._client
        for body, place, inverse, row in zip(
            self._bodies, self._places, self._inverse, self._body.tolist()
        ):
            # The orientation that Bullet reports is rounded; see `racer.world.orientation`.
            pose = place, _inverted(inverse.tolist())
            bullet.resetBasePositionAndOrientation(body, *pose, physicsClientId=client)
            bullet.resetBaseVelocity(body, row[7:10], row[10:13], physicsClientId=client)

    def close(self) -> None:
        """Free the Bullet client; a second call does nothing."""
        if self._client >= 0:
            bullet.disconnect(physicsClientId=self._client)
            self._client = -1


def _inverted(quaternion: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the inverse of a unit quaternion x y z w; it is exact, and its own inverse."""
    x, y, z, w = quaternion
    return -x, -y, -z, w
