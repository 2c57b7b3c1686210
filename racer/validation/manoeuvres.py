"""Manoeuvres of a car on an empty plane, for the tests and for the report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from racer.car.spec import GRAVITY, CarSpec
from racer.car.tyre_forces import BODY_ROW_LENGTH, tyre_wrench
from racer.track import Track
from racer.world import CONTROL_RATE_HZ, SUBSTEPS_PER_CONTROL, World, yaw_of

SUBSTEP_S = 1.0 / (CONTROL_RATE_HZ * SUBSTEPS_PER_CONTROL)
"""Duration of a physics step [s]."""


@contextmanager
def cars_on_plane(
    spec: CarSpec, n: int = 1, rate: int = CONTROL_RATE_HZ, substeps: int = SUBSTEPS_PER_CONTROL
) -> Iterator[World]:
    """Yield a world of cars at rest at the origin, for one manoeuvre.

    Args:
        spec: The car.
        n: Number of cars.
        rate: Commands per second, and rows per second of what `hold_commands` returns [Hz].
        substeps: Physics steps per command.
    """
    world = World(spec, n, rate=rate, substeps=substeps)
    try:
        yield world
    finally:
        world.close()


def hold_commands(world: World, steering, speed, seconds: float) -> np.ndarray:
    """Hold commands; return the body rows before and after each control step, (t + 1, n, 13).

    Args:
        world: The cars.
        steering: Steering command of every car [rad], a number or (n,).
        speed: Speed command of every car [m/s], a number or (n,).
        seconds: Duration [s].
    """
    command = np.empty((world.n, 2))
    command[:, 0], command[:, 1] = steering, speed
    rows = [world.state.body.copy()]
    for _ in range(round(seconds * world.rate)):
        rows.append(world.step(command).body.copy())
    return np.array(rows)


def brisk_speed(spec: CarSpec) -> float:
    """Return a brisk speed for a car of this size [m/s]: mu g on a radius of 8 wheelbases."""
    return float(np.sqrt(8.0 * spec.wheelbase * spec.friction * GRAVITY))


def speed_of(rows: np.ndarray) -> np.ndarray:
    """Return the speed over ground of body rows (..., 13) [m/s], (...)."""
    return np.hypot(rows[..., 7], rows[..., 8])


def slip_of(rows: np.ndarray) -> np.ndarray:
    """Return the angle from the heading to the velocity of body rows (..., 13) [rad], (...)."""
    angle = np.arctan2(rows[..., 8], rows[..., 7]) - yaw_of(rows)
    return (angle + np.pi) % (2 * np.pi) - np.pi


def lateral_acceleration(rows: np.ndarray) -> np.ndarray:
    """Return the mean acceleration across the path in each control step [m/s^2], left positive.

    Args:
        rows: What `hold_commands` returned, (t + 1, n, 13).

    Returns:
        (t, n).
    """
    before, after = rows[:-1, :, 7:9], rows[1:, :, 7:9]
    mean, change = (before + after) / 2, (after - before) * CONTROL_RATE_HZ
    across = mean[..., 0] * change[..., 1] - mean[..., 1] * change[..., 0]
    return across / np.hypot(mean[..., 0], mean[..., 1])


def wheel_loads(spec: CarSpec, body: np.ndarray) -> np.ndarray:
    """Return the load on each strut at a settled attitude [N], (..., 4).

    The order is front left, front right, rear left, rear right. The loads follow from the pitch and
    roll of body rows (..., 13) and the stiffness of the struts alone.
    """
    x, y, z, w = np.moveaxis(body[..., 3:7], -1, 0)
    forward, left = 2.0 * (x * z - y * w), 2.0 * (y * z + x * w)
    omega = 2.0 * np.pi * spec.suspension_frequency
    arms = np.array([spec.to_front_axle] * 2 + [-spec.to_rear_axle] * 2)
    sides = np.array([0.5, -0.5, 0.5, -0.5]) * spec.tread
    lift = arms * forward[..., None] + sides * left[..., None]
    strut = body[..., 2, None] + lift - spec.mass_height
    share = 0.5 * (1.0 - np.abs(arms) / spec.wheelbase)
    return spec.mass * share * (GRAVITY - omega**2 * strut)


def turning_radius(spec: CarSpec, angles: np.ndarray, speed: float = 0.3) -> np.ndarray:
    """Return the radius of the circle of the rear axle's middle [m], left positive, (n,).

    Args:
        spec: The car.
        angles: Steering commands [rad], (n,).
        speed: Speed that is held [m/s].
    """
    with cars_on_plane(spec, len(angles)) as world:
        hold_commands(world, angles, speed, 4.0)
        rows = hold_commands(world, angles, speed, 10.0)
    heading = yaw_of(rows)
    back = spec.to_rear_axle * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    chord = np.linalg.norm(np.diff(rows[..., :2] - back, axis=0), axis=-1)
    turned = np.unwrap(heading, axis=0)
    return chord.sum(axis=0) / (turned[-1] - turned[0])


@dataclass(frozen=True)
class SkidPad:
    """A slow turn of the wheels to full lock at a held speed.

    Attributes:
        steering: Angle of the front wheels after each step, without its sign [rad], (t,).
        lateral: Acceleration towards the inside [m/s^2], (t, n).
        speed: Speed that was held [m/s].
    """

    steering: np.ndarray
    lateral: np.ndarray
    speed: float

    @property
    def peak(self) -> np.ndarray:
        """Largest acceleration of each car [m/s^2], (n,)."""
        return self.lateral.max(axis=0)

    @property
    def peak_steering(self) -> float:
        """Angle of the front wheels at the first car's peak [rad]."""
        return float(self.steering[self.lateral[:, 0].argmax()])


