# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false
"""The motion of cars on a device: `racer.world.free_body` and `twin` as Warp kernels.

Each line does what the numba code does, in its order, so that the results are the same float64
numbers, up to the last bits of a processor's sin and cos. See there for what a line
means and why it stands where it does.
"""

import warp as wp

from racer.gpu.force_functions import CarParameters, CarWrench, car_wrench
from racer.gpu.runtime import EXACT_OPTIONS
from racer.world.free_body import MAX_TURN_RAD, MAX_VELOCITY, SMALL_RATE_RAD_S

wp.set_module_options(EXACT_OPTIONS)
_F = wp.float64
_MAX_TURN = wp.constant(_F(MAX_TURN_RAD))
_MAX_VELOCITY = wp.constant(_F(MAX_VELOCITY))
_SMALL_RATE = wp.constant(_F(SMALL_RATE_RAD_S))


@wp.func
def matrix_of(q: wp.vec4d):
    """Return the matrix of a quaternion x y z w; see `free_body.rotation_of`."""
    x = q[0]
    y = q[1]
    z = q[2]
    w = q[3]
    s = _F(2.0) / (x * x + y * y + z * z + w * w)
    xs = x * s
    ys = y * s
    zs = z * s
    wx = w * xs
    wy = w * ys
    wz = w * zs
    xx = x * xs
    xy = x * ys
    xz = x * zs
    yy = y * ys
    yz = y * zs
    zz = z * zs
    one = _F(1.0)
    return wp.mat33d(
        one - (yy + zz),
        xy - wz,
        xz + wy,
        xy + wz,
        one - (xx + zz),
        yz - wx,
        xz - wy,
        yz + wx,
        one - (xx + yy),
    )


@wp.func
def orientation_of(r: wp.mat33d):
    """Return the orientation x y z w that Bullet reports; see `free_body.reported_orientation`.

    Args:
        r: What `matrix_of` returns of the inverse orientation.
    """
    m00 = r[0, 0]
    m10 = r[0, 1]
    m20 = r[0, 2]
    m01 = r[1, 0]
    m11 = r[1, 1]
    m21 = r[1, 2]
    m02 = r[2, 0]
    m12 = r[2, 1]
    m22 = r[2, 2]
    trace = m00 + m11 + m22
    one = _F(1.0)
    half = _F(0.5)
    if trace > _F(0.0):
        s = wp.sqrt(trace + one)
        k = half / s
        return wp.vec4d((m21 - m12) * k, (m02 - m20) * k, (m10 - m01) * k, s * half)
    if m00 >= m11 and m00 >= m22:
        s = wp.sqrt(m00 - m11 - m22 + one)
        k = half / s
        return wp.vec4d(s * half, (m10 + m01) * k, (m20 + m02) * k, (m21 - m12) * k)
    if m11 > m00 and m11 >= m22:
        s = wp.sqrt(m11 - m22 - m00 + one)
        k = half / s
        return wp.vec4d((m01 + m10) * k, s * half, (m21 + m12) * k, (m02 - m20) * k)
    s = wp.sqrt(m22 - m00 - m11 + one)
    k = half / s
    return wp.vec4d((m02 + m20) * k, (m12 + m21) * k, s * half, (m10 - m01) * k)


@wp.func
def _within_limit(component: _F):
    if component < -_MAX_VELOCITY:
        return -_MAX_VELOCITY
    if component > _MAX_VELOCITY:
        return _MAX_VELOCITY
    return component


@wp.struct
class BodyMotion:
    """Velocity [m/s] and angular velocity [rad/s] of a body, world frame."""

    velocity: wp.vec3d
    spin: wp.vec3d


