# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false
"""The forces on a car on a device: `racer.car.tyre_forces` as Warp functions.

Each line does what the numba code does, in its order, so that the results are the same float64
numbers, up to the last bits of a processor's tan and tanh. See there for what a line means and why
it stands where it does.
"""

import warp as wp

from racer.car.spec import GRAVITY, CarSpec
from racer.gpu.runtime import EXACT_OPTIONS

wp.set_module_options(EXACT_OPTIONS)
_F = wp.float64
_GRAVITY = wp.constant(_F(GRAVITY))
_TWO_PI = wp.constant(_F(6.283185307179586))


@wp.struct
class CarParameters:
    """One car's row of `CarSpec.parameters`, the same fields in the same order."""

    mass: _F
    inertia_x: _F
    inertia_y: _F
    inertia_z: _F
    body_length: _F
    body_width: _F
    body_height: _F
    shell_height: _F
    to_front_axle: _F
    to_rear_axle: _F
    tread: _F
    wheel_radius: _F
    mass_height: _F
    friction: _F
    load_sensitivity: _F
    stiffness_front: _F
    stiffness_rear: _F
    slip_speed: _F
    suspension_frequency: _F
    suspension_damping: _F
    steering_limit: _F
    steering_rate: _F
    steering_lag: _F
    speed_limit: _F
    speed_gain: _F
    drive_acceleration: _F
    drive_knee_speed: _F
    drive_top_speed: _F
    brake_acceleration: _F
    rolling_resistance: _F
    air_drag: _F


@wp.struct
class CarWrench:
    """A force at the centre of mass [N] and the torque about it [N m], world frame."""

    force: wp.vec3d
    torque: wp.vec3d


def device_cars(spec: CarSpec, n: int, device: wp.Device) -> wp.array:
    """Return n rows of a car's parameters on a device, (n,) `CarParameters`.

    Args:
        spec: The car.
        n: Number of rows.
        device: The Warp device.
    """
    return wp.array(spec.parameters(n), dtype=CarParameters, device=device)


@wp.func
def _mount_forward(car: CarParameters, wheel: int):
    if wheel < 2:
        return car.to_front_axle
    return -car.to_rear_axle


@wp.func
def _mount_left(car: CarParameters, wheel: int):
    if wheel % 2 == 0:
        return _F(0.5) * car.tread
    return _F(-0.5) * car.tread


@wp.func
def _load_of_wheel(
    car: CarParameters,
    wheel: int,
    height: _F,
    climb: _F,
    spin: wp.vec3d,
    forward: wp.vec3d,
    left: wp.vec3d,
):
    """See `tyre_forces._load`."""
    omega = _TWO_PI * car.suspension_frequency
    damping = _F(2.0) * car.suspension_damping * omega
    free = car.mass_height + _GRAVITY / (omega * omega)
    lx = _mount_forward(car, wheel)
    ly = _mount_left(car, wheel)
    ax = lx * forward[0] + ly * left[0]
    ay = lx * forward[1] + ly * left[1]
    strut = height + lx * forward[2] + ly * left[2]
    rate = climb + spin[0] * ay - spin[1] * ax
    wheelbase = car.to_front_axle + car.to_rear_axle
    carried = _F(0.5) * car.mass * (wheelbase - wp.abs(lx)) / wheelbase
    load = carried * (omega * omega * (free - strut) - damping * rate)
    if strut < free and load > _F(0.0):
        return load
    return _F(0.0)


@wp.func
def _drive_force(car: CarParameters, speed: _F, command: _F, drag: _F):
    """See `tyre_forces._drive`."""
    asked = car.mass * car.speed_gain * (command - speed) + drag
    knee = car.drive_knee_speed
    top = car.drive_top_speed
    share = _F(1.0)
    if speed > knee:
        share = wp.max(wp.min(knee / speed, (top - speed) / (top - knee)), _F(0.0))
    most = car.mass * car.drive_acceleration * share
    return wp.min(wp.max(asked, -car.mass * car.brake_acceleration), most)


@wp.func
def _grip_of_tyre(car: CarParameters, load: _F, static_load: _F):
    """See `tyre_forces._grip`."""
    return car.friction * load / (_F(1.0) + car.load_sensitivity * (load / static_load - _F(1.0)))


@wp.func
def _brush_force(stiffness: _F, slip: _F, grip: _F, push: _F):
    """See `tyre_forces._brush`."""
    lateral_grip = wp.sqrt(wp.max(grip * grip - push * push, _F(0.0)))
    if lateral_grip <= _F(0.0):
        return _F(0.0)
    z = stiffness * wp.abs(slip) / (_F(3.0) * lateral_grip)
    force = lateral_grip
    if z < _F(1.0):
        force = lateral_grip * z * (_F(3.0) - _F(3.0) * z + z * z)
    if slip > _F(0.0):
        return -force
    return force


@wp.func
def car_wrench(
    car: CarParameters,
    height: _F,
    turn: wp.vec4d,
    velocity: wp.vec3d,
    spin: wp.vec3d,
    steering: _F,
    speed_command: _F,
):
    """See `tyre_forces.wrench_on_car`; return a `CarWrench`."""
    x = turn[0]
    y = turn[1]
    z = turn[2]
    w = turn[3]
    xx = _F(1.0) - _F(2.0) * (y * y + z * z)
    xy = _F(2.0) * (x * y + z * w)
    xz = _F(2.0) * (x * z - y * w)
    yx = _F(2.0) * (x * y - z * w)
    yy = _F(1.0) - _F(2.0) * (x * x + z * z)
    yz = _F(2.0) * (y * z + x * w)
    wrench = CarWrench()
    force_x = _F(0.0)
    force_y = _F(0.0)
    force_z = -car.mass * _GRAVITY
    torque_x = _F(0.0)
    torque_y = _F(0.0)
    torque_z = _F(0.0)
    wrench.force = wp.vec3d(force_x, force_y, force_z)
    wrench.torque = wp.vec3d(torque_x, torque_y, torque_z)
    if _F(1.0) - _F(2.0) * (x * x + y * y) < _F(0.1):
        return wrench

    level = _F(1.0) / wp.sqrt(xx * xx + xy * xy)
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
    if carried <= _F(0.0):
        return wrench
    rolling = car.rolling_resistance * wp.tanh(speed / _F(0.05))
    share = _drive_force(car, speed, speed_command, air + rolling * carried) / carried

    tangent = wp.tan(steering)
    wheelbase = car.to_front_axle + car.to_rear_axle
    weight = _F(0.5) * car.mass * _GRAVITY
    for wheel in range(4):
        load = loads[wheel]
        if load > _F(0.0):
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
                toe = tangent / (_F(1.0) - ly * (tangent / wheelbase))
                cos = _F(1.0) / wp.sqrt(_F(1.0) + toe * toe)
                sin = toe * cos
                fx = hx * cos - hy * sin
                fy = hy * cos + hx * sin
            along = vx * fx + vy * fy
            across = -vx * fy + vy * fx
            grip = _grip_of_tyre(car, load, static_load)
            locked = wp.abs(along) / (wp.sqrt(along * along + across * across) + _F(1e-9))
            asked = _F(0.5) * share * axle_load - rolling * load
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
