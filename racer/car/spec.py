"""A car's numbers, each with its source."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

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
    to_front_axle: float
    to_rear_axle: float
    tread: float
    wheel_radius: float
    mass_height: float
    """Height of the centre of mass over the road at rest [m]."""
    friction: float
    """Peak friction coefficient of tyre on road."""
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
    speed_limit: float
    """Highest speed that may be commanded [m/s]."""
    speed_gain: float
    """Acceleration asked for a unit of speed error [1/s]."""
    drive_acceleration: float
    """Largest drive force over mass [m/s^2]."""
    drive_knee_speed: float
    """Above this speed [m/s] the motor gives constant power."""
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
    simulation. Mass: the car as sold, about 2 kg with its batteries. Friction and cornering
    stiffness: the identified RC-car tyres of F1TENTH (O'Kelly et al., 2020: mu 1.0489, C_Sf
    4.718, C_Sr 5.456). Inertia: a homogeneous box between the outer edges of the wheels (0.236 x
    0.160 m, 0.08 m high). Height of mass, struts, servo rate, motor and drag have no public
    source: they are ours, in the range of 1/18 to 1/10 RC cars (servo 0.10 s for 60 degrees; 0.5 g
    of drive).
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
        to_front_axle=0.082,
        to_rear_axle=0.082,
        tread=0.160,
        wheel_radius=0.036,
        mass_height=0.05,
        friction=1.0489,
        stiffness_front=4.718,
        stiffness_rear=5.456,
        slip_speed=0.5,
        suspension_frequency=5.0,
        suspension_damping=0.6,
        steering_limit=np.deg2rad(30.0),
        steering_rate=np.deg2rad(60.0) / 0.10,
        speed_limit=4.0,
        speed_gain=12.0,
        drive_acceleration=5.0,
        drive_knee_speed=2.5,
        brake_acceleration=8.0,
        rolling_resistance=0.02,
        air_drag=0.5 * 1.204 * 0.9 * 0.196 * 0.12,
    )
