"""The forces of struts, tyres, drive and drag on each car, summed to one wrench a substep.

The tyre is a brush (Fiala) tyre: lateral force rises with slip and levels out at the grip that
the longitudinal force leaves, so combined slip stays inside the friction circle (Pacejka, Tire
and Vehicle Dynamics, ch. 3; Hindiyeh, 2013, for the derated circle). No fast-math: the same
machine must give the same bits for one car and for many.
"""

import math

import numpy as np
from numba import njit

from racer.car.spec import GRAVITY


BODY = 13
"""Length of a body row."""


@njit(cache=True)
def wrench(cars, body, steering, command, dt, force, torque):
    """Advance each servo by one substep and sum the forces on each car.

    Args:
        cars: Structured rows from `CarSpec.parameters`, (n,).
        body: Body rows in the world frame, (n, BODY).
        steering: Angle of the front wheels [rad], (n,); moved towards its command.
        command: Commanded steering [rad] and speed [m/s], (n, 2).
        dt: Length of a substep [s].
        force: Filled with the force at the centre of mass [N], world frame, (n, 3).
        torque: Filled with the torque about it [N m], world frame, (n, 3).
    """
    for i in range(body.shape[0]):
        car = cars[i]
        turn = car.steering_rate * dt
        steering[i] += min(max(command[i, 0] - steering[i], -turn), turn)
        _sum(car, body[i], steering[i], command[i, 1], force[i], torque[i])


@njit(cache=True)
def _sum(car, b, steering, speed_command, force, torque):
    x, y, z, w = b[3], b[4], b[5], b[6]
    # Rotation matrix columns: body x, y and z in the world frame.
    xx, xy, xz = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)
    yx, yy, yz = 2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)
    zx, zy, zz = 2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)
    force[:] = 0.0
    torque[:] = 0.0
    force[2] = -car.mass * GRAVITY
    if zz < 0.1:
        return  # On its side or roof: no wheel reaches the road.

    level = 1.0 / math.sqrt(xx * xx + xy * xy)
    hx, hy = xx * level, xy * level
    speed = b[7] * hx + b[8] * hy
    drag = car.rolling_resistance * car.mass * GRAVITY * math.tanh(speed / 0.05)
    drag += car.air_drag * abs(speed) * speed
    force[0] -= drag * hx
    force[1] -= drag * hy
    share = 0.25 * _drive(car, speed, speed_command, drag)

    omega = 2 * math.pi * car.suspension_frequency
    damping = 2 * car.suspension_damping * omega
    free = car.mass_height + GRAVITY / (omega * omega)
    wheelbase = car.to_front_axle + car.to_rear_axle
    tangent = math.tan(steering)
    for wheel in range(4):
        front = wheel < 2
        lx = car.to_front_axle if front else -car.to_rear_axle
        ly = 0.5 * car.tread if wheel % 2 == 0 else -0.5 * car.tread
        far = car.to_rear_axle if front else car.to_front_axle
        carried = 0.5 * car.mass * far / wheelbase
        # The arm to the strut's mount, then down the strut to the road.
        ax, ay, az = lx * xx + ly * yx, lx * xy + ly * yy, lx * xz + ly * yz
        strut = (b[2] + az) / zz
        if strut >= free:
            continue
        rate = (b[9] + b[10] * ay - b[11] * ax) / zz
        load = carried * (omega * omega * (free - strut) - damping * rate)
        if load <= 0.0:
            continue
        ax, ay, az = ax - strut * zx, ay - strut * zy, az - strut * zz
        vx = b[7] + b[11] * az - b[12] * ay
        vy = b[8] + b[12] * ax - b[10] * az

        turn = tangent / (1.0 - ly * tangent / wheelbase) if front else 0.0
        cos = 1.0 / math.sqrt(1.0 + turn * turn)
        sin = turn * cos
        fx, fy = hx * cos - hy * sin, hy * cos + hx * sin
        along, across = vx * fx + vy * fy, -vx * fy + vy * fx
        grip = car.friction * load
        push = min(max(share, -grip), grip)
        side = _brush(
            car.stiffness_front if front else car.stiffness_rear,
            across / max(abs(along), car.slip_speed),
            grip,
            push,
        )
        gx, gy = push * fx - side * fy, push * fy + side * fx
        force[0] += gx
        force[1] += gy
        force[2] += load
        torque[0] += ay * load - az * gy
        torque[1] += az * gx - ax * load
        torque[2] += ax * gy - ay * gx


@njit(cache=True)
def _drive(car, speed, command, drag):
    """Total drive force of the speed controller [N], within what motor and brakes can give."""
    asked = car.mass * car.speed_gain * (command - speed) + drag
    most = car.mass * car.drive_acceleration
    if speed > car.drive_knee_speed:
        most *= car.drive_knee_speed / speed
    return min(max(asked, -car.mass * car.brake_acceleration), most)


@njit(cache=True)
def _brush(stiffness, slip, grip, push):
    """Lateral force of one tyre [N] for the tangent of its slip angle."""
    left = math.sqrt(max(grip * grip - push * push, 0.0))
    if left <= 0.0:
        return 0.0
    z = stiffness * grip * abs(slip) / (3.0 * left)
    force = left if z >= 1.0 else left * z * (3.0 - 3.0 * z + z * z)
    return -force if slip > 0.0 else force
