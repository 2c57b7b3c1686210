"""The mapping from an agent's action to a car's command."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import numpy as np
from gymnasium import spaces
from numba import njit
from pydantic import Field, model_validator

from racer.assets.document import Document

Pair = tuple[float, float]

DEFAULT_CHOICES = tuple(
    (steering, speed) for speed in (1.0, 2.0) for steering in (-30.0, -15.0, 0.0, 15.0, 30.0)
)
"""The default choices of a discrete action space: five angles [deg] at each of two speeds [m/s]."""

STEERING_LIMIT_DEG = 30.0
"""Largest steering to either side that an action may command [deg]."""
SPEED_LIMITS = (0.1, 4.0)
"""Lowest and highest speed that an action may command [m/s]."""

STEERING_WEIGHT = 5.0
"""How much a radian of steering counts beside 1 m/s of speed. A car at 2 m/s that steers 1 deg too
far, or drives 0.09 m/s too fast, is about as far from where it should be half a second later."""


class ActionSpace(Document):
    """The actions that an agent may take, and the command that each stands for.

    A continuous action is a point of the Box [-1, 1]^2, steering first and then speed; each number
    is scaled linearly to its range. A discrete action is an index into `choices`.

    Example:
        >>> actions = ActionSpace()  # commands: steering [rad], speed [m/s]
        >>> actions.space()
        Box(-1.0, 1.0, (2,), float32)
        >>> actions.command(np.array([[0.0, 0.0], [1.0, 1.0]])).round(3)
        array([[0.   , 2.25 ],
               [0.524, 4.   ]])
        >>> ActionSpace(kind="discrete").command(np.array([4])).round(3)
        array([[0.524, 1.   ]])
    """

    kind: Literal["continuous", "discrete"] = Field(
        default="continuous", description="a Box of steering and speed, or an index into `choices`"
    )
    steering_deg: Pair = Field(
        default=(-30.0, 30.0),
        description="continuous: limits of steering to right and left [deg], -30 to 30",
    )
    speed: Pair = Field(
        default=(0.5, 4.0), description="continuous: lowest and highest speed [m/s], 0.1-4"
    )
    choices: tuple[Pair, ...] = Field(
        default=DEFAULT_CHOICES,
        description="discrete: 2-30 pairs of steering [deg], -30 to 30, and speed [m/s], 0.1-4",
    )

    @model_validator(mode="after")
    def _limits_hold(self) -> ActionSpace:
        if self.kind == "discrete" and not 2 <= len(self.choices) <= 30:
            raise ValueError(f"a discrete space needs 2-30 choices, has {len(self.choices)}")
        low, high = self.steering_deg
        if low >= high or self.speed[0] > self.speed[1]:
            raise ValueError("each range must be given as lowest, highest")
        pairs = self._pairs
        if any(abs(steering) > STEERING_LIMIT_DEG for steering, _ in pairs):
            raise ValueError("steering must lie in -30 to 30 degrees")
        low, high = SPEED_LIMITS
        if any(not low <= speed <= high for _, speed in pairs):
            raise ValueError("speed must lie in 0.1 to 4 m/s")
        return self

    def space(self) -> spaces.Box | spaces.Discrete:
        """Return the Gymnasium space of one car's action."""
        if self.kind == "discrete":
            return spaces.Discrete(len(self.choices))
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    def command(self, action: np.ndarray) -> np.ndarray:
        """Return the command of each action: steering [rad] and speed [m/s], (n, 2).

        A continuous action outside [-1, 1] is clipped.

        Args:
            action: n actions: (n, 2) for a continuous space, (n,) for a discrete one.

        Raises:
            ValueError: An action is NaN or infinite, or is not an index of `choices`.
        """
        if self.kind == "discrete":
            index = np.asarray(action, dtype=np.int64).reshape(-1)
            if index.min() < 0 or index.max() >= len(self.choices):
                raise ValueError(f"actions {index} must lie in 0 to {len(self.choices) - 1}")
            return self._table[index]
        unit = np.asarray(action, dtype=np.float64).reshape(-1, 2)
        command, limits = np.empty(unit.shape), self._table
        if not _interpolate(unit, limits, command):
            raise ValueError(f"actions must be finite, got {unit[~np.isfinite(unit).all(axis=1)]}")
        return command

    def nearest(self, command: np.ndarray) -> np.ndarray:
        """Return the action whose command is the nearest to each command.

        Of a discrete space, the distance between commands counts steering by
        `STEERING_WEIGHT`. A command beyond a continuous space's ranges gets an action at their
        edge.

        Args:
            command: Steering [rad] and speed [m/s], (n, 2).

        Returns:
            Points (n, 2) float32 in [-1, 1] of a continuous space, or indices (n,) int64.

        Example:
            >>> ActionSpace(kind="discrete").nearest(np.array([[0.5, 1.2], [0.0, 9.0]]))
            array([4, 7])
        """
        if self.kind == "discrete":
            apart = (command[:, None] - self._table) * [STEERING_WEIGHT, 1.0]
            return np.square(apart).sum(axis=2).argmin(axis=1)
        low, high = self._table
        # With a single speed, every action has the nearest one.
        span = np.where(high > low, high - low, 1.0)
        return (2.0 * (command - low) / span - 1.0).clip(-1.0, 1.0).astype(np.float32)

    @property
    def _pairs(self) -> tuple[Pair, ...]:
        if self.kind == "discrete":
            return self.choices
        return ((self.steering_deg[0], self.speed[0]), (self.steering_deg[1], self.speed[1]))

    @cached_property
    def _table(self) -> np.ndarray:
        """Return the choices, or the lower and upper limits, as steering [rad] and speed [m/s]."""
        pairs = np.array(self._pairs)
        return np.stack([np.deg2rad(pairs[:, 0]), pairs[:, 1]], axis=1)


@njit(cache=True)
def _interpolate(unit, limits, command):
    """Fill in the commands of continuous actions, and return whether all actions are finite.

    Args:
        unit: Steering and speed, -1 for the lower limit to 1 for the upper one, (n, 2); clipped.
        limits: The lower and the upper limits of steering [rad] and speed [m/s], (2, 2).
        command: Filled with steering [rad] and speed [m/s], (n, 2).
    """
    is_finite = True
    for i in range(unit.shape[0]):
        for k in range(2):
            share = min(max(unit[i, k], -1.0), 1.0)
            command[i, k] = limits[0, k] + (share + 1.0) * 0.5 * (limits[1, k] - limits[0, k])
            is_finite = is_finite and math.isfinite(unit[i, k])
    return is_finite
