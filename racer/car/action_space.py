"""How an agent's action becomes a car's command."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from gymnasium import spaces
from pydantic import Field, model_validator

from racer.assets.document import Document

Pair = tuple[float, float]

DEFAULT_CHOICES = tuple(
    (steering, speed) for speed in (1.0, 2.0) for steering in (-30.0, -15.0, 0.0, 15.0, 30.0)
)
"""Ten choices to begin with: five angles at two speeds."""


class ActionSpace(Document):
    """What an agent may do. Continuous: a Box of [-1, 1] for steering, then speed, scaled
    linearly to the two ranges. Discrete: an index into a list of pairs.
    """

    kind: Literal["continuous", "discrete"] = Field(
        default="continuous", description="a Box of two numbers, or an index into `choices`"
    )
    steering_deg: Pair = Field(
        default=(-30.0, 30.0), description="continuous: right and left limit [deg], -30 to 30"
    )
    speed: Pair = Field(
        default=(0.5, 4.0), description="continuous: slowest and fastest speed [m/s], 0.1-4"
    )
    choices: tuple[Pair, ...] = Field(
        default=DEFAULT_CHOICES,
        description="discrete: 2-30 pairs of steering [deg] and speed [m/s]",
    )

    @model_validator(mode="after")
    def _limits_hold(self) -> ActionSpace:
        if self.kind == "discrete" and not 2 <= len(self.choices) <= 30:
            raise ValueError(f"a discrete space needs 2-30 choices, has {len(self.choices)}")
        low, high = self.steering_deg
        if low >= high or self.speed[0] > self.speed[1]:
            raise ValueError("each range must be given as lowest, highest")
        pairs = self._pairs
        if any(abs(steering) > 30.0 for steering, _ in pairs):
            raise ValueError("steering must lie in -30 to 30 degrees")
        if any(not 0.1 <= speed <= 4.0 for _, speed in pairs):
            raise ValueError("speed must lie in 0.1 to 4 m/s")
        return self

    def space(self) -> spaces.Box | spaces.Discrete:
        """The Gymnasium space of one car's action."""
        if self.kind == "discrete":
            return spaces.Discrete(len(self.choices))
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    def command(self, action: np.ndarray) -> np.ndarray:
        """Steering [rad] and speed [m/s], (n, 2), for n actions, (n, 2) or (n,).

        Numbers beyond [-1, 1] are clipped.

        Raises:
            ValueError: An action is NaN or infinite, or no index of `choices`.
        """
        if self.kind == "discrete":
            index = np.asarray(action, dtype=np.int64).reshape(-1)
            if index.min() < 0 or index.max() >= len(self.choices):
                raise ValueError(f"actions {index} must lie in 0 to {len(self.choices) - 1}")
            return self._table[index]
        unit = np.asarray(action, dtype=np.float64).reshape(-1, 2)
        if not np.isfinite(unit).all():
            raise ValueError(f"actions must be finite, got {unit[~np.isfinite(unit).all(axis=1)]}")
        unit = np.clip(unit, -1.0, 1.0)
        return self._table[0] + (unit + 1.0) * 0.5 * (self._table[1] - self._table[0])

    @property
    def _pairs(self) -> tuple[Pair, ...]:
        if self.kind == "discrete":
            return self.choices
        return ((self.steering_deg[0], self.speed[0]), (self.steering_deg[1], self.speed[1]))

    @cached_property
    def _table(self) -> np.ndarray:
        pairs = np.array(self._pairs)
        return np.stack([np.deg2rad(pairs[:, 0]), pairs[:, 1]], axis=1)
