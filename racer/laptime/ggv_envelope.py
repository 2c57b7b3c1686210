"""The accelerations that a car's tyres, motor and top speed allow a point mass at each speed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from racer.car.spec import GRAVITY, CarSpec


@dataclass(frozen=True)
class GGVEnvelope:
    """The accelerations that a car can reach; no car of `racer.car.tyre_forces` exceeds them.

    Grip: friction falls with load, so moving load between the wheels only loses grip, and the tyres
    together give at most friction x g. Braking: the brakes alone are weaker, but a car that slides
    sideways brakes with all its grip, so only the grip is a bound. Drag slows the car in addition.

    Attributes:
        grip: Largest tyre force divided by the mass [m/s^2].
        drive: Largest drive force divided by the mass [m/s^2].
        brake: Largest braking force of the tyres divided by the mass [m/s^2].
        knee: Speed above which the motor gives constant power [m/s].
        no_load: Speed at which the motor gives no force [m/s].
        rolling: Rolling drag divided by the mass [m/s^2]; a part of the tyre force.
        air: Air drag divided by the mass and the square of the speed [1/m].
        speed_limit: Highest speed that may be commanded [m/s]; it is held along the car's own axis.
        gain: Acceleration that the speed controller demands per unit of speed error [1/s].
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
        """Return the largest forward acceleration at each speed, after rolling drag [m/s^2]."""
        v = np.maximum(speed, 1e-9)
        share = np.minimum(self.knee / v, (self.no_load - v) / (self.no_load - self.knee))
        return self.drive * np.clip(share, 0.0, 1.0) - self.rolling

    @cached_property
    def drift(self) -> float:
        """By how much a sliding car may exceed the commanded speed, as a share of it.

        The speed controller holds the speed along the car's own axis. A car that slides at the
        angle b moves at 1 / cos b times that speed. It keeps that speed if its spare drive force x
        cos b makes up for its side force x sin b; the two together are at most the grip.
        """
        if self.speed_limit >= self.no_load:
            return 0.0
        spare = float(self.push(np.array(self.speed_limit))) - self.air * self.speed_limit**2
        # At most sin b = spare / grip; the 0.99 keeps the root positive for a car of any drive.
        return 1.0 / np.sqrt(1.0 - min(max(spare, 0.0) / self.grip, 0.99) ** 2) - 1.0

    def top_speed(self, bend: np.ndarray) -> np.ndarray:
        """Return the highest speed that a car keeps at a line's curvature `bend` [1/m], [m/s].

        A car slides only where it needs nearly all its grip, because slip grows steeply there. The
        sixth power of the needed share of grip is above the brush tyre's slip for every shipped
        car.
        """
        need = np.minimum(np.abs(bend) * self.speed_limit**2 / self.grip, 1.0)
        return self.speed_limit * (1.0 + self.drift * need**6)


def ggv_envelope(spec: CarSpec) -> GGVEnvelope:
    """Return the envelope that bounds every drive of a car."""
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
    """Return the envelope of a driver who uses only a part of what the car can do.

    Args:
        spec: The car.
        share: Share of grip and drive that is used, 0-1.
        braking: Share of the brakes that is used, 0-1.
    """
    whole = ggv_envelope(spec)
    brake = min(spec.brake_acceleration, whole.grip)
    return replace(whole, grip=share * whole.grip, brake=braking * brake, drive=share * whole.drive)
