"""The drawn differences between n cars of one spec, and their effect on commands."""

from __future__ import annotations

import numpy as np

from racer.car.spec import CarSpec
from racer.randomisation import DRAWN_QUANTITIES, neutral_draws

MAX_LATENCY_STEPS = 2
"""The most control steps by which a command can be late."""


class Variation:
    """n cars of one spec, each with its own drawn differences.

    Attributes:
        cars: Rows of `CarSpec.parameters` as drawn, (n,).
        shift: Offset from the drawn centre of mass to that of the spec, forward and up [m], (n, 2).
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
        """Take over the draws of cars.

        Args:
            cars: Indices of the cars, (k,).
            draws: Rows of `randomisation.DRAW_DTYPE` of all n cars, (n,).
        """
        self._draws[cars] = draws[cars]
        self._apply()

    def _apply(self) -> None:
        """Recompute the cars' parameters from their draws."""
        rows = self._draws
        self._is_varied = any(
            (rows[name] != self._neutral[name]).any() for name in DRAWN_QUANTITIES
        )
        drawn, nominal = self.cars, self._nominal
        for name in ("inertia_x", "inertia_y", "inertia_z", "mass"):
            drawn[name] = nominal[name] * rows["mass"]
        drawn["friction"] = nominal["friction"] * rows["friction"]
        # Motor and brakes keep their forces, so a heavier car accelerates and brakes less.
        drawn["drive_acceleration"] = nominal["drive_acceleration"] * rows["motor"] / rows["mass"]
        drawn["brake_acceleration"] = nominal["brake_acceleration"] / rows["mass"]
        drawn["to_front_axle"] = nominal["to_front_axle"] - rows["mass_forward"]
        drawn["to_rear_axle"] = nominal["to_rear_axle"] + rows["mass_forward"]
        drawn["mass_height"] = nominal["mass_height"] + rows["mass_up"]
        self.shift[:, 0], self.shift[:, 1] = -rows["mass_forward"], -rows["mass_up"]

    def forget(self, cars: np.ndarray) -> None:
        """Drop the commands that are still under way to the wheels of cars (k,)."""
        self._sent[:, cars] = 0.0

    def get_state(self) -> dict[str, np.ndarray]:
        """Return what the cars have drawn, and which commands are still under way."""
        return {"draws": self._draws.copy(), "sent": self._sent.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a state that `get_state` returned for the same number of cars."""
        self._draws[:], self._sent[:] = state["draws"], state["sent"]
        self._apply()

    def acting(self, command: np.ndarray) -> np.ndarray:
        """Return the commands that reach servo and motor when `command` (n, 2) is sent, (n, 2).

        Latency, gains and offset apply to them; without any differences they are `command` itself.
        """
        if not self._is_varied:
            return command
        rows, sent = self._draws, self._sent
        sent[1:] = sent[:-1].copy()
        sent[0] = command
        now = sent[rows["latency"].astype(int), self._everyone]
        now[:, 0] = now[:, 0] * rows["steering_gain"] + rows["steering_offset"]
        now[:, 1] *= rows["speed_gain"]
        return np.clip(now, (-self._limits[0], 0.0), self._limits)