def skid_pad(
    spec: CarSpec, headings: np.ndarray, sides: np.ndarray, speed: float, seconds: float = 8.0
) -> SkidPad:
    """Turn the wheels of n cars slowly to full lock.

    Args:
        spec: The car.
        headings: Initial headings [rad], (n,).
        sides: The side that each turns to: 1 left, -1 right, (n,).
        speed: Speed that is held [m/s].
        seconds: Duration of the turn [s].
    """
    n = len(headings)
    with cars_on_plane(spec, n) as world:
        world.reset(np.arange(n), np.zeros((n, 2)), headings)
        hold_commands(world, 0.0, speed, 3.0)
        steering, lateral = [], []
        for part in np.linspace(0.0, 1.0, round(seconds * CONTROL_RATE_HZ)):
            rows = hold_commands(
                world, sides * part * spec.steering_limit, speed, 1.0 / CONTROL_RATE_HZ
            )
            steering.append(abs(world.state.steering[0]))
            lateral.append(sides * lateral_acceleration(rows)[0])
    return SkidPad(np.array(steering), np.array(lateral), speed)


@dataclass(frozen=True)
class StraightRun:
    """A straight run from the moment when the command changes; all arrays have t rows.

    Attributes:
        time: Time since then [s], (t,).
        distance: Distance since then [m], (t,).
        speed: Forward speed [m/s], (t,).
        body: Body rows, (t, 13).
    """

    time: np.ndarray
    distance: np.ndarray
    speed: np.ndarray
    body: np.ndarray


def straight(spec: CarSpec, before: float, after: float, seconds: float) -> StraightRun:
    """Settle at one speed, then command another; return a row for each physics step.

    Args:
        spec: The car.
        before: The first speed [m/s].
        after: The second speed [m/s].
        seconds: Duration after the change [s].
    """
    with cars_on_plane(spec, 1, round(1.0 / SUBSTEP_S), 1) as world:
        hold_commands(world, 0.0, before, 5.0 if before else 1.0)
        rows = hold_commands(world, 0.0, after, seconds)[:, 0]
    time = np.arange(len(rows)) * SUBSTEP_S
    return StraightRun(time, rows[:, 0] - rows[0, 0], rows[:, 7], rows)


def full_stop(spec: CarSpec, speed: float) -> StraightRun:
    """Lock the wheels at a speed [m/s], with brakes beyond the grip until the car stands."""
    return straight(replace(spec, brake_acceleration=50.0, speed_gain=200.0), speed, 0.0, 1.5)


def coast_down(spec: CarSpec, speed: float, seconds: float = 6.0) -> StraightRun:
    """Drive a speed and take drive and brakes away, so that only drag slows the car.

    Args:
        spec: The car.
        speed: Initial speed [m/s].
        seconds: Duration [s].
    """
    return straight(replace(spec, brake_acceleration=0.0), speed, 0.0, seconds)


def hold_still(spec: CarSpec, steering: np.ndarray, seconds: float = 60.0) -> tuple[float, float]:
    """Stop with turned wheels and wait; return the largest drift [m] and turn [rad] from then on.

    Args:
        spec: The car.
        steering: Steering commands [rad], (n,).
        seconds: Duration of the wait [s].
    """
    with cars_on_plane(spec, len(steering)) as world:
        hold_commands(world, steering, 2.0, 2.0)
        hold_commands(world, steering, 0.0, 5.0)
        rows = hold_commands(world, steering, 0.0, seconds)
    drift = np.hypot(*(rows[..., :2] - rows[0, :, :2]).T).max()
    return float(drift), float(np.abs(yaw_of(rows) - yaw_of(rows[0])).max())


