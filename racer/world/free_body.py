"""One free rigid body, advanced by one physics step with the same bits as in Bullet.

PyBullet makes a body without links a btMultiBody of one link: no damping, no gravity, one explicit
step. The operations here stand in Bullet's order (btMultiBody.cpp at bullet3 6c888f4), which gives
the same bits: no fast-math, and no operation that is exact on paper is left out.

Bullet keeps the inverse of a body's orientation, and reports the orientation by way of a matrix,
which rounds. So the state of a body is the unrounded inverse, and `reported_orientation` computes
from it what Bullet reports and what the forces are computed from.
"""

from __future__ import annotations

import math

from numba import njit

MAX_VELOCITY = 100.0
"""Limit of each component of velocity [m/s] and rate [rad/s] (btMultiBody.cpp, 124)."""
HALF_PI = 0.5 * 3.1415926535897932384626433832795029
"""SIMD_HALF_PI of btScalar.h."""
MAX_TURN_RAD = 0.5 * HALF_PI
"""A step turns a body by no more than this [rad] (ANGULAR_MOTION_THRESHOLD, btTransformUtil.h)."""
SMALL_RATE_RAD_S = 0.001
"""Below this rate [rad/s] Bullet uses the series of the sine."""


@njit(cache=True)
def rotation_of(quaternion):
    """Return the matrix of x y z w, nine numbers row by row (btMatrix3x3::setRotation)."""
    x, y, z, w = quaternion
    s = 2.0 / (x * x + y * y + z * z + w * w)
    xs, ys, zs = x * s, y * s, z * s
    wx, wy, wz = w * xs, w * ys, w * zs
    xx, xy, xz = x * xs, x * ys, x * zs
    yy, yz, zz = y * ys, y * zs, z * zs
    return (
        *(1.0 - (yy + zz), xy - wz, xz + wy),
        *(xy + wz, 1.0 - (xx + zz), yz - wx),
        *(xz - wy, yz + wx, 1.0 - (xx + yy)),
    )


@njit(cache=True)
def reported_orientation(r):
    """Return the orientation x y z w that Bullet reports (btMatrix3x3::getRotation).

    Args:
        r: What `rotation_of` returns of the inverse orientation; the orientation's own matrix is
            its transpose, to the bit.
    """
    m00, m10, m20, m01, m11, m21, m02, m12, m22 = r
    trace = m00 + m11 + m22
    if trace > 0.0:
        s = math.sqrt(trace + 1.0)
        half = 0.5 / s
        return (m21 - m12) * half, (m02 - m20) * half, (m10 - m01) * half, s * 0.5
    # The largest element of the diagonal comes first.
    if m00 >= m11 and m00 >= m22:
        s = math.sqrt(m00 - m11 - m22 + 1.0)
        half = 0.5 / s
        return s * 0.5, (m10 + m01) * half, (m20 + m02) * half, (m21 - m12) * half
    if m11 > m00 and m11 >= m22:
        s = math.sqrt(m11 - m22 - m00 + 1.0)
        half = 0.5 / s
        return (m01 + m10) * half, s * 0.5, (m21 + m12) * half, (m02 - m20) * half
    s = math.sqrt(m22 - m00 - m11 + 1.0)
    half = 0.5 / s
    return (m02 + m20) * half, (m12 + m21) * half, s * 0.5, (m10 - m01) * half


