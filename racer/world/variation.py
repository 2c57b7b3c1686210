"""How each of n cars differs from its spec, and what becomes of its commands."""

from __future__ import annotations

import numpy as np

from racer.car.spec import CarSpec
from racer.randomisation import DRAWN_QUANTITIES, neutral_draws

MAX_LATENCY_STEPS = 2
"""Most control steps that a command may be late."""


class Variation:
    """n cars of one spec, each with its own drawn differences.

    Attributes:
        cars: Rows of `CarSpec.parameters` as drawn, (n,).
        shift: From the drawn centre of mass to the one of the spec, forward and up [m], (n, 2).
    """

    def __init__(self, spec: CarSpec, n: int) -> None:
        self._spec, self._everyone = spec, np.arange(n)
        self._nominal = spec.parameters(n)
        self.cars = self._nominal.copy()
        self.shift = np.zeros((n, 2))
        self._draws = neutral_draws(n)
        self._neutral = neutral_draws(1)
        self._is_varied = False
        self._sent = np.zeros((MAX_LATENCY_STEPS + 1, n, 2))
        self._limits = np.array([spec.steering_limit, spec.speed_limit])

    def draw(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """Take over what cars (k,) have drawn, from all n rows of `DRAW`."""
        self._draws[cars] = draws[cars]
        self._apply()

    def _apply(self) -> None:
        rows = self._draws
        self._is_varied = any(
            (rows[name] != self._neutral[name]).any() for name in DRAWN_QUANTITIES
        )
        now, own = self.cars, self._nominal
        for name in ("inertia_x", "inertia_y", "inertia_z", "mass"):
            now[name] = own[name] * rows["mass"]
        now["friction"] = own["friction"] * rows["friction"]
        now["drive_acceleration"] = own["drive_acceleration"] * rows["motor"] / rows["mass"]
        now["brake_acceleration"] = own["brake_acceleration"] / rows["mass"]
        now["to_front_axle"] = own["to_front_axle"] - rows["mass_forward"]
        now["to_rear_axle"] = own["to_rear_axle"] + rows["mass_forward"]
        now["mass_height"] = own["mass_height"] + rows["mass_up"]
        self.shift[:, 0], self.shift[:, 1] = -rows["mass_forward"], -rows["mass_up"]

    def forget(self, cars: np.ndarray) -> None:
        """Cars (k,) stand still again: nothing is on its way to their wheels."""
        self._sent[:, cars] = 0.0

    def get_state(self) -> dict[str, np.ndarray]:
        """Return what the cars drew, and which commands are on their way."""
        return {"draws": self._draws.copy(), "sent": self._sent.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state of as many cars."""
        self._draws[:], self._sent[:] = state["draws"], state["sent"]
        self._apply()

    def acting(self, command: np.ndarray) -> np.ndarray:
        """What reaches servo and motor, (n, 2), when `command` (n, 2) is sent now."""
        if not self._is_varied:
            return command
        rows, sent = self._draws, self._sent
        sent[1:] = sent[:-1].copy()
        sent[0] = command
        now = sent[rows["latency"].astype(int), self._everyone]
        now[:, 0] = now[:, 0] * rows["steering_gain"] + rows["steering_offset"]
        now[:, 1] *= rows["speed_gain"]
        return np.clip(now, (-self._limits[0], 0.0), self._limits)
