# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
"""Forces and motion of cars on a device: `tyre_forces`, `free_body` and `twin` as Warp kernels.

Each line does what the numba code does, in its order, so that the results are the same float64
numbers, up to the last bits of a processor's sin, cos, tan and tanh. See there for what a line
means and why it stands where it does.
"""

import warp as wp

from racer.car.spec import GRAVITY, CarSpec
from racer.gpu.runtime import EXACT_OPTIONS
from racer.world.free_body import MAX_TURN_RAD, MAX_VELOCITY, SMALL_RATE_RAD_S

wp.set_module_options(EXACT_OPTIONS)
F = wp.float64
_GRAVITY = wp.constant(F(GRAVITY))
_MAX_TURN = wp.constant(F(MAX_TURN_RAD))
_MAX_VELOCITY = wp.constant(F(MAX_VELOCITY))
_SMALL_RATE = wp.constant(F(SMALL_RATE_RAD_S))
_TWO_PI = wp.constant(F(6.283185307179586))


@wp.struct
class CarParameters:
    """One car's row of `CarSpec.parameters`, the same fields in the same order."""

    mass: F
    inertia_x: F
    inertia_y: F
    inertia_z: F
    body_length: F
    body_width: F
    body_height: F
    shell_height: F
    to_front_axle: F
    to_rear_axle: F
    tread: F
    wheel_radius: F
    mass_height: F
    friction: F
    load_sensitivity: F
    stiffness_front: F
    stiffness_rear: F
    slip_speed: F
    suspension_frequency: F
    suspension_damping: F
    steering_limit: F
    steering_rate: F
    steering_lag: F
    speed_limit: F
    speed_gain: F
    drive_acceleration: F
    drive_knee_speed: F
    drive_top_speed: F
    brake_acceleration: F
    rolling_resistance: F
    air_drag: F


@wp.struct
class CarWrench:
    """A force at the centre of mass [N] and the torque about it [N m], world frame."""

    force: wp.vec3d
    torque: wp.vec3d


def device_cars(spec: CarSpec, n: int, device: wp.Device) -> wp.array:
    """Return n rows of a car's parameters on a device, (n,) `CarParameters`."""
    return wp.array(spec.parameters(n), dtype=CarParameters, device=device)


@wp.func
def _mount_forward(car: CarParameters, wheel: int):
    if wheel < 2:
        return car.to_front_axle
    return -car.to_rear_axle


@wp.func
def _mount_left(car: CarParameters, wheel: int):
    if wheel % 2 == 0:
        return F(0.5) * car.tread
    return F(-0.5) * car.tread


@wp.func
def _load_of_wheel(
    car: CarParameters,
    wheel: int,
    height: F,
    climb: F,
    spin: wp.vec3d,
    forward: wp.vec3d,
    left: wp.vec3d,
):
    """See `tyre_forces._load`."""
    omega = _TWO_PI * car.suspension_frequency
    damping = F(2.0) * car.suspension_damping * omega
    free = car.mass_height + _GRAVITY / (omega * omega)
    lx = _mount_forward(car, wheel)
    ly = _mount_left(car, wheel)
    ax = lx * forward[0] + ly * left[0]
    ay = lx * forward[1] + ly * left[1]
    strut = height + lx * forward[2] + ly * left[2]
    rate = climb + spin[0] * ay - spin[1] * ax
    wheelbase = car.to_front_axle + car.to_rear_axle
    carried = F(0.5) * car.mass * (wheelbase - wp.abs(lx)) / wheelbase
    load = carried * (omega * omega * (free - strut) - damping * rate)
    if strut < free and load > F(0.0):
        return load
    return F(0.0)


@wp.func
def _drive_force(car: CarParameters, speed: F, command: F, drag: F):
    """See `tyre_forces._drive`."""
    asked = car.mass * car.speed_gain * (command - speed) + drag
    knee = car.drive_knee_speed
    top = car.drive_top_speed
    share = F(1.0)
    if speed > knee:
        share = wp.max(wp.min(knee / speed, (top - speed) / (top - knee)), F(0.0))
    most = car.mass * car.drive_acceleration * share
    return wp.min(wp.max(asked, -car.mass * car.brake_acceleration), most)