@njit(cache=True)
def accelerated(r, velocity, spin, mass, inertia, force, torque, dt):
    """Return the velocities after one step, six numbers (computeAccelerationsArticulatedBody...).

    Args:
        r: What `rotation_of` returns of the inverse orientation: world to body.
        velocity: [m/s], x y z.
        spin: Angular velocity [rad/s], x y z.
        mass: [kg].
        inertia: Principal moments [kg m^2], x y z.
        force: Force at the centre of mass [N], x y z.
        torque: Torque about it [N m], x y z.
        dt: Length of the step [s].

    Returns:
        Velocity x y z and angular velocity x y z.
    """
    a00, a01, a02, a10, a11, a12, a20, a21, a22 = r
    ox, oy, oz = spin
    vx, vy, vz = velocity
    # Both velocities, the torque and the force in the body's frame.
    wbx = a00 * ox + a01 * oy + a02 * oz
    wby = a10 * ox + a11 * oy + a12 * oz
    wbz = a20 * ox + a21 * oy + a22 * oz
    vbx = a00 * vx + a01 * vy + a02 * vz
    vby = a10 * vx + a11 * vy + a12 * vz
    vbz = a20 * vx + a21 * vy + a22 * vz
    tx = -(a00 * torque[0] + a01 * torque[1] + a02 * torque[2])
    ty = -(a10 * torque[0] + a11 * torque[1] + a12 * torque[2])
    tz = -(a20 * torque[0] + a21 * torque[1] + a22 * torque[2])
    fx = -(a00 * force[0] + a01 * force[1] + a02 * force[2])
    fy = -(a10 * force[0] + a11 * force[1] + a12 * force[2])
    fz = -(a20 * force[0] + a21 * force[1] + a22 * force[2])
    # Add the gyroscopic torque and, in the turning frame, mass x (rate x velocity).
    lx, ly, lz = inertia[0] * wbx, inertia[1] * wby, inertia[2] * wbz
    tx += wby * lz - wbz * ly
    ty += wbz * lx - wbx * lz
    tz += wbx * ly - wby * lx
    cx, cy, cz = wby * vbz - wbz * vby, wbz * vbx - wbx * vbz, wbx * vby - wby * vbx
    fx += cx * mass
    fy += cy * mass
    fz += cz * mass
    # Bullet divides by the moments, but multiplies by the reciprocal of the mass.
    per_mass = 1.0 / mass
    ax, ay, az = -(tx / inertia[0]), -(ty / inertia[1]), -(tz / inertia[2])
    bx, by, bz = -(fx * per_mass) + cx, -(fy * per_mass) + cy, -(fz * per_mass) + cz
    return (
        _limited(vx + (a00 * bx + a10 * by + a20 * bz) * dt),
        _limited(vy + (a01 * bx + a11 * by + a21 * bz) * dt),
        _limited(vz + (a02 * bx + a12 * by + a22 * bz) * dt),
        _limited(ox + (a00 * ax + a10 * ay + a20 * az) * dt),
        _limited(oy + (a01 * ax + a11 * ay + a21 * az) * dt),
        _limited(oz + (a02 * ax + a12 * ay + a22 * az) * dt),
    )


@njit(cache=True)
def _limited(component):
    if component < -MAX_VELOCITY:
        return -MAX_VELOCITY
    return MAX_VELOCITY if component > MAX_VELOCITY else component


@njit(cache=True)
def turned(inverse, spin, dt):
    """Return an inverse orientation x y z w after one step (btMultiBody::stepPositionsMultiDof).

    Args:
        inverse: The inverse orientation before, x y z w.
        spin: Angular velocity at the end of the step [rad/s], x y z.
        dt: Length of the step [s].
    """
    x, y, z, w = inverse
    ox, oy, oz = spin
    rate = math.sqrt(ox * ox + oy * oy + oz * oz)
    if rate * dt > MAX_TURN_RAD:
        rate = MAX_TURN_RAD / dt
    if rate < SMALL_RATE_RAD_S:
        # sin(rate dt / 2) / rate to third order; 1 / 48 with the digits that Bullet writes.
        share = 0.5 * dt - (dt * dt * dt) * 0.020833333333 * rate * rate
    else:
        share = math.sin(0.5 * rate * dt) / rate
    a, b, c, d = -(ox * share), -(oy * share), -(oz * share), math.cos(rate * dt * 0.5)
    nx = w * a + x * d + y * c - z * b
    ny = w * b + y * d + z * a - x * c
    nz = w * c + z * d + x * b - y * a
    nw = w * d - x * a - y * b - z * c
    scale = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + nw * nw)
    return nx * scale, ny * scale, nz * scale, nw * scale
