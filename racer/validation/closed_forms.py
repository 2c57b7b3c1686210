"""What a manoeuvre should measure: closed forms, and published single-track models."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from racer.car.spec import GRAVITY, CarSpec
from racer.validation.manoeuvres import SUBSTEP_S, SteerResponse

SHAPE, CURVATURE = 0.84, 0.0
"""C and E of the magic formula nearest to the brush tyre up to 70 % of its grip, which includes the
step steer: their forces differ by less than 4.9 % (smallest largest difference, fitted here)."""


def axle_friction(spec: CarSpec, shift: float) -> float:
    """Return the friction of an axle with the loads 1 + shift and 1 - shift of its wheels.

    The loads are relative to the wheels' static load.
    """
    loads = np.array([1.0 + shift, 1.0 - shift])
    return float(np.mean(spec.friction * loads / (1.0 + spec.load_sensitivity * (loads - 1.0))))


def lateral_limit(spec: CarSpec, steering: float) -> float:
    """Return the lateral acceleration with both front tyres at their grip [m/s^2].

    The wheels' own angle reduces it by its cosine. Because of its sine the outer front wheel, which
    carries and so drags more, turns the car outwards, and the rear axle gives up force against
    that. From lateral force and yaw moment: a = mu g cos(delta) / (1 + mu h / L sin(delta)), with
    mu at the shifted loads.
    """
    limit = spec.friction * GRAVITY
    for _ in range(20):  # A fixed point: the load that moves depends on the limit itself.
        mu = axle_friction(spec, min(2.0 * limit * spec.mass_height / (GRAVITY * spec.tread), 1.0))
        lost = 1.0 + mu * spec.mass_height / spec.wheelbase * np.sin(steering)
        limit = mu * GRAVITY * np.cos(steering) / lost
    return float(limit)


def braking_limit(spec: CarSpec) -> float:
    """Return the deceleration with every wheel locked [m/s^2]: mu g at the shifted loads."""
    front = spec.to_rear_axle / spec.wheelbase
    limit = spec.friction * GRAVITY
    for _ in range(20):  # A fixed point, as in `lateral_limit`.
        moved = limit * spec.mass_height / (GRAVITY * spec.wheelbase)
        loads = np.array([front + moved, 1.0 - front - moved])
        share = loads / (front, 1.0 - front)
        grip = loads / (1.0 + spec.load_sensitivity * (share - 1.0))
        limit = spec.friction * GRAVITY * float(grip.sum())
    return limit


def coasting_speed(spec: CarSpec, start: float, time: np.ndarray | float) -> np.ndarray:
    """Return the speed of a car that only its drag slows [m/s].

    The solution of dv/dt = -c_r g - (c_a / m) v^2.

    Args:
        spec: The car.
        start: Speed at time 0 [m/s].
        time: Times [s], of any shape.
    """
    rolling, air = spec.rolling_resistance * GRAVITY, spec.air_drag / spec.mass
    root = np.sqrt(air / rolling)
    return np.tan(np.arctan(start * root) - np.asarray(time) * np.sqrt(rolling * air)) / root


def drive_acceleration_limit(spec: CarSpec, speed: np.ndarray) -> np.ndarray:
    """Return the largest drive force divided by the mass at a speed [m/s^2].

    It is the motor's curve of torque over speed.
    """
    knee, top = spec.drive_knee_speed, spec.drive_top_speed
    fading = np.minimum(knee / np.maximum(speed, knee), (top - speed) / (top - knee))
    return spec.drive_acceleration * np.clip(fading, 0.0, 1.0)


def understeer_gradient(spec: CarSpec) -> float:
    """Return the understeer gradient of the linear single-track model [rad s^2/m].

    It is the steering per unit of lateral acceleration, beyond L / R.
    """
    softer = 1.0 / spec.stiffness_front - 1.0 / spec.stiffness_rear
    return softer / (spec.friction * GRAVITY)


def yaw_gain(spec: CarSpec, speed: np.ndarray | float) -> np.ndarray:
    """Return the settled yaw rate per unit of steering [1/s]: v / (L + K v^2).

    It is that of the linear single-track model.
    """
    speed = np.asarray(speed)
    return speed / (spec.wheelbase + understeer_gradient(spec) * speed**2)


def has_single_track_drift() -> bool:
    """Return whether commonroad-vehicle-models is installed."""
    return find_spec("vehiclemodels") is not None


def single_track_drift(spec: CarSpec, speed: float, angle: float, seconds: float) -> SteerResponse:
    """Return the response of commonroad-vehicle-models' STD model to a step of the steering.

    It has this car's mass, yaw inertia, axles, height of mass, servo, speed controller and drive
    split. STD has one tyre for both axles, so the car must have equal stiffness front and rear. Its
    lateral force is a magic formula: K alpha at small slip and D at most. D is friction x load, K
    is friction x load x stiffness, and C and E are those nearest to the brush tyre. The formula's
    camber and shift terms, which our tyre does not have, are zero. Longitudinal slip keeps the
    package's stiffness, with this friction.

    Args:
        spec: The car, with equal stiffness front and rear.
        speed: Speed that is held [m/s].
        angle: Angle that the front wheels are turned to [rad].
        seconds: Duration after the step [s].

    Raises:
        ValueError: The stiffness of the axles differs.
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
    # Without a largest step the solver could jump over the servo's few milliseconds.
    options: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-9, "max_step": SUBSTEP_S}
    x = solve_ivp(change, (0.0, time[-1]), start, "LSODA", time, **options).y
    return SteerResponse(time, x[5], x[6])


def _std_numbers(spec: CarSpec) -> Any:
    """Return STD's parameters for this car."""
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
