"""The state of n cars, as arrays with a leading axis of n."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numba import njit

CONTROL_RATE_HZ = 15
"""Commands per second [Hz]; a camera takes one frame for each."""
CONTROL_PERIOD_S = 1.0 / CONTROL_RATE_HZ
"""Duration of a control step [s]."""
SUBSTEPS_PER_CONTROL = 16
"""Physics steps per command, which makes 240 Hz."""
WORLD_RADIUS_M = 100.0
"""Distance from the origin [m] up to which a car counts as in the world."""

WALL_HEIGHT_M = 0.3
"""Height of the walls [m]."""


class Contact(IntFlag):
    """The kinds of things that a car touched within a control step."""

    WALL = 1
    BOX = 2
    CAR = 4


def yaw_of(body: np.ndarray) -> np.ndarray:
    """Return the heading of body rows (..., 13) [rad], (...): the direction of their x axes."""
    x, y, z, w = body[..., 3], body[..., 4], body[..., 5], body[..., 6]
    return np.arctan2(2.0 * (x * y + z * w), 1.0 - 2.0 * (y * y + z * z))


@dataclass(frozen=True)
class CarState:
    """The current state of n cars, as views; the arrays change with the next step.

    Attributes:
        body: Position [m], quaternion x y z w, velocity [m/s] and angular velocity [rad/s], all in
            the world frame, (n, 13). The position is that of the centre of mass as the `CarSpec`
            states it.
        steering: Angle of the front wheels [rad], (n,).
        command: The last commanded steering [rad] and speed [m/s], (n, 2).
        yaw: Heading of the bodies' x axes [rad], (n,).
    """

    body: np.ndarray
    steering: np.ndarray
    command: np.ndarray
    yaw: np.ndarray

    @classmethod
    def of(cls, body: np.ndarray, steering: np.ndarray, command: np.ndarray) -> CarState:
        """Return the state of n cars, with the headings that their bodies have.

        Args:
            body: As the attribute, (n, 13).
            steering: As the attribute, (n,).
            command: As the attribute, (n, 2).
        """
        return cls(body, steering, command, yaw_of(body))

    @property
    def xy(self) -> np.ndarray:
        """Position of the centres of mass on the ground plane [m], (n, 2)."""
        return self.body[:, :2]

    @property
    def velocity(self) -> np.ndarray:
        """Velocity in the world frame [m/s], (n, 3)."""
        return self.body[:, 7:10]

    @property
    def angular_velocity(self) -> np.ndarray:
        """Angular velocity in the world frame [rad/s], (n, 3)."""
        return self.body[:, 10:13]

    @property
    def up(self) -> np.ndarray:
        """Vertical part of each body's own z axis: 1 upright, -1 on the roof, (n,)."""
        return 1.0 - 2.0 * (self.body[:, 3] ** 2 + self.body[:, 4] ** 2)


@njit(cache=True)
def moved_point(body, shift, out):
    """Fill `out` with the body rows of points that are shifted on each body.

    Args:
        body: Body rows, (n, 13).
        shift: Offset forward and upward in the body's frame [m], (n, 2).
        out: Filled with the rows of the shifted points, (n, 13).
    """
    for i in range(body.shape[0]):
        for k in range(body.shape[1]):  # With a slice numba compiles for three seconds longer.
            out[i, k] = body[i, k]
        ahead, up = shift[i, 0], shift[i, 1]
        if ahead == 0.0 and up == 0.0:
            continue
        x, y, z, w = body[i, 3], body[i, 4], body[i, 5], body[i, 6]
        ax = (1 - 2 * (y * y + z * z)) * ahead + 2 * (x * z + y * w) * up
        ay = 2 * (x * y + z * w) * ahead + 2 * (y * z - x * w) * up
        az = 2 * (x * z - y * w) * ahead + (1 - 2 * (x * x + y * y)) * up
        wx, wy, wz = body[i, 10], body[i, 11], body[i, 12]
        out[i, 0] += ax
        out[i, 1] += ay
        out[i, 2] += az
        # A point of a rigid body moves by the angular velocity x the offset besides.
        out[i, 7] += wy * az - wz * ay
        out[i, 8] += wz * ax - wx * az
        out[i, 9] += wx * ay - wy * ax


@njit(cache=True)
def publish_state(body, shift, out, yaw):
    """Fill in the body rows and headings that `CarState` shows.

    Args:
        body: Body rows of the drawn bodies, (n, 13).
        shift: Offset from their centres of mass to the spec's, forward and up [m], (n, 2).
        out: Filled with body rows, (n, 13).
        yaw: Filled with headings [rad], (n,).
    """
    moved_point(body, shift, out)
    for i in range(out.shape[0]):
        x, y, z, w = out[i, 3], out[i, 4], out[i, 5], out[i, 6]
        yaw[i] = math.atan2(2.0 * (x * y + z * w), 1.0 - 2.0 * (y * y + z * z))