def unrest(spec: CarSpec) -> float:
    """Return the largest change of yaw rate between two physics steps in slow steady turns [rad/s].

    The speeds are 0 to 1.2 m/s and the angles those of both sides: a tyre too stiff for the physics
    step makes the car tremble there.
    """
    steering = np.linspace(-0.8, 0.8, 16) * spec.steering_limit
    speed = np.linspace(0.0, 1.2, 16)
    with cars_on_plane(spec, 16, round(1.0 / SUBSTEP_S), 1) as world:
        hold_commands(world, steering, speed, 4.0)
        rows = hold_commands(world, steering, speed, 0.5)
    return float(np.abs(np.diff(rows[..., 12], axis=0)).max())


@dataclass(frozen=True)
class SettledTurns:
    """Steady turns of n cars.

    Attributes:
        steering: Steering commands [rad], (n,).
        speed: Speeds over ground [m/s], (n,).
        yaw_rate: Yaw rates [rad/s], (n,).
    """

    steering: np.ndarray
    speed: np.ndarray
    yaw_rate: np.ndarray

    @property
    def lateral(self) -> np.ndarray:
        """Acceleration across the path [m/s^2], (n,)."""
        return self.speed * self.yaw_rate


def settled_turns(spec: CarSpec, steering: np.ndarray, speed: np.ndarray) -> SettledTurns:
    """Reach a speed, turn the wheels, and wait until the turn is steady, each car on its own.

    Args:
        spec: The car.
        steering: Steering commands [rad], (n,).
        speed: Speed commands [m/s], (n,).
    """
    with cars_on_plane(spec, len(steering)) as world:
        hold_commands(world, 0.0, speed, 4.0)
        hold_commands(world, steering, speed, 3.0)
        rows = hold_commands(world, steering, speed, 1.0)
    return SettledTurns(steering, speed_of(rows).mean(axis=0), rows[..., 12].mean(axis=0))


def settled_turn(spec: CarSpec, steering: float, speed: float) -> tuple[float, np.ndarray]:
    """Return the lateral acceleration [m/s^2] and the body rows (t, 13) of a steady turn of 1 s.

    Args:
        spec: The car.
        steering: Steering command [rad].
        speed: Speed command [m/s].
    """
    with cars_on_plane(spec) as world:
        hold_commands(world, 0.0, speed, 5.0)
        hold_commands(world, steering, speed, 3.0)
        rows = hold_commands(world, steering, speed, 1.0)
        return float(lateral_acceleration(rows).mean()), rows[:, 0]


@dataclass(frozen=True)
class SteerResponse:
    """The response of a car to a step of the steering.

    Attributes:
        time: Time since the step [s], (t,).
        yaw_rate: Yaw rate [rad/s], (t,).
        slip: Angle from heading to velocity at the centre of mass [rad], (t,).
    """

    time: np.ndarray
    yaw_rate: np.ndarray
    slip: np.ndarray

    @property
    def settled(self) -> float:
        """Yaw rate at the end [rad/s]."""
        return float(self.yaw_rate[-30:].mean())

    @property
    def rise_time(self) -> float:
        """Time from 10 to 90 % of the settled yaw rate [s]."""
        share = self.yaw_rate / self.settled
        first = [int(np.argmax(share >= level)) for level in (0.1, 0.9)]
        early, late = (
            np.interp(level, share[i - 1 : i + 1], self.time[i - 1 : i + 1])
            for i, level in zip(first, (0.1, 0.9))
        )
        return float(late - early)

    @property
    def overshoot(self) -> float:
        """Highest yaw rate divided by the settled one, minus one."""
        return float(self.yaw_rate.max() / self.settled - 1.0)

    @property
    def settled_slip(self) -> float:
        """Slip angle at the end [rad]."""
        return float(self.slip[-30:].mean())


def step_steer(spec: CarSpec, speed: float, angle: float, seconds: float = 1.5) -> SteerResponse:
    """Turn the wheels at once at a speed; return a row for each physics step.

    Args:
        spec: The car.
        speed: Speed that is held [m/s].
        angle: Steering command [rad].
        seconds: Duration after the step [s].
    """
    with cars_on_plane(spec, 1, round(1.0 / SUBSTEP_S), 1) as world:
        hold_commands(world, 0.0, speed, 5.0)
        rows = hold_commands(world, angle, speed, seconds)[:, 0]
    return SteerResponse(np.arange(len(rows)) * SUBSTEP_S, rows[:, 12], slip_of(rows))


