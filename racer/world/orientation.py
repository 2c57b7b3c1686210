"""The exact orientation of each body, which Bullet keeps but never reports.

Bullet rotates a btMultiBody by `m_baseQuat`, the inverse of its orientation, and reports the
orientation by way of a matrix, which rounds. A body that was put back to the reported orientation
would continue from other last digits; so the unrounded one is computed alongside, as in Bullet
(btMultiBody.cpp, stepPositionsMultiDof, at bullet3 6c888f4). The operations have Bullet's order,
which gives the same bits.
"""

from __future__ import annotations

import math

from numba import njit

HALF_PI = 0.5 * 3.1415926535897932384626433832795029
"""SIMD_HALF_PI of btScalar.h."""
MAX_TURN_RAD = 0.5 * HALF_PI
"""A step turns a body by no more than this [rad] (ANGULAR_MOTION_THRESHOLD, btTransformUtil.h)."""
SMALL_RATE_RAD_S = 0.001
"""Below this rate [rad/s] Bullet uses the series of the sine."""


@njit(cache=True)
def integrate_orientation(inverse, body, dt):
    """Rotate bodies by one substep at the rates that they have at its end.

    Args:
        inverse: Inverse orientations x y z w, (n, 4); rotated in place.
        body: Body rows, (n, 13).
        dt: Length of the substep [s].
    """
    for i in range(inverse.shape[0]):
        rx, ry, rz = body[i, 10], body[i, 11], body[i, 12]
        x, y, z, w = inverse[i, 0], inverse[i, 1], inverse[i, 2], inverse[i, 3]
        rate = math.sqrt(rx * rx + ry * ry + rz * rz)
        if rate * dt > MAX_TURN_RAD:
            rate = MAX_TURN_RAD / dt
        if rate < SMALL_RATE_RAD_S:
            # sin(rate dt / 2) / rate to third order; 1 / 48 with the digits that Bullet writes.
            share = 0.5 * dt - (dt * dt * dt) * 0.020833333333 * rate * rate
        else:
            share = math.sin(0.5 * rate * dt) / rate
        a, b, c, d = -(rx * share), -(ry * share), -(rz * share), math.cos(rate * dt * 0.5)
        nx = w * a + x * d + y * c - z * b
        ny = w * b + y * d + z * a - x * c
        nz = w * c + z * d + x * b - y * a
        nw = w * d - x * a - y * b - z * c
        scale = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + nw * nw)
        inverse[i, 0], inverse[i, 1] = nx * scale, ny * scale
        inverse[i, 2], inverse[i, 3] = nz * scale, nw * scale
