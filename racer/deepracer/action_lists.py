"""Discrete action spaces: a grid of actions, or the actions that a driven line uses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from racer.car.action_space import ActionSpace
from racer.errors import ConfigError

KMEANS_ITERATIONS = 100
STEERING, SPEED = 30.0, 4.0
"""Scales of the clustering: full steering lock [deg] counts as much as the top speed [m/s]."""


def action_grid(steering_deg: Sequence[float], speeds: Sequence[float]) -> ActionSpace:
    """Return the action space of each angle at each speed, sorted by speed, then right to left.

    Args:
        steering_deg: Steering angles [deg], positive to the left.
        speeds: Speeds [m/s].

    Raises:
        ConfigError: If an angle, a speed or the number of actions is out of range.

    Example:
        >>> action_grid([-30, 0, 30], [1, 2]).choices
        ((-30.0, 1.0), (0.0, 1.0), (30.0, 1.0), (-30.0, 2.0), (0.0, 2.0), (30.0, 2.0))
    """
    pairs = [(angle, speed) for speed in sorted(speeds) for angle in sorted(steering_deg)]
    return _space(pairs)


def actions_from_line(steering: np.ndarray, speed: np.ndarray, count: int) -> ActionSpace:
    """Return the action space of the `count` actions that best approximate a driven line.

    They are the centres of k-means with a deterministic start, rounded to 0.1 degree and
    0.01 m/s, so there may be fewer of them than `count`.

    Args:
        steering: Angle of the front wheels at each control step [rad], (T,).
        speed: Speed over the ground at each control step [m/s], (T,).
        count: Number of actions, 2-30.

    Raises:
        ConfigError: If the line has fewer different actions than `count`, or a number is out of
            range.
    """
    angles = np.clip(np.rad2deg(steering), -STEERING, STEERING)
    driven = np.stack([angles / STEERING, np.clip(speed, 0.1, SPEED) / SPEED], axis=1)
    different = len(np.unique(driven.round(4), axis=0))
    if not 2 <= count <= min(30, different):
        raise ConfigError(
            f"{count} actions from a line with {different} different ones; 2 to 30 are allowed, "
            "and no more than the line has"
        )
    centres = _k_means(driven, count) * (STEERING, SPEED)
    pairs = {(round(float(angle), 1), round(float(fast), 2)) for angle, fast in centres}
    return _space(sorted(pairs, key=lambda pair: (pair[1], pair[0])))


def _k_means(points: np.ndarray, count: int) -> np.ndarray:
    """Return the centres (count, 2) of clusters of points (T, 2).

    The first centre is the point nearest to the mean; each further one is the point farthest from
    the centres before it. So no random numbers are needed.
    """
    centres = points[[int(np.hypot(*(points - points.mean(axis=0)).T).argmin())]]
    while len(centres) < count:
        distance = np.hypot(*(points[:, None] - centres).transpose(2, 0, 1)).min(axis=1)
        centres = np.vstack([centres, points[int(distance.argmax())]])
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
        why = "; ".join(error["msg"].removeprefix("Value error, ") for error in errors)
        raise ConfigError(f"actions: {why or problem}; got {list(pairs)}") from problem