def combined_slip(
    spec: CarSpec, slips: np.ndarray, demands: np.ndarray, speed: float = 3.0
) -> np.ndarray:
    """Return the force of all tyres on a level car that slides, over its weight, forward and left.

    Args:
        spec: The car; its drag is left out.
        slips: Angles of the slide [rad], (k,).
        demands: Acceleration demanded of motor and brakes [m/s^2], (m,).
        speed: Speed over ground [m/s].

    Returns:
        (k, m, 2).
    """
    strong = replace(
        spec,
        air_drag=0.0,
        rolling_resistance=0.0,
        drive_acceleration=100.0,
        drive_knee_speed=100.0,
        drive_top_speed=200.0,
        brake_acceleration=100.0,
    )
    angle, demand = (grid.ravel() for grid in np.meshgrid(slips, demands, indexing="ij"))
    n = len(angle)
    body = np.zeros((n, BODY_ROW_LENGTH))
    body[:, 2], body[:, 6] = spec.mass_height, 1.0
    body[:, 7], body[:, 8] = speed * np.cos(angle), speed * np.sin(angle)
    asked = np.stack([np.zeros(n), body[:, 7] + demand / spec.speed_gain], axis=1)
    force, torque = np.empty((n, 3)), np.empty((n, 3))
    tyre_wrench(
        *(strong.parameters(n), body, np.zeros(n), asked, SUBSTEP_S, force, torque, np.arange(n))
    )
    return (force[:, :2] / (spec.mass * GRAVITY)).reshape(len(slips), len(demands), 2)


def driven_lap_time(
    spec: CarSpec, track: Track, speed: float, substeps: int = SUBSTEPS_PER_CONTROL
) -> float:
    """Return the second lap's time of a driver who steers at a point of the centre line ahead [s].

    Args:
        spec: The car.
        track: The road.
        speed: Speed command [m/s].
        substeps: Physics steps per command.

    Raises:
        RuntimeError: The car does not finish two laps.
    """
    ahead = 3.0 * spec.wheelbase
    with cars_on_plane(spec, 1, CONTROL_RATE_HZ, substeps) as world:
        world.reset(np.zeros(1, int), track.centre[:1], track.heading[:1])
        driven, last, crossed = 0.0, 0.0, []
        for step in range(1, round(4.0 * track.length / speed * CONTROL_RATE_HZ)):
            state = world.state
            place = track.locate(state.xy)
            gap = track.at(place.s + ahead)[0][0] - state.xy[0]
            sight = np.arctan2(gap[1], gap[0]) - state.yaw[0]
            angle = np.arctan(2.0 * spec.wheelbase * np.sin(sight) / np.hypot(*gap))
            s = float(track.locate(world.step(np.array([[angle, speed]])).xy).s[0])
            moved = (s - last + track.length / 2) % track.length - track.length / 2
            driven, last = driven + moved, s
            if driven >= (len(crossed) + 1) * track.length:
                over = driven - (len(crossed) + 1) * track.length
                crossed.append((step - over / moved) / CONTROL_RATE_HZ)
            if len(crossed) == 2:
                return crossed[1] - crossed[0]
    raise RuntimeError(f"{spec.name} did not come round {track.name} twice")


def random_drive(
    spec: CarSpec, n: int = 1, car: int = 0, mirror: float = 1.0, resets: int = 0
) -> np.ndarray:
    """Return the body rows of one car that drives random commands from the origin, (t, 13).

    The commands are the same in every call.

    Args:
        spec: The car.
        n: Number of cars in its world; the others have other commands.
        car: Index of the car among them.
        mirror: -1 steers each command to the other side.
        resets: How often the car first drives somewhere else and is put back.
    """
    rng = np.random.default_rng(7)
    low, high = (-spec.steering_limit, 0.0), (spec.steering_limit, brisk_speed(spec))
    own = rng.uniform(low, high, (150, 2)) * (mirror, 1.0)
    others = rng.uniform(low, high, (150, n, 2))
    with cars_on_plane(spec, n) as world:
        for turn in range(resets):
            steering, speed = others[turn, car]
            hold_commands(world, steering, speed, 1.0 + turn)
            world.reset(np.arange(n), np.zeros((n, 2)), np.zeros(n))
        rows = []
        for command, own_command in zip(others, own):
            command[car] = own_command
            rows.append(world.step(command).body[car].copy())
    return np.array(rows)


def array_sha256(rows: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes, in hexadecimal."""
    return hashlib.sha256(rows.tobytes()).hexdigest()