@wp.func
def _grip_of_tyre(car: CarParameters, load: F, static_load: F):
    """See `tyre_forces._grip`."""
    return (
        car.friction * load / (F(1.0) + car.load_sensitivity * (load / static_load - F(1.0)))
    )


@wp.func
def _brush_force(stiffness: F, slip: F, grip: F, push: F):
    """See `tyre_forces._brush`."""
    lateral_grip = wp.sqrt(wp.max(grip * grip - push * push, F(0.0)))
    if lateral_grip <= F(0.0):
        return F(0.0)
    z = stiffness * wp.abs(slip) / (F(3.0) * lateral_grip)
    force = lateral_grip
    if z < F(1.0):
        force = lateral_grip * z * (F(3.0) - F(3.0) * z + z * z)
    if slip > F(0.0):
        return -force
    return force


@wp.func
def car_wrench(
    car: CarParameters,
    height: F,
    turn: wp.vec4d,
    velocity: wp.vec3d,
    spin: wp.vec3d,
    steering: F,
    speed_command: F,
):
    """Return the forces of tyres, struts, drive and drag; see `tyre_forces.wrench_on_car`."""
    x = turn[0]
    y = turn[1]
    z = turn[2]
    w = turn[3]
    xx = F(1.0) - F(2.0) * (y * y + z * z)
    xy = F(2.0) * (x * y + z * w)
    xz = F(2.0) * (x * z - y * w)
    yx = F(2.0) * (x * y - z * w)
    yy = F(1.0) - F(2.0) * (x * x + z * z)
    yz = F(2.0) * (y * z + x * w)
    wrench = CarWrench()
    force_x = F(0.0)
    force_y = F(0.0)
    force_z = -car.mass * _GRAVITY
    torque_x = F(0.0)
    torque_y = F(0.0)
    torque_z = F(0.0)
    wrench.force = wp.vec3d(force_x, force_y, force_z)
    wrench.torque = wp.vec3d(torque_x, torque_y, torque_z)
    if F(1.0) - F(2.0) * (x * x + y * y) < F(0.1):
        return wrench

    level = F(1.0) / wp.sqrt(xx * xx + xy * xy)
    hx = xx * level
    hy = xy * level
    speed = velocity[0] * hx + velocity[1] * hy
    air = car.air_drag * wp.abs(speed) * speed
    force_x -= air * hx
    force_y -= air * hy
    wrench.force = wp.vec3d(force_x, force_y, force_z)
    forward = wp.vec3d(xx, xy, xz)
    left = wp.vec3d(yx, yy, yz)
    climb = velocity[2]
    loads = wp.vec4d(
        _load_of_wheel(car, 0, height, climb, spin, forward, left),
        _load_of_wheel(car, 1, height, climb, spin, forward, left),
        _load_of_wheel(car, 2, height, climb, spin, forward, left),
        _load_of_wheel(car, 3, height, climb, spin, forward, left),
    )
    carried = loads[0] + loads[1] + loads[2] + loads[3]
    if carried <= F(0.0):
        return wrench
    rolling = car.rolling_resistance * wp.tanh(speed / F(0.05))
    share = _drive_force(car, speed, speed_command, air + rolling * carried) / carried

    tangent = wp.tan(steering)
    wheelbase = car.to_front_axle + car.to_rear_axle
    weight = F(0.5) * car.mass * _GRAVITY
    for wheel in range(4):
        load = loads[wheel]
        if load > F(0.0):
            axle_load = loads[2] + loads[3]
            static_load = weight * car.to_front_axle / wheelbase
            stiffness = car.stiffness_rear
            if wheel < 2:
                axle_load = loads[0] + loads[1]
                static_load = weight * car.to_rear_axle / wheelbase
                stiffness = car.stiffness_front
            lx = _mount_forward(car, wheel)
            ly = _mount_left(car, wheel)
            ax = lx * xx + ly * yx
            ay = lx * xy + ly * yy
            az = -height
            vx = velocity[0] + spin[1] * az - spin[2] * ay
            vy = velocity[1] + spin[2] * ax - spin[0] * az
            fx = hx
            fy = hy
            if wheel < 2:
                toe = tangent / (F(1.0) - ly * (tangent / wheelbase))
                cos = F(1.0) / wp.sqrt(F(1.0) + toe * toe)
                sin = toe * cos
                fx = hx * cos - hy * sin
                fy = hy * cos + hx * sin
            along = vx * fx + vy * fy
            across = -vx * fy + vy * fx
            grip = _grip_of_tyre(car, load, static_load)
            locked = wp.abs(along) / (wp.sqrt(along * along + across * across) + F(1e-9))
            asked = F(0.5) * share * axle_load - rolling * load
            push = wp.min(wp.max(asked, -grip * locked), grip)
            slip = across / wp.max(wp.abs(along), car.slip_speed)
            side = _brush_force(stiffness * car.friction * load, slip, grip, push)
            gx = push * fx - side * fy
            gy = push * fy + side * fx
            force_x += gx
            force_y += gy
            force_z += load
            torque_x += ay * load - az * gy
            torque_y += az * gx - ax * load
            torque_z += ax * gy - ay * gx
    wrench.force = wp.vec3d(force_x, force_y, force_z)
    wrench.torque = wp.vec3d(torque_x, torque_y, torque_z)
    return wrench


