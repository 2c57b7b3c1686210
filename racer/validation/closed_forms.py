"""What a manoeuvre should measure: closed forms, and published single-track models."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from racer.car.spec import GRAVITY, CarSpec
from racer.validation.manoeuvres import SUBSTEP_S, SteerResponse

SHAPE, CURVATURE = 0.84, 0.0
"""C and E of the magic formula nearest to the brush tyre up to 70 % of its grip, which holds the
step steer: their forces differ by less than 4.9 % (least largest difference, fitted here)."""


def axle_friction(spec: CarSpec, shift: float) -> float:
    """Friction of an axle whose wheels carry 1 + shift and 1 - shift of their static load."""
    loads = np.array([1.0 + shift, 1.0 - shift])
    return float(np.mean(spec.friction * loads / (1.0 + spec.load_sensitivity * (loads - 1.0))))


def lateral_limit(spec: CarSpec, steering: float) -> float:
    """Lateral acceleration with both front tyres at their grip [m/s^2].

    The wheels' own angle costs its cosine. Its sine makes the outer front wheel, which carries and
    so drags more, turn the car outwards; the rear axle gives up force to hold that. From lateral
    force and yaw moment: a = mu g cos(delta) / (1 + mu h / L sin(delta)), mu at the shifted loads.
    """
    limit = spec.friction * GRAVITY
    for _ in range(20):
        mu = axle_friction(spec, min(2.0 * limit * spec.mass_height / (GRAVITY * spec.tread), 1.0))
        lost = 1.0 + mu * spec.mass_height / spec.wheelbase * np.sin(steering)
        limit = mu * GRAVITY * np.cos(steering) / lost
    return float(limit)


def braking_limit(spec: CarSpec) -> float:
    """Deceleration with every wheel locked [m/s^2]: mu g, with mu at the shifted loads."""
    front = spec.to_rear_axle / spec.wheelbase
    limit = spec.friction * GRAVITY
    for _ in range(20):
        moved = limit * spec.mass_height / (GRAVITY * spec.wheelbase)
        loads = np.array([front + moved, 1.0 - front - moved])
        share = loads / (front, 1.0 - front)
        grip = loads / (1.0 + spec.load_sensitivity * (share - 1.0))
        limit = spec.friction * GRAVITY * float(grip.sum())
    return limit


def coasting_speed(spec: CarSpec, start: float, time: np.ndarray | float) -> np.ndarray:
    """Speed of a car that only its drag slows [m/s]: dv/dt = -c_r g - (c_a / m) v^2, solved."""
    rolling, air = spec.rolling_resistance * GRAVITY, spec.air_drag / spec.mass
    root = np.sqrt(air / rolling)
    return np.tan(np.arctan(start * root) - np.asarray(time) * np.sqrt(rolling * air)) / root


def drive_acceleration_limit(spec: CarSpec, speed: np.ndarray) -> np.ndarray:
    """Largest drive force over mass at a speed [m/s^2]: its torque-speed curve."""
    knee, top = spec.drive_knee_speed, spec.drive_top_speed
    fading = np.minimum(knee / np.maximum(speed, knee), (top - speed) / (top - knee))
    return spec.drive_acceleration * np.clip(fading, 0.0, 1.0)


def understeer_gradient(spec: CarSpec) -> float:
    """Steering a unit lateral acceleration beyond L / R [rad s^2/m], linear single track."""
    softer = 1.0 / spec.stiffness_front - 1.0 / spec.stiffness_rear
    return softer / (spec.friction * GRAVITY)


def yaw_gain(spec: CarSpec, speed: np.ndarray | float) -> np.ndarray:
    """Settled yaw rate a unit of steering [1/s], linear single track: v / (L + K v^2)."""
    speed = np.asarray(speed)
    return speed / (spec.wheelbase + understeer_gradient(spec) * speed**2)


def has_single_track_drift() -> bool:
    """Whether commonroad-vehicle-models is installed here."""
    return find_spec("vehiclemodels") is not None


def single_track_drift(spec: CarSpec, speed: float, angle: float, seconds: float) -> SteerResponse:
    """A step of the steering in commonroad-vehicle-models' STD model, with this car's numbers.

    Mass, yaw inertia, axles, height of mass, servo, speed controller and drive split are the
    car's. STD has one tyre for both axles, so that the car must have equal stiffness front and
    rear. Its lateral force is a magic formula K alpha at small slip and D at most: D is friction x
    load, K friction x load x stiffness, and C and E are those nearest the brush. The formula's
    camber and shift terms, which our tyre does not have, are zero. Longitudinal slip keeps the
    package's stiffness, with this friction.
    """
    from scipy.integrate import solve_ivp
    from vehiclemodels.init_std import init_std
    from vehiclemodels.vehicle_dynamics_std import vehicle_dynamics_std

    if spec.stiffness_front != spec.stiffness_rear:
        raise ValueError("the STD model has one tyre: give both axles the same stiffness")
    numbers = _std_numbers(spec)

    def change(_time: float, x: np.ndarray) -> list[float]:
        lag = max(spec.steering_lag, SUBSTEP_S / 10)
        turn = float(np.clip((angle - x[2]) / lag, -spec.steering_rate, spec.steering_rate))
        push = spec.speed_gain * (speed - x[3] * np.cos(x[6]))
        return vehicle_dynamics_std(list(x), [turn, push], numbers)

    time = np.arange(round(seconds / SUBSTEP_S) + 1) * SUBSTEP_S
    start = init_std([0.0, 0.0, 0.0, speed, 0.0, 0.0, 0.0], numbers)
    # Without a longest step the solver could pass over the servo's few milliseconds.
    options: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-9, "max_step": SUBSTEP_S}
    x = solve_ivp(change, (0.0, time[-1]), start, "LSODA", time, **options).y
    return SteerResponse(time, x[5], x[6])


def _std_numbers(spec: CarSpec) -> Any:
    from vehiclemodels.vehicle_parameters import setup_vehicle_parameters

    p: Any = setup_vehicle_parameters(vehicle_id=2)
    p.m, p.I_z, p.h_s = spec.mass, spec.inertia_z, spec.mass_height
    p.a, p.b, p.R_w = spec.to_front_axle, spec.to_rear_axle, spec.wheel_radius
    # A disc of 1 % of the car's mass for each of two wheels; our wheels have no inertia.
    p.I_y_w = 0.01 * spec.mass * spec.wheel_radius**2
    p.T_se = p.T_sb = spec.to_rear_axle / spec.wheelbase
    p.steering.max, p.steering.min = spec.steering_limit, -spec.steering_limit
    p.steering.v_max, p.steering.v_min = spec.steering_rate, -spec.steering_rate
    p.longitudinal.a_max = spec.drive_acceleration
    p.longitudinal.v_switch = spec.drive_knee_speed
    p.longitudinal.v_max = spec.drive_top_speed
    tyre = p.tire
    tyre.p_dy1 = tyre.p_dx1 = spec.friction
    tyre.p_ky1 = -spec.friction * spec.stiffness_front
    tyre.p_cy1, tyre.p_ey1 = SHAPE, CURVATURE
    for shift in ("p_hx1", "p_vx1", "p_hy1", "p_vy1", "r_hx1", "r_hy1", "r_vy1", "p_dy3"):
        setattr(tyre, shift, 0.0)
    return p
