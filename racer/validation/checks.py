"""The gates that a car must pass: what each manoeuvre measures, against what it should measure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from racer.car.spec import GRAVITY, CarSpec
from racer.track import load_track
from racer.validation import closed_forms, manoeuvres
from racer.world import SUBSTEPS_PER_CONTROL

TEST_HEADINGS_RAD = np.deg2rad(np.tile([0.0, 15.0, 30.0, 45.0, 60.0, 90.0, 135.0, 200.0], 2))
"""Eight headings of the skid pad [rad], once for each side."""
TEST_SIDES = np.repeat([1.0, -1.0], 8)
"""The side that each car of the skid pad turns to: 1 left, -1 right."""

LAP_TRACK, LAP_SPEED = "oval", 3.0
"""The track and the speed [m/s] of the lap that is driven with half the substep."""

DIFFERING_ROWS = "rows that differ"
"""The beginning of a quantity that counts time steps whose state has other bits."""


@dataclass(frozen=True)
class VehicleCheck:
    """One measured quantity of a car.

    Attributes:
        gate: Number of the gate in docs/measurements.md.
        quantity: What was measured, in words.
        unit: Its unit.
        reference: What it should be.
        measured: What it is.
        limit: Largest allowed difference; None if the row is for information only.
        is_relative: Whether the difference is a share of the reference.
    """

    gate: int
    quantity: str
    unit: str
    reference: float
    measured: float
    limit: float | None
    is_relative: bool = True

    @property
    def difference(self) -> float:
        """Measured minus reference, as a share of the reference if `is_relative`."""
        gap = self.measured - self.reference
        return float(gap / self.reference if self.is_relative else gap)

    @property
    def is_passed(self) -> bool:
        """Whether the difference is within the limit; always true of a row for information only."""
        return self.limit is None or abs(self.difference) <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain JSON, with `difference` and `is_passed`."""
        row = {**asdict(self), "difference": self.difference, "is_passed": self.is_passed}
        return {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in row.items()
        }


def run_vehicle_checks(spec: CarSpec) -> list[VehicleCheck]:
    """Drive every manoeuvre and return its checks; STD is compared only if it is installed."""
    gates: list[Callable[[CarSpec], list[VehicleCheck]]] = [
        check_low_speed_turn,
        check_lateral_grip,
        check_braking_and_coasting,
        check_steady_cornering,
        check_combined_slip,
        check_half_substep,
        check_same_bits,
    ]
    if closed_forms.has_single_track_drift():
        gates.insert(4, check_step_steer)
    return [check for gate in gates for check in gate(spec)]


