"""The world: n cars, driven by the twin of Bullet where they are free, by Bullet near solids."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from racer.car.spec import CarSpec
from racer.car.tyre_forces import BODY_ROW_LENGTH
from racer.errors import EngineError, RacerError
from racer.snapshot import restore_snapshot, take_snapshot
from racer.world.bullet_steps import follow_and_load
from racer.world.car_state import (
    CONTROL_RATE_HZ,
    SUBSTEPS_PER_CONTROL,
    WALL_HEIGHT_M,
    CarState,
    Contact,
    moved_point,
    publish_state,
    yaw_of,
)
from racer.world.clearance import (
    SEGMENT_RANGE_M,
    Solids,
    contact_margin,
    is_clear,
    near_segments,
    wall_distances,
)
from racer.world.twin import drive_twins
from racer.world.variation import Variation

if TYPE_CHECKING:
    from racer.world.bullet import BulletClient

Engine = Literal["auto", "bullet", "twin"]
"""What computes the motion of the cars; see `World`."""
BOX_CONTACT_RANGE_M = 1.0
"""A box has a body in Bullet while it is this close to its car [m], beyond what the car can drive
in a step."""
HOLD_HEIGHT_M = 50.0
"""Height at which a car is kept that is out of the race [m]; only `World` knows of it."""
HOLD_SPACING_M = 1.0
"""How much higher the next car is kept [m], so that two of them do not meet."""
RETURN_MARGIN_M = 0.01
"""A car goes back to the twin when it is this much further [m] from solids than where it left."""
SPARE_SPEED_M_S = 1.0
"""What the fastest car may gain in a control step [m/s], for the distance at which cars meet."""
CARS_PER_CLIENT = 8
"""Fewest bodies in a Bullet client of cars that drive alone; it costs time for all of them."""
SPARE_BODIES = 0.25
"""Where Bullet drives all cars: bodies beyond one for each car, as a share, for those that touched
something and were reset."""
MAX_CLIENTS = 6
"""Most Bullet clients of cars that drive alone, except for rare needs; one takes 28 MB."""
WORLD_STATE = (
    *("contact", "boxes", "_body", "_inverse", "_is_lifted", "_box_pose"),
    *("_is_bullets", "_has_touched", "_bodies_of_boxes"),
)
"""The attributes that a step changes, besides the cars' state and the commands still under way."""


