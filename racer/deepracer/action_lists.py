"""Discrete action spaces: a grid, or the actions that a driven line needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from racer.car.action_space import ActionSpace
from racer.errors import ConfigError

KMEANS_ITERATIONS = 100
STEERING, SPEED = 30.0, 4.0
"""What counts as equally far: the whole lock [deg], and the fastest speed [m/s]."""


def action_grid(steering_deg: Sequence[float], speeds: Sequence[float]) -> ActionSpace:
    """Each angle [deg] at each speed [m/s], slow ones first, right to left.

    Raises:
        ConfigError: An angle, a speed or their number is out of range.
    """
    pairs = [(angle, speed) for speed in sorted(speeds) for angle in sorted(steering_deg)]
    return _space(pairs)


def actions_from_line(steering: np.ndarray, speed: np.ndarray, count: int) -> ActionSpace:
    """The `count` pairs that lie nearest to what was driven: k-means, the same each time.

    Args:
        steering: Angle of the front wheels at each control step [rad], (T,).
        speed: Speed over the ground at each [m/s], (T,).
        count: Actions wanted, 2-30.

    Raises:
        ConfigError: The line is shorter than that, or a number out of range.
    """
    angles = np.clip(np.rad2deg(steering), -STEERING, STEERING)
    driven = np.stack([angles / STEERING, np.clip(speed, 0.1, SPEED) / SPEED], axis=1)
    different = len(np.unique(driven.round(4), axis=0))
    if not 2 <= count <= min(30, different):
        raise ConfigError(
            f"{count} actions out of a line with {different} different ones; 2 to 30 are allowed, "
            "and no more than it has"
        )
    centres = _k_means(driven, count) * (STEERING, SPEED)
    pairs = {(round(float(angle), 1), round(float(fast), 2)) for angle, fast in centres}
    return _space(sorted(pairs, key=lambda pair: (pair[1], pair[0])))


def _k_means(points: np.ndarray, count: int) -> np.ndarray:
    """The centres of `count` clusters; begun with the points that lie farthest apart."""
    centres = points[[int(np.hypot(*(points - points.mean(axis=0)).T).argmin())]]
    while len(centres) < count:
        away = np.hypot(*(points[:, None] - centres).transpose(2, 0, 1)).min(axis=1)
        centres = np.vstack([centres, points[int(away.argmax())]])
    for _ in range(KMEANS_ITERATIONS):
        nearest = np.hypot(*(points[:, None] - centres).transpose(2, 0, 1)).argmin(axis=1)
        moved = centres.copy()
        for k in np.unique(nearest):
            moved[k] = points[nearest == k].mean(axis=0)
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres


def _space(pairs: Sequence[tuple[float, float]]) -> ActionSpace:
    try:
        return ActionSpace(kind="discrete", choices=tuple(pairs))
    except ValueError as problem:
        errors = getattr(problem, "errors", list)()
        words = "; ".join(one["msg"].removeprefix("Value error, ") for one in errors)
        raise ConfigError(f"actions: {words or problem}; got {list(pairs)}") from problem
