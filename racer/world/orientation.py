"""The orientation that Bullet keeps of a body, which it never tells.

Bullet turns a btMultiBody by `m_baseQuat`, the inverse of its orientation, and reports that through
a matrix, which rounds. A body that is put back to what was reported would go on from another last
digit, so the unrounded one is carried beside it (btMultiBody.cpp, stepPositionsMultiDof, at bullet3
6c888f4). The order of the operations is Bullet's: with it come the same bits.
"""

from __future__ import annotations

import math

from numba import njit

HALF_PI = 0.5 * 3.1415926535897932384626433832795029
"""btScalar.h's SIMD_HALF_PI."""
MAX_TURN_RAD = 0.5 * HALF_PI
"""A step turns a body by no more than this [rad] (ANGULAR_MOTION_THRESHOLD, btTransformUtil.h)."""
SMALL_RATE_RAD_S = 0.001
"""Below this rate [rad/s] Bullet takes the sine's series."""


@njit(cache=True)
def integrate_orientation(inverse, body, dt):
    """Turn bodies by one substep at the rates that they have at its end.

    Args:
        inverse: Inverse orientations x y z w, (n, 4); turned in place.
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