def check_low_speed_turn(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 1: the worst turning radius from 2 degrees to full lock, to both sides."""
    angles = np.linspace(np.deg2rad(2.0), spec.steering_limit, 7)
    angles = np.concatenate([angles, -angles])
    radius, ideal = manoeuvres.turning_radius(spec, angles), spec.wheelbase / np.tan(angles)
    worst = np.abs(radius / ideal - 1.0).argmax()
    name = f"turning radius at 0.3 m/s, {np.rad2deg(angles[worst]):.0f} deg"
    return [VehicleCheck(1, name, "m", float(ideal[worst]), float(radius[worst]), 0.01)]


def check_lateral_grip(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 2: peak lateral acceleration, against mu g and the limit of the front axle."""
    speed = manoeuvres.brisk_speed(spec)
    pad = manoeuvres.skid_pad(spec, TEST_HEADINGS_RAD, TEST_SIDES, speed)
    peak, ideal = float(pad.peak.mean()), spec.friction * GRAVITY
    limit = closed_forms.lateral_limit(spec, pad.peak_steering)
    where = f"skid pad at {speed:.1f} m/s"
    return [
        VehicleCheck(2, f"{where}: peak against mu g", "m/s^2", ideal, peak, None),
        VehicleCheck(2, f"{where}: peak, front axle's limit", "m/s^2", limit, peak, 0.05),
        VehicleCheck(
            2,
            f"{where}: spread, 8 headings, 2 sides",
            "",
            0.0,
            np.ptp(pad.peak) / peak,
            0.01,
            False,
        ),
    ]


def check_braking_and_coasting(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 3: locked wheels, the declared drag, and rest."""
    speed = manoeuvres.brisk_speed(spec)
    stop, coast = manoeuvres.full_stop(spec, speed), manoeuvres.coast_down(spec, speed)
    start, lost = coast.speed[0], float(coast.speed[0] - coast.speed[-1])
    square = float(stop.speed[0]) ** 2 / 2.0
    ideal, shifted = square / spec.friction / GRAVITY, square / closed_forms.braking_limit(spec)
    drag = float(start - closed_forms.coasting_speed(spec, start, coast.time[-1]))
    turned = np.array([0.0, 0.8, -0.8]) * spec.steering_limit
    drift, turn = manoeuvres.hold_still(spec, turned)
    unrest = manoeuvres.unrest(spec)
    gone = float(stop.distance[-1])
    return [
        VehicleCheck(
            3, f"locked wheels from {speed:.1f} m/s: v^2 / (2 mu g)", "m", ideal, gone, 0.02
        ),
        VehicleCheck(3, "the same, mu at the shifted loads", "m", shifted, gone, 0.02),
        VehicleCheck(3, "speed lost in 6 s of coasting", "m/s", drag, lost, 0.01),
        VehicleCheck(3, "drift at rest in a minute, wheels turned", "m", 0.0, drift, 1e-6, False),
        VehicleCheck(3, "turn at rest in a minute, wheels turned", "rad", 0.0, turn, 1e-6, False),
        VehicleCheck(3, "unrest of the yaw rate, 0 to 1.2 m/s", "rad/s", 0.0, unrest, 1e-6, False),
    ]


def without_drag(spec: CarSpec) -> CarSpec:
    """Return the car as single-track models see it, without drag.

    Drag makes a car understeer: rolling resistance grows with load and so turns the car outwards,
    and the drive force against drag takes load off the front axle. Single-track models have
    neither.
    """
    return replace(spec, rolling_resistance=0.0, air_drag=0.0)


def check_steady_cornering(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 4: yaw-rate gain and understeer gradient up to 5 % of mu g.

    Tyres are linear there.
    """
    pace, free, grip = manoeuvres.brisk_speed(spec), without_drag(spec), spec.friction * GRAVITY
    speeds = np.array([0.4, 0.7, 1.0]) * pace
    angles = 0.03 * grip / speeds / closed_forms.yaw_gain(spec, speeds)
    turns = manoeuvres.settled_turns(free, angles, speeds)
    checks = []
    for speed, measured in zip(turns.speed, turns.yaw_rate / angles):
        ideal = float(closed_forms.yaw_gain(spec, speed))
        name = f"yaw-rate gain at {speed:.1f} m/s"
        checks.append(VehicleCheck(4, name, "1/s", ideal, float(measured), 0.05))
    ideal, measured = closed_forms.understeer_gradient(spec), understeer_of(free, pace)
    name = f"understeer gradient at {pace:.1f} m/s"
    checks.append(VehicleCheck(4, name, "rad s^2/m", ideal, measured, 0.05))
    declared = understeer_of(spec, pace)
    checks.append(
        VehicleCheck(4, "the same with the car's drag", "rad s^2/m", ideal, declared, None)
    )
    return checks


def understeer_of(spec: CarSpec, speed: float) -> float:
    """Return the measured understeer gradient up to 5 % of mu g [rad s^2/m].

    It is the slope of the steering beyond L / R over the lateral acceleration.
    """
    asked = np.linspace(0.01, 0.05, 5) * spec.friction * GRAVITY
    angles = asked / speed / closed_forms.yaw_gain(spec, speed)
    turns = manoeuvres.settled_turns(spec, angles, np.full(5, speed))
    beyond = angles - spec.wheelbase * turns.yaw_rate / turns.speed
    return float(np.polyfit(turns.lateral, beyond, 1)[0])


def step_steer_case(spec: CarSpec) -> tuple[CarSpec, float, float]:
    """Return the car, the speed [m/s] and the angle [rad] of the step steer.

    The car has no drag and its mean stiffness on both axles, as STD requires. It turns at 30 % of
    mu g, where brush tyre and magic formula are close to each other, and far from the speed at
    which its slip angle changes sign: at twice that speed or, if it may not drive so fast, at 0.6
    of it.
    """
    mean = (spec.stiffness_front + spec.stiffness_rear) / 2.0
    neutral = replace(without_drag(spec), stiffness_front=mean, stiffness_rear=mean)
    grip = spec.friction * GRAVITY
    tangent = float(np.sqrt(spec.to_rear_axle * grip * mean))
    speed = 2.0 * tangent if 2.0 * tangent <= spec.speed_limit else 0.6 * tangent
    return neutral, speed, 0.3 * grip * spec.wheelbase / speed**2


def check_step_steer(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 5: the response to a step of the steering, against the STD model."""
    case = step_steer_case(spec)
    ours = manoeuvres.step_steer(*case)
    theirs = closed_forms.single_track_drift(*case, ours.time[-1])
    where = f"step steer at {case[1]:.1f} m/s:"
    # An overshoot close to zero has no meaningful relative difference: it is compared as it is.
    over = (theirs.overshoot, ours.overshoot)
    is_clear = theirs.overshoot > 0.01
    return [
        VehicleCheck(5, f"{where} rise time", "s", theirs.rise_time, ours.rise_time, 0.1),
        VehicleCheck(5, f"{where} overshoot", "", *over, 0.1 if is_clear else 0.01, is_clear),
        VehicleCheck(
            5, f"{where} settled slip", "rad", theirs.settled_slip, ours.settled_slip, 0.1
        ),
        VehicleCheck(5, f"{where} settled yaw rate", "rad/s", theirs.settled, ours.settled, 0.1),
    ]


def check_combined_slip(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 6: the friction circle over slides and demands, and the load transfer."""
    slips, demands = np.deg2rad(np.linspace(-40.0, 40.0, 81)), np.linspace(-20.0, 20.0, 81)
    force = np.linalg.norm(manoeuvres.combined_slip(spec, slips, demands), axis=-1)
    checks = [
        VehicleCheck(
            6, "combined slip: largest force over weight", "", spec.friction, force.max(), 1e-6
        )
    ]
    return checks + check_load_transfer(spec)


def check_load_transfer(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 6's load transfer: half of what one pair of wheels gains and the other loses."""
    pace, checks = manoeuvres.brisk_speed(spec), []
    # With this gain the controller stays at the limits of motor and brakes until it reaches speed.
    eager = replace(spec, speed_gain=200.0)
    for name, speeds in (("driving", (0.0, pace)), ("braking", (pace, 0.0))):
        run = manoeuvres.straight(eager, *speeds, 0.4)
        # The last 0.1 s, when the pitch has settled.
        rise = (run.speed[-1] - run.speed[-25]) / (run.time[-1] - run.time[-25])
        loads = manoeuvres.wheel_loads(spec, run.body[-25:]).mean(axis=0)
        front, rear, length = spec.to_front_axle, spec.to_rear_axle, spec.wheelbase
        moved = float(loads[2:].sum() * rear - loads[:2].sum() * front) / length
        ideal = float(spec.mass * rise * run.body[-25:, 2].mean() / length)
        checks.append(VehicleCheck(6, f"load transfer, {name}: m a h / L", "N", ideal, moved, 0.02))
    angle = 0.5 * spec.friction * GRAVITY / pace / float(closed_forms.yaw_gain(spec, pace))
    turn, rows = manoeuvres.settled_turn(spec, angle, pace)
    loads = manoeuvres.wheel_loads(spec, rows).mean(axis=0)
    moved = float(loads[1] + loads[3] - loads[0] - loads[2]) / 2.0
    ideal = float(spec.mass * turn * rows[:, 2].mean() / spec.tread)
    checks.append(VehicleCheck(6, "load transfer, turning: m a h / tread", "N", ideal, moved, 0.02))
    return checks


def check_half_substep(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 7: the time of a lap, against that with half the substep."""
    track = load_track(LAP_TRACK)
    fine, usual = (
        manoeuvres.driven_lap_time(spec, track, LAP_SPEED, k * SUBSTEPS_PER_CONTROL) for k in (2, 1)
    )
    return [
        VehicleCheck(7, f"lap of {LAP_TRACK}, against half the substep", "s", fine, usual, 0.002)
    ]


def check_same_bits(spec: CarSpec) -> list[VehicleCheck]:
    """Return gate 8: the same drive mirrored, after resets, among others and in another process."""
    alone = manoeuvres.random_drive(spec)
    signs = np.ones(alone.shape[1])
    signs[[1, 3, 5, 8, 10, 12]] = -1.0
    gap = float(np.abs(manoeuvres.random_drive(spec, mirror=-1.0) * signs - alone)[:, :2].max())
    program = (
        "import json, sys; from racer.car.spec import CarSpec;"
        "from racer.validation.manoeuvres import array_sha256, random_drive;"
        "print(array_sha256(random_drive(CarSpec(**json.loads(sys.argv[1])))))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, json.dumps(asdict(spec))],
        capture_output=True,
        text=True,
        check=True,
    )
    differing = {
        "after 3 resets": (manoeuvres.random_drive(spec, resets=3) != alone).any(axis=1).sum(),
        "among 8 cars": (manoeuvres.random_drive(spec, n=8, car=5) != alone).any(axis=1).sum(),
        "in another process": (other.stdout.strip() != manoeuvres.array_sha256(alone)) * len(alone),
    }
    checks = [VehicleCheck(8, "left turn against its mirror image", "m", 0.0, gap, 1e-9, False)]
    for name, count in differing.items():
        checks.append(
            VehicleCheck(8, f"{DIFFERING_ROWS} {name}", "", 0.0, float(count), 0.0, False)
        )
    return checks
