"""What a car's tyres, motor and top speed let a point mass do at each speed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from racer.car.spec import GRAVITY, CarSpec


@dataclass(frozen=True)
class GGVEnvelope:
    """The accelerations that a car can reach, so that no car of `car.forces` leaves them.

    Grip: friction falls with load, so moving load between the wheels only costs; the tyres
    together give at most friction x g. Braking: the brakes are the weaker, but a car that slides
    sideways brakes with all its grip, so nothing less bounds it. Drag slows besides.

    Attributes:
        grip: Largest tyre force over mass [m/s^2].
        drive: Largest drive force over mass [m/s^2].
        brake: Largest braking force of the tyres over mass [m/s^2].
        knee: Above this speed [m/s] the motor gives constant power.
        no_load: Speed [m/s] at which the motor gives nothing.
        rolling: Rolling drag over mass [m/s^2]; a part of the tyre force.
        air: Air drag over mass and speed squared [1/m].
        speed_limit: Highest speed that may be commanded [m/s]; it holds along the car's own axis.
        gain: Acceleration that the speed controller asks for a unit of speed error [1/s].
    """

    grip: float
    drive: float
    brake: float
    knee: float
    no_load: float
    rolling: float
    air: float
    speed_limit: float
    gain: float

    def push(self, speed: np.ndarray) -> np.ndarray:
        """Largest tyre force forward over mass at each speed [m/s^2], rolling drag paid."""
        v = np.maximum(speed, 1e-9)
        share = np.minimum(self.knee / v, (self.no_load - v) / (self.no_load - self.knee))
        return self.drive * np.clip(share, 0.0, 1.0) - self.rolling

    @cached_property
    def drift(self) -> float:
        """How much faster than commanded a sliding car goes, as a share.

        The speed controller holds the speed along the car's own axis. A car that slides at the
        angle b moves at 1 / cos b times that, and keeps it where its spare push x cos b makes up
        for its side force x sin b; the two together are at most the grip.
        """
        if self.speed_limit >= self.no_load:
            return 0.0
        spare = float(self.push(np.array(self.speed_limit))) - self.air * self.speed_limit**2
        return 1.0 / np.sqrt(1.0 - min(max(spare, 0.0) / self.grip, 0.99) ** 2) - 1.0

    def top_speed(self, bend: np.ndarray) -> np.ndarray:
        """Highest speed kept [m/s] where a line has the curvature `bend` [1/m].

        A car slides only where it needs nearly all its grip, as slip grows steeply there. The
        sixth power lies above the brush tyre's slip for every shipped car.
        """
        need = np.minimum(np.abs(bend) * self.speed_limit**2 / self.grip, 1.0)
        return self.speed_limit * (1.0 + self.drift * need**6)


def ggv_envelope(spec: CarSpec) -> GGVEnvelope:
    """The envelope that bounds every drive of a car."""
    grip = spec.friction * GRAVITY
    return GGVEnvelope(
        grip=grip,
        drive=spec.drive_acceleration,
        brake=grip,
        knee=spec.drive_knee_speed,
        no_load=spec.drive_top_speed,
        rolling=spec.rolling_resistance * GRAVITY,
        air=spec.air_drag / spec.mass,
        speed_limit=spec.speed_limit,
        gain=spec.speed_gain,
    )


def scaled_envelope(spec: CarSpec, share: float, braking: float) -> GGVEnvelope:
    """What a driver asks who keeps to a share of grip and drive, and another of the brakes."""
    whole = ggv_envelope(spec)
    brake = min(spec.brake_acceleration, whole.grip)
    return replace(whole, grip=share * whole.grip, brake=braking * brake, drive=share * whole.drive)