class World:
    """n cars, alone or together, with walls and boxes to hit.

    Each car is one rigid box without damping. All forces on it come from `racer.car.tyre_forces`,
    except for those that Bullet adds at contacts. Cars that are alone never meet, and a car's
    states are the same bits alone and among others. In a new world all cars stand at the origin.

    The engine decides what computes the motion, not which: all compute the same bits.

    - `auto`: the twin drives each car, until it comes so near to a solid that it could touch it.
      From this physics step on it is Bullet's, until it is clear of all solids, and was reset if
      it has touched one.
    - `bullet`: Bullet drives all cars that are in the race: the reference, and what Bullet's own
      window shows.
    - `twin`: the twin alone, without PyBullet, for cars that can touch nothing.

    Args:
        spec: The parameters of every car.
        n: Number of cars.
        gui: Whether to open Bullet's own window.
        walls: Sets of closed rings of points (N, 2) [m], on which walls stand. A car meets the
            walls of one set: the first, until `set_walls` selects another.
        boxes: Number of solid boxes that each car has of its own, or that all cars share if they
            are together.
        box_size: Length, width and height of a box [m].
        is_together: Whether the cars meet each other.
        rate: Commands per second [Hz].
        substeps: Physics steps per command.
        engine: `auto`, `bullet` or `twin`.

    Attributes:
        state: The state of the cars.
        contact: `Contact` flags of what each car touched in the last control step, (n,).
        boxes: What each car can meet, (n, K, 10): centre [m], quaternion x y z w, half sizes along
            its own axes [m]. The boxes come first; if cars are together, all n cars follow. Half
            sizes are 0 where there is nothing, as in a car's own place.

    Raises:
        EngineError: PyBullet is needed and not installed.
        RacerError: The engine cannot drive such a race, or there is no display for the window.

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
        engine: Engine = "auto",
    ) -> None:
        _check_engine(engine, gui, bool(walls or boxes or is_together))
        self.spec, self.n, self.is_together = spec, n, is_together
        self.rate, self.substeps = rate, substeps
        self._dt = 1.0 / (rate * substeps)
        self._least = np.array([-spec.steering_limit, 0.0])
        self._most = np.array([spec.steering_limit, spec.speed_limit])
        self._has_bullet_only = gui or engine == "bullet"
        self._walls, self._box_size = walls, tuple(box_size)
        self.variation = Variation(spec, n)
        self._body = np.zeros((n, BODY_ROW_LENGTH))
        self._inverse = np.zeros((n, 4))
        self.state = CarState(
            np.zeros((n, BODY_ROW_LENGTH)), np.zeros(n), np.zeros((n, 2)), np.zeros(n)
        )
        self.contact = np.zeros(n, dtype=np.int64)
        self._is_lifted = np.zeros(n, dtype=bool)
        self._is_bullets = np.full(n, self._has_bullet_only)
        self._has_touched = np.zeros(n, dtype=bool)
        groups = 1 if is_together else n
        self._box_pose = np.zeros((groups, boxes, 3))
        self._no_box_near = np.zeros((groups, boxes), dtype=bool)
        self._bodies_of_boxes = np.zeros(groups, dtype=np.int64)
        """The most boxes that were near each car at once so far; see `BulletClient.place_boxes`."""
        self.boxes = np.zeros((n, boxes + n * is_together, 10))
        self.boxes[:, :boxes, 2] = self._box_size[2] / 2
        self.boxes[..., 6] = 1.0
        self.boxes[:, :boxes, 7:] = np.array(self._box_size) / 2
        self._solids = self._make_solids()
        self._kinds_of_solids = int(
            Contact.WALL * bool(walls) | Contact.BOX * bool(boxes) | Contact.CAR * is_together
        )
        self._clients: list[BulletClient] = []
        self._seats: dict[int, tuple[BulletClient, int]] = {}
        """The client and the body in it that stand for each car that is Bullet's."""
        if self._has_bullet_only:
            spare = 0 if is_together else math.ceil(n * SPARE_BODIES)
            self._open_client(n + spare, gui)
            self._seats = {car: (self._clients[0], car) for car in range(n)}
            for seat in range(n, n + spare):
                self._clients[0].put_away(seat)
        self.reset(np.arange(n), np.zeros((n, 2)), np.zeros(n))

    def _make_solids(self) -> Solids:
        spec, k = self.spec, self._box_pose.shape[1]
        circles = math.ceil(3.0 * spec.body_length / spec.body_width)
        spacing = spec.body_length / circles
        walls = () if self._has_bullet_only else self._walls
        reach = math.hypot(spec.body_length, spec.body_width) / 2 + SEGMENT_RANGE_M
        half_diagonal = math.hypot(spec.body_length, spec.body_width, spec.body_height) / 2
        return Solids(
            bool(self._walls or k or self.is_together),
            circles,
            spacing,
            math.hypot(spacing, spec.body_width) / 2,
            spec.body_length / 2,
            spec.body_width / 2,
            spec.body_height / 2,
            half_diagonal,
            contact_margin(half_diagonal),
            max(WALL_HEIGHT_M, self._box_size[2]),
            wall_distances(walls),
            near_segments(walls, reach),
            np.zeros(self.n, dtype=np.int64),
            np.zeros((len(self._box_pose), k, 2)),
            np.zeros((len(self._box_pose), k, 2)),
            math.hypot(*self._box_size[:2]) / 2,
            0.0,
        )

    def _open_client(self, cars: int, gui: bool = False) -> None:
        """Open one more Bullet client with bodies for some cars."""
        # The one place that needs PyBullet: a race without solids does not load it.
        from racer.world.bullet import BulletClient

        has_boxes = self._box_pose.shape[1] > 0
        client = BulletClient(
            *(self.spec, cars, self._dt, gui, self._walls, has_boxes),
            *(self._box_size, self.is_together),
        )
        self._clients.append(client)

    def _hand_over(self, cars: list[int]) -> None:
        """Let Bullet drive some cars from here on."""
        for car in cars:
            if car not in self._seats:
                self._seats[car] = self._take_seat(car)
            client, seat = self._seats[car]
            client.weigh(seat, self.variation.cars[car])
            client.set_walls(seat, int(self._solids.walled_in[car]))
            client.put(seat, self._body[car], self._inverse[car])
        self._is_bullets[cars] = True

    def _take_seat(self, car: int) -> tuple[BulletClient, int]:
        """Return a free body for a car: its own among cars that meet, else any that will do.

        A body that was paired with boxes has another place in Bullet's list than one that was not.
        """
        is_fresh = not self.is_together and not self._bodies_of_boxes[car]
        for client in self._clients:  # The first that will do: each one in use costs time.
            for seat in client.free:
                if self.is_together:
                    fits = seat == car
                else:
                    fits = client.is_fresh(seat) or not is_fresh
                    fits &= not client.remembers_contact(seat)
                if fits:
                    client.free.remove(seat)
                    return client, seat
        most = max(CARS_PER_CLIENT, math.ceil(self.n / MAX_CLIENTS))
        # One car takes turns with two bodies: the one that it crashed with has to rest.
        self._open_client(self.n if self.is_together else max(min(self.n, most), 2))
        client = self._clients[-1]
        for seat in range(len(client.bodies)):
            client.put_away(seat)
        return self._take_seat(car)

    def _take_back(self, cars: list[int]) -> None:
        """Let the twin drive some cars from here on."""
        for car in cars:
            if (taken := self._seats.pop(car, None)) is not None:
                client, seat = taken
                client.put_away(seat, bool(self._has_touched[car]))
        self._is_bullets[cars] = self._has_touched[cars] = False

    def set_walls(self, car: int, walls: int) -> None:
        """Let a car meet the walls of set `walls` instead of those that it met so far."""
        self._solids.walled_in[car] = walls
        if car in self._seats:
            client, seat = self._seats[car]
            client.set_walls(seat, walls)

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
        for car in np.flatnonzero(self._is_bullets).tolist():
            client, seat = self._seats[car]
            client.weigh(seat, self.variation.cars[car])

    def reset(self, cars: np.ndarray, xy: np.ndarray, yaw: np.ndarray) -> None:
        """Put cars at rest on the road, level and with straight wheels.

        Args:
            cars: Indices of the cars, (k,).
            xy: Positions of their centres of mass [m], (k, 2).
            yaw: Their headings [rad], (k,).
        """
        self._is_lifted[cars] = False
        # `xy` is the spec's centre of mass; the body is the drawn one.
        ahead = -self.variation.shift[cars, 0]
        x, y = xy[:, 0] + ahead * np.cos(yaw), xy[:, 1] + ahead * np.sin(yaw)
        self._put_at_rest(cars, x, y, self.variation.cars["mass_height"][cars], yaw)
        self.variation.forget(cars)
        self._publish()

    def _put_at_rest(
        self, cars: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray, yaw: np.ndarray
    ) -> None:
        """Put bodies of cars (k,) at rest at positions [m], level, with headings [rad], (k,)."""
        rows, inverse = self._body, self._inverse
        rows[cars], inverse[cars] = 0.0, -0.0
        rows[cars, 0], rows[cars, 1], rows[cars, 2] = x, y, z
        sin, cos = np.sin(yaw / 2), np.cos(yaw / 2)
        rows[cars, 5], rows[cars, 6] = sin, cos
        inverse[cars, 2], inverse[cars, 3] = -sin, cos
        self.state.steering[cars] = 0.0
        self.state.command[cars] = 0.0
        self.contact[cars] = 0
        if self._clients:
            # Bullet drops the points of a contact in its next step, but may first push the body
            # by those that fit its new place. So a car gets another body. Among cars that meet each
            # has but one; they start together, and one that is held drops its contacts there.
            stays = self._has_touched[cars] & self.is_together | self._has_bullet_only
            stays &= ~self._is_lifted[cars]
            has_other = ~stays | (self._has_touched[cars] & (not self.is_together))
            if self.is_together and len(cars) == self.n:
                self._clients[0].drop_contacts(np.flatnonzero(self._has_touched).tolist())
            self._take_back(cars[has_other & self._is_bullets[cars]].tolist())
            if stays.any():
                self._hand_over(cars[stays].tolist())
            self._has_touched[cars] = False

    def hold(self, cars: np.ndarray) -> None:
        """Take cars (k,) out of the race until their next reset: no other car meets or sees them.

        Their rows of `state` say that they stand where they were, level and at rest.
        """
        self._is_lifted[cars] = True
        self._hold()
        self._publish()

    def _hold(self) -> None:
        """Put every car that is out of the race back to its place high above the road."""
        cars = np.flatnonzero(self._is_lifted)
        if not len(cars):
            return
        rows = self._body[cars]
        height = HOLD_HEIGHT_M + HOLD_SPACING_M * cars
        self._put_at_rest(cars, rows[:, 0], rows[:, 1], height, yaw_of(rows))

    def place_boxes(self, cars: np.ndarray, pose: np.ndarray) -> None:
        """Put boxes on the road.

        Args:
            cars: Indices of the cars whose boxes move, (k,); (0,) if the cars are together, for the
                boxes of all.
            pose: x, y [m] and heading [rad] of each box, (k, boxes, 3).
        """
        self._box_pose[cars] = pose
        self._publish()

    def step(self, command: np.ndarray, boxes: np.ndarray | None = None) -> CarState:
        """Hold a command for one control period and return the cars' state.

        The state is the same object each time, and its arrays change with the next step.

        Args:
            command: Steering [rad] and speed [m/s] of each car, (n, 2); clipped to the car's
                limits.
            boxes: The boxes' poses at the end of the step, as for `place_boxes` with every car;
                they move there evenly. Without it they stay where they are.
        """
        state = self.state
        np.minimum(np.maximum(command, self._least), self._most, out=state.command)
        acting, cars = self.variation.acting(state.command), self.variation.cars
        self.contact[:] = 0
        solids, change, is_box_near = self._solids, self._box_pose, self._no_box_near
        if change.size:
            solids, change, is_box_near = self._motion_of_boxes(boxes)
        if self.is_together and not self._has_bullet_only:
            self._hand_over(np.flatnonzero(self._is_car_near() & ~self._is_bullets).tolist())
        driven = np.empty(self.n, dtype=np.int64)
        left = drive_twins(
            *(cars, self._body, self._inverse, state.steering, acting, self._dt, self.substeps),
            *(solids, self._is_bullets, driven),
        )
        if left:
            self._drive_by_bullet(acting, driven, change, is_box_near)
            self._take_back_clear_cars(solids)
        for client in self._clients:
            client.forget_contacts()
        if boxes is not None:
            self._box_pose[:] = boxes
        if self.is_together:
            self._hold()
        self._publish()
        return state

    def _motion_of_boxes(self, boxes: np.ndarray | None) -> tuple[Solids, np.ndarray, np.ndarray]:
        """Return the solids and the change of the boxes' poses in a control step, and who is near.

        Args:
            boxes: The boxes' poses at its end; see `step`.

        Returns:
            The solids; x, y [m] and heading [rad] by which each box moves, (groups, K, 3); which
            boxes have a body, (groups, K).
        """
        change = np.zeros_like(self._box_pose) if boxes is None else boxes - self._box_pose
        change[..., 2] = (change[..., 2] + np.pi) % (2 * np.pi) - np.pi
        is_near = self._is_box_near()
        np.maximum(self._bodies_of_boxes, is_near.sum(axis=1), out=self._bodies_of_boxes)
        solids = self._solids._replace(
            boxes=self._box_pose[..., :2].copy(),
            box_change=change[..., :2].copy(),
            box_step=float(np.hypot(change[..., 0], change[..., 1]).max()) / self.substeps,
        )
        return solids, change, is_near

    def _drive_by_bullet(
        self, acting: np.ndarray, driven: np.ndarray, change: np.ndarray, is_box_near: np.ndarray
    ) -> None:
        """Drive the cars that are Bullet's, and those that the twin left, to the step's end.

        Args:
            acting: Steering [rad] and speed [m/s] that reach servo and motor, (n, 2).
            driven: After how many physics steps the twin left each car, (n,).
            change: How far each box moves in the control step, x, y [m] and heading [rad],
                (groups, K, 3).
            is_box_near: Which boxes have a body, (groups, K).
        """
        arrival = np.where(self._is_bullets, 0, driven)
        cars = np.flatnonzero(self._is_bullets | (driven < self.substeps))
        cars = cars[np.argsort(arrival[cars], kind="stable")]
        homes: dict[BulletClient, dict[int, int]] = {}
        for car in cars.tolist():
            if car not in self._seats:
                self._seats[car] = self._take_seat(car)
            client, seat = self._seats[car]
            homes.setdefault(client, {})[seat] = car
        for client, car_in in homes.items():
            self._drive_in(client, car_in, arrival, acting, change, is_box_near)

    def _drive_in(
        self,
        client: BulletClient,
        car_in: dict[int, int],
        arrival: np.ndarray,
        acting: np.ndarray,
        change: np.ndarray,
        is_box_near: np.ndarray,
    ) -> None:
        """Drive the cars of one Bullet client to the control step's end.

        Args:
            client: The client.
            car_in: The bodies in it that stand for cars, each with its car, in the order in which
                these come to Bullet.
            arrival: Before which physics step each car comes, (n,).
            acting: As in `_drive_by_bullet`, and so are the next two.
            change: How far each box moves in the control step.
            is_box_near: Which boxes have a body.
        """
        cars, body, steering, dt = self.variation.cars, self._body, self.state.steering, self._dt
        which, seats = np.array(list(car_in.values())), list(car_in)
        counts = np.searchsorted(arrival[which], np.arange(self.substeps), side="right").tolist()
        loads, motion = np.zeros((3, len(which), 3)), np.zeros((0, 6))
        moves: list[tuple[int, np.ndarray]] = []
        moved = 0
        for substep in range(int(arrival[which[0]]), self.substeps + 1):
            loaded = counts[substep] if substep < self.substeps else 0
            if follow_and_load(
                *(cars, body, self._inverse, steering, acting, dt, which, motion, moved, loaded),
                *(loads, self.contact, self._kinds_of_solids),
            ):
                self._note_contacts(client, car_in)
            if not loaded:
                break
            if loaded > moved:
                arriving = which[moved:loaded].tolist()
                self._hand_over([car for car in arriving if not self._is_bullets[car]])
                if not (self.is_together and moved):
                    moves += self._place_bodies_of_boxes(arriving, change, is_box_near)
            for box, way in moves:
                client.move(box, way[substep])
            motion = client.step(seats[:loaded], loads)
            moved = loaded

    def _note_contacts(self, client: BulletClient, car_in: dict[int, int]) -> None:
        """Note what the cars of a client have touched in the physics step behind them.

        Args:
            client: The client.
            car_in: The bodies in it that stand for cars, each with its car.
        """
        for seat, kinds in client.contacts():
            # A body that was put away may have touched something before.
            if seat in car_in:
                self.contact[car_in[seat]] |= kinds
                self._has_touched[car_in[seat]] = True

    def _place_bodies_of_boxes(
        self, cars: list[int], change: np.ndarray, is_near: np.ndarray
    ) -> list[tuple[int, np.ndarray]]:
        """Give the boxes near cars a body, and return the bodies that move with their poses.

        The poses have the shape (substeps, 3). Boxes far from their car need no body, which would
        cost Bullet time in every step.

        Args:
            cars: The cars that are Bullet's from here on.
            change: How far each box moves in the control step, (groups, K, 3).
            is_near: Which boxes have a body, (groups, K).
        """
        if not change.size:
            return []
        before, moves = self._box_pose, []
        for car in cars[:1] if self.is_together else cars:
            client, seat = self._seats[car]
            group = 0 if self.is_together else car
            near = is_near[group]
            moves += client.place_boxes(
                0 if self.is_together else seat,
                int(self._bodies_of_boxes[group]),
                before[group, near],
                change[group, near],
                self.substeps,
            )
        return moves

    def _is_box_near(self) -> np.ndarray:
        """Return which boxes a car could come close to in a control step, (groups, K)."""
        if self.is_together:
            return np.ones(self._box_pose.shape[:2], dtype=bool)
        away = self._box_pose[..., :2] - self._body[:, None, :2]
        reach = BOX_CONTACT_RANGE_M + self.spec.speed_limit / self.rate
        return (away**2).sum(axis=-1) < reach**2

    def _is_car_near(self) -> np.ndarray:
        """Return which cars could touch another one in a control step, (n,)."""
        spec, body = self.spec, self._body
        fastest = max(spec.speed_limit, float(np.hypot(body[:, 7], body[:, 8]).max()))
        solids = self._solids
        reach = (
            2.0 * solids.half_diagonal
            + solids.margin
            + 2.0 * (fastest + SPARE_SPEED_M_S) / self.rate
        )
        away = body[:, None, :2] - body[None, :, :2]
        is_near = (away**2).sum(axis=-1) < reach**2
        is_near[self._is_lifted] = is_near[:, self._is_lifted] = False
        np.fill_diagonal(is_near, False)
        return is_near.any(axis=1)

    def _take_back_clear_cars(self, solids: Solids) -> None:
        """Let the twin drive the cars that are clear of all solids and did not touch any.

        Bullet keeps the impulses of a contact for its next step, so a car that has touched stays.
        """
        cars = np.flatnonzero(self._is_bullets & ~self._has_touched)
        if self._has_bullet_only or not len(cars):
            return
        clear = np.empty(len(cars), dtype=bool)
        is_clear(solids, cars, self._body, RETURN_MARGIN_M, clear)
        if self.is_together:
            clear &= ~self._is_car_near()[cars]
        self._take_back(cars[clear].tolist())

    def _publish(self) -> None:
        """Update the public `state` and `boxes` from the bodies."""
        publish_state(self._body, self.variation.shift, self.state.body, self.state.yaw)
        if self.is_together:
            lifted = self._is_lifted
            height = HOLD_HEIGHT_M + HOLD_SPACING_M * np.arange(self.n)
            self.state.body[lifted, 2] -= (height - self.variation.cars["mass_height"])[lifted]
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

        Args:
            left: Points of the left border [m], (N, 2).
            right: Points of the right border [m], (N, 2).
        """
        from racer.world.window import paint_road

        paint_road(self._clients[0], left, right)

    def follow(self, car: int) -> None:
        """Put the camera of Bullet's own window behind a car."""
        from racer.world.window import follow_car

        follow_car(self._clients[0], self._body[car], float(self.state.yaw[car]))

    def get_state(self) -> dict[str, Any]:
        """Return the state of the cars and their boxes; it can be pickled."""
        return {
            "world": take_snapshot(self, WORLD_STATE),
            "cars": {name: values.copy() for name, values in vars(self.state).items()},
            "walled_in": self._solids.walled_in.copy(),
            "variation": self.variation.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that `get_state` of a world of the same kind returned."""
        self._take_back(list(range(self.n)))
        # Else each state with a contact in it would need other bodies, and in time other clients.
        for client in self._clients:
            client.forget_contacts()
        for car, walls in enumerate(state["walled_in"].tolist()):
            self.set_walls(car, walls)
        self.variation.set_state(state["variation"])
        restore_snapshot(self, state["world"])
        for name, values in state["cars"].items():
            getattr(self.state, name)[...] = values
        are_bullets = self._is_bullets | (self._has_bullet_only & ~self._is_lifted)
        self._hand_over(np.flatnonzero(are_bullets).tolist())

    def close(self) -> None:
        """Free the Bullet clients; a second call does nothing."""
        for client in self._clients:
            client.close()


def _check_engine(engine: Engine, gui: bool, has_solids: bool) -> None:
    """Raise RacerError if an engine cannot drive such a race here."""
    if engine not in get_args(Engine):
        raise RacerError(f"engine must be one of {', '.join(get_args(Engine))}, got {engine!r}")
    if gui and not has_display():
        raise RacerError("no display for render_mode='human'; use 'rgb_array' or set DISPLAY")
    if engine == "twin" and (gui or has_solids):
        where = "Bullet's own window" if gui else "a race with walls, boxes, bots or other cars"
        raise RacerError(f"engine 'twin' drives free cars only, none in {where}; use engine 'auto'")
    if engine != "bullet" and not gui and not has_solids:
        return
    if not has_pybullet():
        raise EngineError(
            "a race with walls, boxes, bots or several cars on one road needs PyBullet, as does "
            "engine 'bullet', and it is not installed: pip install pybullet, on Linux x86-64 with "
            "CPython 3.10 or 3.11; without it, race a time trial without walls"
        )


def has_pybullet() -> bool:
    """Return whether PyBullet is installed, which races with solids need; it is not imported."""
    return importlib.util.find_spec("pybullet") is not None


def has_display() -> bool:
    """Return whether Bullet's own window can open here."""
    return bool(os.environ.get("DISPLAY"))
