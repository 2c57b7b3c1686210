"""A person at keys or a gamepad, as a controller of a car."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import GRAVITY, CarSpec
from racer.track import TrackPosition
from racer.world import CONTROL_RATE_HZ, CarState

KEY_STEERING_S = 0.25
"""Time in which a held key turns the wheel from straight to full [s]."""
KEY_RELEASE_S = 0.12
"""Time in which the wheel returns from full to straight when no key is held [s]."""
STEERING_GRIP_SHARE = 0.95
"""Share of the tyres' grip that a fully turned wheel asks for; at low speed the lock limits it."""
COASTING_DECELERATION = 0.8
"""How fast a car slows down with neither throttle nor brake [m/s^2]."""
MIN_STEERING_SPEED = 0.5
"""Speed below which the wheel always reaches the lock [m/s]."""


class PersonInput(NamedTuple):
    """What a person holds.

    Attributes:
        left: Whether the key to the left is held.
        right: Whether the key to the right is held.
        gas: Whether the throttle key is held.
        throttle: Analog throttle, 0-1.
        brake: Brake, 0-1.
        wheel: Steering of an analog stick, -1 for right to 1 for left; None without one.
    """

    left: bool = False
    right: bool = False
    gas: bool = False
    throttle: float = 0.0
    brake: float = 0.0
    wheel: float | None = None

    @property
    def is_driving(self) -> bool:
        """Whether the person asks the car to drive."""
        return self.gas or self.throttle > 0.0

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> PersonInput:
        """Return the input in a browser's message; values out of range are clipped, others ignored.

        Example:
            >>> PersonInput.from_json({"left": True, "throttle": 7, "wheel": "x"})
            PersonInput(left=True, right=False, gas=False, throttle=1.0, brake=0.0, wheel=None)
        """
        wheel = _number(tree.get("wheel"), -1.0)
        return cls(
            tree.get("left") is True,
            tree.get("right") is True,
            tree.get("gas") is True,
            _number(tree.get("throttle"), 0.0) or 0.0,
            _number(tree.get("brake"), 0.0) or 0.0,
            wheel,
        )


class PersonController:
    """Turns what a person holds into commands, one for each control step.

    A key turns the wheel at a limited rate. A full wheel asks for as much as the tyres hold at the
    car's speed, so that a person without an analog stick can steer a fast car. An analog throttle
    asks for a speed up to the car's highest, a key for one that the person chose.

    Args:
        spec: The car.
        key_speed: Speed that the throttle key asks for [m/s]; the car's highest by default.
    """

    def __init__(self, spec: CarSpec, key_speed: float | None = None) -> None:
        self._spec = spec
        self._key_speed = min(key_speed or spec.speed_limit, spec.speed_limit)
        self._held = self._tapped = PersonInput()
        self._wheel = 0.0

    @property
    def wants_to_drive(self) -> bool:
        """Whether the car is asked to drive, now or by a tap since the last step."""
        return self._tapped.is_driving

    def hold(self, held: PersonInput) -> None:
        """Take what is held now; a key that is let go before the next step counts in it."""
        before = self._tapped
        self._held = held
        self._tapped = PersonInput(
            before.left or held.left,
            before.right or held.right,
            before.gas or held.gas,
            max(before.throttle, held.throttle),
            max(before.brake, held.brake),
            held.wheel,
        )

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """See `Controller.command`."""
        given, self._tapped = self._tapped, self._held
        speed = float(np.hypot(*state.velocity[car, :2]))
        self._turn(given)
        return np.array([self._wheel * self._full_lock(speed), self._speed(given, speed)])

    def _turn(self, given: PersonInput) -> None:
        if given.wheel is not None:
            self._wheel = given.wheel
            return
        target = float(given.left) - float(given.right)
        # Back to straight, or through it to the other side, a wheel is faster than away from it.
        seconds = KEY_STEERING_S if target * self._wheel >= 0.0 and target else KEY_RELEASE_S
        most = 1.0 / (seconds * CONTROL_RATE_HZ)
        self._wheel += min(max(target - self._wheel, -most), most)

    def _full_lock(self, speed: float) -> float:
        """Return the angle of a fully turned wheel at a speed [rad]."""
        spec = self._spec
        bend = STEERING_GRIP_SHARE * spec.friction * GRAVITY / max(speed, MIN_STEERING_SPEED) ** 2
        return min(math.atan(spec.wheelbase * bend), spec.steering_limit)

    def _speed(self, given: PersonInput, speed: float) -> float:
        """Return the speed to command [m/s]."""
        spec = self._spec
        if given.brake:
            return max(speed - given.brake * spec.brake_acceleration / spec.speed_gain, 0.0)
        if given.gas:
            return self._key_speed
        if given.throttle:
            return given.throttle * spec.speed_limit
        return max(speed - COASTING_DECELERATION / spec.speed_gain, 0.0)


def _number(value: Any, least: float) -> float | None:
    """Return a finite number clipped to `least` to 1; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(max(float(value), least), 1.0)