@wp.func
def motion_after(
    a: wp.mat33d,
    velocity: wp.vec3d,
    spin: wp.vec3d,
    mass: _F,
    inertia: wp.vec3d,
    wrench: CarWrench,
    dt: _F,
):
    """See `free_body.accelerated`; return a `BodyMotion`."""
    v = velocity
    o = spin
    force = wrench.force
    torque = wrench.torque
    wbx = a[0, 0] * o[0] + a[0, 1] * o[1] + a[0, 2] * o[2]
    wby = a[1, 0] * o[0] + a[1, 1] * o[1] + a[1, 2] * o[2]
    wbz = a[2, 0] * o[0] + a[2, 1] * o[1] + a[2, 2] * o[2]
    vbx = a[0, 0] * v[0] + a[0, 1] * v[1] + a[0, 2] * v[2]
    vby = a[1, 0] * v[0] + a[1, 1] * v[1] + a[1, 2] * v[2]
    vbz = a[2, 0] * v[0] + a[2, 1] * v[1] + a[2, 2] * v[2]
    tx = -(a[0, 0] * torque[0] + a[0, 1] * torque[1] + a[0, 2] * torque[2])
    ty = -(a[1, 0] * torque[0] + a[1, 1] * torque[1] + a[1, 2] * torque[2])
    tz = -(a[2, 0] * torque[0] + a[2, 1] * torque[1] + a[2, 2] * torque[2])
    fx = -(a[0, 0] * force[0] + a[0, 1] * force[1] + a[0, 2] * force[2])
    fy = -(a[1, 0] * force[0] + a[1, 1] * force[1] + a[1, 2] * force[2])
    fz = -(a[2, 0] * force[0] + a[2, 1] * force[1] + a[2, 2] * force[2])
    lx = inertia[0] * wbx
    ly = inertia[1] * wby
    lz = inertia[2] * wbz
    tx += wby * lz - wbz * ly
    ty += wbz * lx - wbx * lz
    tz += wbx * ly - wby * lx
    cx = wby * vbz - wbz * vby
    cy = wbz * vbx - wbx * vbz
    cz = wbx * vby - wby * vbx
    fx += cx * mass
    fy += cy * mass
    fz += cz * mass
    per_mass = _F(1.0) / mass
    ax = -(tx / inertia[0])
    ay = -(ty / inertia[1])
    az = -(tz / inertia[2])
    bx = -(fx * per_mass) + cx
    by = -(fy * per_mass) + cy
    bz = -(fz * per_mass) + cz
    after = BodyMotion()
    after.velocity = wp.vec3d(
        _within_limit(v[0] + (a[0, 0] * bx + a[1, 0] * by + a[2, 0] * bz) * dt),
        _within_limit(v[1] + (a[0, 1] * bx + a[1, 1] * by + a[2, 1] * bz) * dt),
        _within_limit(v[2] + (a[0, 2] * bx + a[1, 2] * by + a[2, 2] * bz) * dt),
    )
    after.spin = wp.vec3d(
        _within_limit(o[0] + (a[0, 0] * ax + a[1, 0] * ay + a[2, 0] * az) * dt),
        _within_limit(o[1] + (a[0, 1] * ax + a[1, 1] * ay + a[2, 1] * az) * dt),
        _within_limit(o[2] + (a[0, 2] * ax + a[1, 2] * ay + a[2, 2] * az) * dt),
    )
    return after


@wp.func
def inverse_after(inverse: wp.vec4d, spin: wp.vec3d, dt: _F):
    """See `free_body.turned`; return the inverse orientation x y z w after a physics step."""
    x = inverse[0]
    y = inverse[1]
    z = inverse[2]
    w = inverse[3]
    rate = wp.sqrt(spin[0] * spin[0] + spin[1] * spin[1] + spin[2] * spin[2])
    if rate * dt > _MAX_TURN:
        rate = _MAX_TURN / dt
    share = _F(0.0)
    if rate < _SMALL_RATE:
        share = _F(0.5) * dt - (dt * dt * dt) * _F(0.020833333333) * rate * rate
    else:
        share = wp.sin(_F(0.5) * rate * dt) / rate
    a = -(spin[0] * share)
    b = -(spin[1] * share)
    c = -(spin[2] * share)
    d = wp.cos(rate * dt * _F(0.5))
    nx = w * a + x * d + y * c - z * b
    ny = w * b + y * d + z * a - x * c
    nz = w * c + z * d + x * b - y * a
    nw = w * d - x * a - y * b - z * c
    scale = _F(1.0) / wp.sqrt(nx * nx + ny * ny + nz * nz + nw * nw)
    return wp.vec4d(nx * scale, ny * scale, nz * scale, nw * scale)


