"""The parameters of each car, with the source of every number."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from racer.errors import ConfigError

GRAVITY = 9.81
"""Acceleration of free fall [m/s^2]."""


@dataclass(frozen=True)
class CarSpec:
    """The parameters of a four-wheel car on struts.

    Everything is in SI units; x points forward, y left and z up from the centre of mass. One motor
    drives both axles, which share its force, and that of the brakes, in the ratio of their loads;
    an open differential halves each axle's part. A proportional controller holds the speed, with a
    force limited by the motor, the brakes and each tyre's grip.
    """

    name: str
    mass: float
    inertia_x: float
    inertia_y: float
    inertia_z: float
    body_length: float
    body_width: float
    body_height: float
    """Height of the box that collides [m]; the centre of mass is in its middle."""
    shell_height: float
    """Height over the road up to which other cars see this one, lidar included [m]."""
    to_front_axle: float
    to_rear_axle: float
    tread: float
    wheel_radius: float
    mass_height: float
    """Height of the centre of mass over the road at rest [m]."""
    friction: float
    """Peak friction coefficient of a tyre on the road at its static load."""
    load_sensitivity: float
    """Share of its friction that a tyre loses, to first order, when its load doubles; 0 to
    below 1."""
    stiffness_front: float
    """Cornering stiffness per unit of load and of friction [1/rad]."""
    stiffness_rear: float
    """The same for the rear axle [1/rad]."""
    slip_speed: float
    """Below this speed [m/s] slip is taken relative to it, so that a car at rest does not
    tremble."""
    suspension_frequency: float
    """Undamped heave frequency [Hz]."""
    suspension_damping: float
    """Damping of heave as a share of critical damping."""
    steering_limit: float
    """Largest angle of the front wheels, to either side [rad]."""
    steering_rate: float
    """Highest rate at which the front wheels turn [rad/s]."""
    steering_lag: float
    """Time constant of the first-order servo while it turns slower than `steering_rate` [s]."""
    speed_limit: float
    """Highest speed that may be commanded [m/s]."""
    speed_gain: float
    """Acceleration that the speed controller demands per unit of speed error [1/s]."""
    drive_acceleration: float
    """Largest drive force divided by the mass [m/s^2]."""
    drive_knee_speed: float
    """Above this speed [m/s] the motor gives constant power, not constant force."""
    drive_top_speed: float
    """No-load speed of the motor [m/s], at which its force is zero."""
    brake_acceleration: float
    """Largest braking force divided by the mass [m/s^2]."""
    rolling_resistance: float
    """Rolling drag divided by the weight."""
    air_drag: float
    """Half air density x drag coefficient x frontal area [kg/m]."""

    @property
    def wheelbase(self) -> float:
        """Distance between the axles [m]."""
        return self.to_front_axle + self.to_rear_axle

    def parameters(self, n: int) -> np.ndarray:
        """Return the parameters as a structured array of n equal rows, for the force kernel."""
        numbers = {key: value for key, value in asdict(self).items() if key != "name"}
        dtype = np.dtype([(key, np.float64) for key in numbers])
        return np.array([tuple(numbers.values())] * n, dtype=dtype)


def deepracer() -> CarSpec:
    """Return the real 1/18 DeepRacer car of about 2 kg on rubber tyres, not its 7.5 kg simulation.

    Geometry, steering limit and speed limit are those of the URDF and the documents of the public
    DeepRacer simulation. The mass is that of the car as sold, about 2 kg with its batteries. The
    inertia is that of a homogeneous box between the outer edges of the wheels (0.236 x 0.160 m,
    0.08 m high). The friction is that of F1TENTH's simulator (O'Kelly et al., 2020).

    The cornering stiffness is our own choice. With F1TENTH's 4.7 and 5.5 a tyre slides only at 32
    and 29 degrees of slip, which is this car's steering lock. The tyre fits of two 1/10 cars in ETH
    Zurich's public race stack (ForzaETH, system identification) give 7 at the front and 20 at the
    rear per unit of load. The values here lie between them (14.7 and 17.0 with the friction), keep
    F1TENTH's ratio of front to rear, and slide at 12 and 10 degrees. Slip below 1 m/s is taken
    relative to 1 m/s, which keeps such stiff tyres from trembling at 240 Hz even with 1.3 times the
    friction.

    The load sensitivity is our own choice too: a third of a passenger car tyre's 0.15 (Pacejka,
    Tire and Vehicle Dynamics, table A3.1). The heights of mass and shell, the struts, servo, motor
    and drag have no public source; they lie in the range of 1/18 to 1/10 RC cars (a servo of 0.10 s
    for 60 degrees with a bandwidth of 5 Hz; 0.5 g of drive; a no-load speed of twice the highest
    command).

    Example:
        >>> spec = deepracer()
        >>> spec.mass, round(spec.wheelbase, 3), spec.speed_limit
        (2.0, 0.164, 4.0)
        >>> spec.parameters(3)["mass"]
        array([2., 2., 2.])
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
    """Return the 1/10 car of the F1TENTH races, with the parameters of its simulator.

    Mass, yaw inertia, axles, height of mass, friction, cornering stiffness, steering limit and
    rate, length, width, drive and braking (9.51 m/s^2, constant power above 7.319 m/s) and top
    speed (20 m/s) are f1tenth_gym's defaults (O'Kelly et al., 2020). The speed gain is that of its
    speed controller: 10 times the acceleration divided by the top speed. Tread and wheel radius are
    those of f1tenth_simulator. The steering lag is that of TUM Phoenix's 1/10 car (trajectory
    tracking control, 0.05 s); f1tenth_gym's servo has none. Body height, roll and pitch inertia (a
    homogeneous box 0.15 m high), struts, load sensitivity and drag are our own choice, as for
    `deepracer`.
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
"""The constructor of each shipped car by its name; the first is the default."""


def car_named(name: str) -> CarSpec:
    """Return a shipped car by its name.

    Raises:
        ConfigError: No shipped car has that name.
    """
    if name not in CAR_PRESETS:
        near = difflib.get_close_matches(name, CAR_PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(CAR_PRESETS)}"
        raise ConfigError(f"no car {name!r}{hint}")
    return CAR_PRESETS[name]()


def _known(name: str) -> str:
    """Return the name itself, or raise the kind of error that pydantic expects if no car has it."""
    try:
        return car_named(name).name
    except ConfigError as problem:
        raise ValueError(str(problem)) from problem


CarName = Annotated[str, AfterValidator(_known)]
"""The name of a shipped car, as a field of a config or manifest."""