@wp.func
def matrix_of(q: wp.vec4d):
    """Return the matrix of a quaternion x y z w; see `free_body.rotation_of`."""
    x = q[0]
    y = q[1]
    z = q[2]
    w = q[3]
    s = F(2.0) / (x * x + y * y + z * z + w * w)
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
    one = F(1.0)
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
    one = F(1.0)
    half = F(0.5)
    if trace > F(0.0):
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
def _within_limit(component: F):
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
    mass: F,
    inertia: wp.vec3d,
    wrench: CarWrench,
    dt: F,
):
    """Return the velocities after one physics step; see `free_body.accelerated`."""
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
    per_mass = F(1.0) / mass
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
def inverse_after(inverse: wp.vec4d, spin: wp.vec3d, dt: F):
    """Return an inverse orientation x y z w after one physics step; see `free_body.turned`."""
    x = inverse[0]
    y = inverse[1]
    z = inverse[2]
    w = inverse[3]
    rate = wp.sqrt(spin[0] * spin[0] + spin[1] * spin[1] + spin[2] * spin[2])
    if rate * dt > _MAX_TURN:
        rate = _MAX_TURN / dt
    share = F(0.0)
    if rate < _SMALL_RATE:
        share = F(0.5) * dt - (dt * dt * dt) * F(0.020833333333) * rate * rate
    else:
        share = wp.sin(F(0.5) * rate * dt) / rate
    a = -(spin[0] * share)
    b = -(spin[1] * share)
    c = -(spin[2] * share)
    d = wp.cos(rate * dt * F(0.5))
    nx = w * a + x * d + y * c - z * b
    ny = w * b + y * d + z * a - x * c
    nz = w * c + z * d + x * b - y * a
    nw = w * d - x * a - y * b - z * c
    scale = F(1.0) / wp.sqrt(nx * nx + ny * ny + nz * nz + nw * nw)
    return wp.vec4d(nx * scale, ny * scale, nz * scale, nw * scale)


@wp.kernel
def drive_cars(
    cars: wp.array(dtype=CarParameters),
    body: wp.array2d(dtype=F),
    inverse: wp.array2d(dtype=F),
    steering: wp.array(dtype=F),
    acting: wp.array2d(dtype=F),
    share: F,
    dt: F,
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
    body: wp.array2d(dtype=F),
    shift: wp.array2d(dtype=F),
    out: wp.array2d(dtype=F),
    poses: wp.array2d(dtype=F),
    yaw: wp.array(dtype=F),
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
    one = F(1.0)
    two = F(2.0)
    for k in range(13):
        out[i, k] = body[i, k]
    ahead = shift[i, 0]
    up = shift[i, 1]
    if ahead != F(0.0) or up != F(0.0):
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