@wp.kernel
def drive_cars(
    cars: wp.array(dtype=CarParameters),
    body: wp.array2d(dtype=_F),
    inverse: wp.array2d(dtype=_F),
    steering: wp.array(dtype=_F),
    acting: wp.array2d(dtype=_F),
    share: _F,
    dt: _F,
    substeps: int,
):
    """Drive cars through a control step; see `twin.drive_twins`. One thread for each car.

    Args:
        cars: Their parameters, (n,).
        body: Body rows of the drawn bodies, world frame, (n, 13); advanced in place.
        inverse: Inverse orientations x y z w, (n, 4); advanced in place.
        steering: Angle of the front wheels [rad], (n,); advanced in place.
        acting: Steering [rad] and speed [m/s] that reach servo and motor, (n, 2).
        share: What `tyre_forces.servo_share` returns for the car and `dt`.
        dt: Length of a physics step [s].
        substeps: Physics steps in a control step.
    """
    i = wp.tid()
    car = cars[i]
    inertia = wp.vec3d(car.inertia_x, car.inertia_y, car.inertia_z)
    place = wp.vec3d(body[i, 0], body[i, 1], body[i, 2])
    turn = wp.vec4d(body[i, 3], body[i, 4], body[i, 5], body[i, 6])
    velocity = wp.vec3d(body[i, 7], body[i, 8], body[i, 9])
    spin = wp.vec3d(body[i, 10], body[i, 11], body[i, 12])
    kept = wp.vec4d(inverse[i, 0], inverse[i, 1], inverse[i, 2], inverse[i, 3])
    rotation = matrix_of(kept)
    angle = steering[i]
    fastest = car.steering_rate * dt
    for _ in range(substeps):
        change = (acting[i, 0] - angle) * share
        angle = angle + wp.min(wp.max(change, -fastest), fastest)
        wrench = car_wrench(car, place[2], turn, velocity, spin, angle, acting[i, 1])
        motion = motion_after(rotation, velocity, spin, car.mass, inertia, wrench, dt)
        velocity = motion.velocity
        spin = motion.spin
        place = wp.vec3d(
            place[0] + dt * velocity[0],
            place[1] + dt * velocity[1],
            place[2] + dt * velocity[2],
        )
        kept = inverse_after(kept, spin, dt)
        rotation = matrix_of(kept)
        turn = orientation_of(rotation)
    steering[i] = angle
    for k in range(3):
        body[i, k] = place[k]
        body[i, 7 + k] = velocity[k]
        body[i, 10 + k] = spin[k]
    for k in range(4):
        body[i, 3 + k] = turn[k]
        inverse[i, k] = kept[k]


@wp.kernel
def publish_cars(
    body: wp.array2d(dtype=_F),
    shift: wp.array2d(dtype=_F),
    out: wp.array2d(dtype=_F),
    poses: wp.array2d(dtype=_F),
    yaw: wp.array(dtype=_F),
):
    """Fill in what rules and sensors see of the bodies; see `car_state.publish_state`.

    Args:
        body: Body rows of the drawn bodies, (n, 13).
        shift: Offset from their centres of mass to the spec's, forward and up [m], (n, 2).
        out: Filled with body rows, (n, 13).
        poses: Filled with their first seven numbers, (n, 7).
        yaw: Filled with headings [rad], (n,).
    """
    i = wp.tid()
    x = body[i, 3]
    y = body[i, 4]
    z = body[i, 5]
    w = body[i, 6]
    one = _F(1.0)
    two = _F(2.0)
    for k in range(13):
        out[i, k] = body[i, k]
    ahead = shift[i, 0]
    up = shift[i, 1]
    if ahead != _F(0.0) or up != _F(0.0):
        ax = (one - two * (y * y + z * z)) * ahead + two * (x * z + y * w) * up
        ay = two * (x * y + z * w) * ahead + two * (y * z - x * w) * up
        az = two * (x * z - y * w) * ahead + (one - two * (x * x + y * y)) * up
        wx = body[i, 10]
        wy = body[i, 11]
        wz = body[i, 12]
        out[i, 0] = body[i, 0] + ax
        out[i, 1] = body[i, 1] + ay
        out[i, 2] = body[i, 2] + az
        out[i, 7] = body[i, 7] + (wy * az - wz * ay)
        out[i, 8] = body[i, 8] + (wz * ax - wx * az)
        out[i, 9] = body[i, 9] + (wx * ay - wy * ax)
    for k in range(7):
        poses[i, k] = out[i, k]
    yaw[i] = wp.atan2(two * (x * y + z * w), one - two * (y * y + z * z))
