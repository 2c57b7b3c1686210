"""A car's numbers, each with its source."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from racer.errors import ConfigError

GRAVITY = 9.81
"""[m/s^2]"""


@dataclass(frozen=True)
class CarSpec:
    """A four-wheel car on struts. SI units; x forward, y left, z up, origin in the centre of mass.

    One motor drives both axles, which share drive and brake as they share the load; an open
    differential halves each axle's part. Speed is held by a proportional controller whose force is
    limited by the motor, the brakes and each tyre's grip.
    """

    name: str
    mass: float
    inertia_x: float
    inertia_y: float
    inertia_z: float
    body_length: float
    body_width: float
    body_height: float
    """Of the box that collides, which has the centre of mass in its middle [m]."""
    shell_height: float
    """How high over the road others see it, lidar and all [m]."""
    to_front_axle: float
    to_rear_axle: float
    tread: float
    wheel_radius: float
    mass_height: float
    """Height of the centre of mass over the road at rest [m]."""
    friction: float
    """Peak friction coefficient of a tyre on the road at its static load."""
    load_sensitivity: float
    """Share of friction that a tyre loses, to first order, where its load doubles; 0 to below 1."""
    stiffness_front: float
    """Cornering stiffness a unit load and unit friction [1/rad]."""
    stiffness_rear: float
    slip_speed: float
    """Below this speed [m/s] slip is taken relative to it, so that a car at rest is quiet."""
    suspension_frequency: float
    """Undamped heave frequency [Hz]."""
    suspension_damping: float
    """Share of critical damping."""
    steering_limit: float
    steering_rate: float
    """Fastest turn of the front wheels [rad/s]."""
    steering_lag: float
    """Time constant of the first-order servo below its fastest turn [s]."""
    speed_limit: float
    """Highest speed that may be commanded [m/s]."""
    speed_gain: float
    """Acceleration asked for a unit of speed error [1/s]."""
    drive_acceleration: float
    """Largest drive force over mass [m/s^2]."""
    drive_knee_speed: float
    """Above this speed [m/s] the motor gives constant power, not constant force."""
    drive_top_speed: float
    """No-load speed of the motor [m/s], where its force has fallen to nothing."""
    brake_acceleration: float
    """Largest braking force over mass [m/s^2]."""
    rolling_resistance: float
    """Rolling drag over weight."""
    air_drag: float
    """Half air density x drag coefficient x frontal area [kg/m]."""

    @property
    def wheelbase(self) -> float:
        """Distance between the axles [m]."""
        return self.to_front_axle + self.to_rear_axle

    def parameters(self, n: int) -> np.ndarray:
        """The numbers as n rows of a structured array, one a car, for the force kernel."""
        numbers = {key: value for key, value in asdict(self).items() if key != "name"}
        dtype = np.dtype([(key, np.float64) for key in numbers])
        return np.array([tuple(numbers.values())] * n, dtype=dtype)


def deepracer() -> CarSpec:
    """The real 1/18 car of about 2 kg on rubber tyres, not the 7.5 kg car of its simulation.

    Geometry, steering and speed limits: the URDF and documents of the public DeepRacer
    simulation. Mass: the car as sold, about 2 kg with its batteries. Inertia: a homogeneous box
    between the outer edges of the wheels (0.236 x 0.160 m, 0.08 m high). Friction: that of
    F1TENTH's simulator (O'Kelly et al., 2020).

    Cornering stiffness is ours. F1TENTH's 4.7 and 5.5 slide only at 32 and 29 degrees of slip, at
    this car's lock. The tyre fits of two 1/10 cars in ETH Zurich's public race stack (ForzaETH,
    system identification) give 7 at the front and 20 at the rear a unit load; ours lie between them
    (14.7 and 17.0 with the friction), keep F1TENTH's balance of front to rear, and slide at 12 and
    10 degrees. Slip below 1 m/s is taken relative to 1 m/s, which keeps such stiff tyres quiet at
    240 Hz even with 1.3 times the friction.

    Load sensitivity is ours too, a third of a passenger car tyre's 0.15 (Pacejka, Tire and Vehicle
    Dynamics, table A3.1). Height of mass and shell, struts, servo, motor and drag have no public
    source: ours, in the range of 1/18 to 1/10 RC cars (servo 0.10 s for 60 degrees with a bandwidth
    of 5 Hz; 0.5 g of drive; no-load speed twice the highest command).
    """
    mass, length, width, height = 2.0, 0.236, 0.160, 0.08
    return CarSpec(
        name="deepracer",
        mass=mass,
        inertia_x=mass / 12 * (width**2 + height**2),
        inertia_y=mass / 12 * (length**2 + height**2),
        inertia_z=mass / 12 * (length**2 + width**2),
        body_length=0.3235,
        body_width=0.196,
        body_height=0.10,
        shell_height=0.20,
        to_front_axle=0.082,
        to_rear_axle=0.082,
        tread=0.160,
        wheel_radius=0.036,
        mass_height=0.05,
        friction=1.0489,
        load_sensitivity=0.05,
        stiffness_front=14.0,
        stiffness_rear=16.2,
        slip_speed=1.0,
        suspension_frequency=5.0,
        suspension_damping=0.6,
        steering_limit=np.deg2rad(30.0),
        steering_rate=np.deg2rad(60.0) / 0.10,
        steering_lag=0.03,
        speed_limit=4.0,
        speed_gain=12.0,
        drive_acceleration=5.0,
        drive_knee_speed=2.5,
        drive_top_speed=8.0,
        brake_acceleration=8.0,
        rolling_resistance=0.02,
        air_drag=0.5 * 1.204 * 0.9 * 0.196 * 0.12,
    )


def f1tenth() -> CarSpec:
    """The 1/10 car of the F1TENTH races, with the numbers of its simulator.

    Mass, yaw inertia, axles, height of mass, friction, cornering stiffness, steering limit and
    rate, length, width, drive and braking (9.51 m/s^2, constant power above 7.319 m/s) and top
    speed (20 m/s): f1tenth_gym's default parameters (O'Kelly et al., 2020). Speed gain: that of its
    speed controller, 10 times acceleration over top speed. Tread and wheel radius: the parameters
    of f1tenth_simulator. Steering lag: the 1/10 car of TUM Phoenix (trajectory tracking control,
    0.05 s); f1tenth_gym's servo has none. Body height, roll and pitch inertia (a homogeneous box
    0.15 m high), struts, load sensitivity and drag are ours, as for `deepracer`.
    """
    mass, length, width, height = 3.74, 0.58, 0.31, 0.15
    return CarSpec(
        name="f1tenth",
        mass=mass,
        inertia_x=mass / 12 * (width**2 + height**2),
        inertia_y=mass / 12 * (length**2 + height**2),
        inertia_z=0.04712,
        body_length=length,
        body_width=width,
        body_height=height,
        shell_height=0.20,
        to_front_axle=0.15875,
        to_rear_axle=0.17145,
        tread=0.2032,
        wheel_radius=0.0508,
        mass_height=0.074,
        friction=1.0489,
        load_sensitivity=0.05,
        stiffness_front=4.718,
        stiffness_rear=5.456,
        slip_speed=0.5,
        suspension_frequency=5.0,
        suspension_damping=0.6,
        steering_limit=0.4189,
        steering_rate=3.2,
        steering_lag=0.05,
        speed_limit=20.0,
        speed_gain=10.0 * 9.51 / 20.0,
        drive_acceleration=9.51,
        drive_knee_speed=7.319,
        drive_top_speed=20.0,
        brake_acceleration=9.51,
        rolling_resistance=0.02,
        air_drag=0.5 * 1.204 * 0.9 * 0.31 * 0.15,
    )


CAR_PRESETS: dict[str, Callable[[], CarSpec]] = {"deepracer": deepracer, "f1tenth": f1tenth}
"""Every shipped car by its name; the first is the default."""


def car_named(name: str) -> CarSpec:
    """A shipped car.

    Raises:
        ConfigError: No car has that name.
    """
    if name not in CAR_PRESETS:
        near = difflib.get_close_matches(name, CAR_PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(CAR_PRESETS)}"
        raise ConfigError(f"no car {name!r}{hint}")
    return CAR_PRESETS[name]()


def _known(name: str) -> str:
    try:
        return car_named(name).name
    except ConfigError as problem:
        raise ValueError(str(problem)) from problem


CarName = Annotated[str, AfterValidator(_known)]
"""The name of a shipped car, in a config or a manifest."""
