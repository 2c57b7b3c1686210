"""The forces of struts, tyres, drive and drag on each car, summed into one wrench per substep.

The tyre is a brush (Fiala) tyre: its lateral force rises with slip and levels out at the grip that
the longitudinal force leaves, so that combined slip stays inside the friction circle (Pacejka, Tire
and Vehicle Dynamics, ch. 3; Hindiyeh, 2013, for the derated circle). Friction falls with load,
while cornering stiffness stays proportional to it. One shaft drives both axles, so they slip alike
and share drive and brake in the ratio of their loads; each axle's open differential halves its
part. The kernels use no fast-math: a car must get the same bits alone and among others.

A body row holds position [m], quaternion x y z w, velocity [m/s] and angular velocity [rad/s], all
in the world frame: 3 + 4 + 3 + 3 numbers.
"""

import math

from numba import njit

from racer.car.spec import GRAVITY

BODY_ROW_LENGTH = 13
"""How many numbers a body row holds."""


@njit(cache=True)
def tyre_wrench(cars, body, steering, command, dt, force, torque, which):
    """Advance each servo by one substep and sum the forces on each car.

    Args:
        cars: Structured rows of `CarSpec.parameters`, (n,).
        body: Body rows in the world frame, (n, 13).
        steering: Angle of the front wheels [rad], (n,); turned in place towards its command.
        command: Commanded steering [rad] and speed [m/s], (n, 2).
        dt: Length of the substep [s].
        force: Filled with the force at their centres of mass [N], world frame, (k, 3).
        torque: Filled with the torque about them [N m], world frame, (k, 3).
        which: Indices of the cars that it is done for, (k,).
    """
    for k in range(which.shape[0]):
        i = which[k]
        car, b = cars[i], body[i]
        steering[i] = turn_wheels(car, steering[i], command[i, 0], servo_share(car, dt), dt)
        force[k, 0], force[k, 1], force[k, 2], torque[k, 0], torque[k, 1], torque[k, 2] = (
            wrench_on_car(
                car,
                b[2],
                (b[3], b[4], b[5], b[6]),
                (b[7], b[8], b[9]),
                (b[10], b[11], b[12]),
                steering[i],
                command[i, 1],
            )
        )


@njit(cache=True)
def servo_share(car, dt):
    """Return the share of its way to the command that a servo without a rate limit turns in `dt`.

    It is the exact solution of a first-order lag, so that the result does not depend on dt. The
    floor under the lag keeps a servo without one from dividing by zero.
    """
    return -math.expm1(-dt / max(car.steering_lag, 1e-9))


@njit(cache=True)
def turn_wheels(car, steering, command, share, dt):
    """Return the angle of the front wheels [rad] after one substep.

    Args:
        car: The car's row of parameters.
        steering: Angle before [rad].
        command: Commanded angle [rad].
        share: What `servo_share` returns.
        dt: Length of the substep [s].
    """
    fastest = car.steering_rate * dt
    return steering + min(max((command - steering) * share, -fastest), fastest)


@njit(cache=True)
def wrench_on_car(car, height, turn, velocity, spin, steering, speed_command):
    """Return the force [N] at the centre of mass and the torque [N m] about it, world frame.

    It takes and returns numbers, not arrays, so that the compiler keeps a car in registers.

    Args:
        car: The car's row of parameters.
        height: Height of its centre of mass [m].
        turn: Its orientation, x y z w.
        velocity: [m/s], x y z.
        spin: Angular velocity [rad/s], x y z.
        steering: Angle of its front wheels [rad].
        speed_command: Its commanded speed [m/s].

    Returns:
        Six numbers: force x y z and torque x y z.
    """
    x, y, z, w = turn
    # The body's x and y axes in the world frame.
    xx, xy, xz = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)
    yx, yy, yz = 2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)
    force_x = force_y = torque_x = torque_y = torque_z = 0.0
    force_z = -car.mass * GRAVITY
    # The z axis's own vertical part: below 0.1 the car lies on its side or roof, and no wheel
    # reaches the road.
    if 1 - 2 * (x * x + y * y) < 0.1:
        return force_x, force_y, force_z, torque_x, torque_y, torque_z

    # Heading, speed and tyre forces are taken in the road's plane, not in the tilted body's.
    level = 1.0 / math.sqrt(xx * xx + xy * xy)
    hx, hy = xx * level, xy * level
    speed = velocity[0] * hx + velocity[1] * hy
    air = car.air_drag * abs(speed) * speed
    force_x -= air * hx
    force_y -= air * hy
    loads = _loads(car, height, velocity[2], spin, (xx, xy, xz), (yx, yy, yz))
    carried = loads[0] + loads[1] + loads[2] + loads[3]
    if carried <= 0.0:
        return force_x, force_y, force_z, torque_x, torque_y, torque_z
    # The tanh lets rolling drag change sign smoothly within about 0.05 m/s, not jump at rest.
    rolling = car.rolling_resistance * math.tanh(speed / 0.05)
    share = _drive(car, speed, speed_command, air + rolling * carried) / carried

    tangent = math.tan(steering)
    wheelbase = car.to_front_axle + car.to_rear_axle
    weight = 0.5 * car.mass * GRAVITY
    front = loads[0] + loads[1], weight * car.to_rear_axle / wheelbase, car.stiffness_front
    rear = loads[2] + loads[3], weight * car.to_front_axle / wheelbase, car.stiffness_rear
    for wheel in range(4):
        load = loads[wheel]
        if load <= 0.0:
            continue
        is_front = wheel < 2
        axle_load, static_load, stiffness = front if is_front else rear
        lx, ly = _mount(car, wheel)
        # The wheel meets the road, z = 0, straight below its mount.
        ax, ay, az = lx * xx + ly * yx, lx * xy + ly * yy, -height
        vx = velocity[0] + spin[1] * az - spin[2] * ay
        vy = velocity[1] + spin[2] * ax - spin[0] * az

        # Ackermann steering: all wheels turn about one point on the rear axle's line.
        fx, fy = hx, hy
        if is_front:
            toe = tangent / (1.0 - ly * (tangent / wheelbase))
            cos = 1.0 / math.sqrt(1.0 + toe * toe)
            sin = toe * cos
            fx, fy = hx * cos - hy * sin, hy * cos + hx * sin
        along, across = vx * fx + vy * fy, -vx * fy + vy * fx
        grip = _grip(car, load, static_load)
        # A brake can at most lock the wheel; friction then points against the slide, so its
        # longitudinal part is at most grip x cos(slip angle). 1e-9 m/s avoids 0 / 0 at rest.
        locked = abs(along) / (math.sqrt(along * along + across * across) + 1e-9)
        push = min(max(0.5 * share * axle_load - rolling * load, -grip * locked), grip)
        slip = across / max(abs(along), car.slip_speed)
        side = _brush(stiffness * car.friction * load, slip, grip, push)
        gx, gy = push * fx - side * fy, push * fy + side * fx
        force_x += gx
        force_y += gy
        force_z += load
        torque_x += ay * load - az * gy
        torque_y += az * gx - ax * load
        torque_z += ax * gy - ay * gx
    return force_x, force_y, force_z, torque_x, torque_y, torque_z


@njit(cache=True)
def _mount(car, wheel):
    """Return where a wheel's strut stands on the body, forward and left [m]; front wheels first."""
    forward = car.to_front_axle if wheel < 2 else -car.to_rear_axle
    return forward, 0.5 * car.tread if wheel % 2 == 0 else -0.5 * car.tread


@njit(cache=True)
def _loads(car, height, climb, spin, forward, left):
    """Return each wheel's load [N], zero where it hangs free; front wheels first.

    A strut stands upright below its mount, and its force acts at the height of the centre of mass,
    so that exactly mass x acceleration x height / wheelbase of load moves between the axles.

    Args:
        car: The car's row of parameters.
        height: Height of the centre of mass [m].
        climb: Its vertical velocity [m/s].
        spin: Angular velocity [rad/s], x y z.
        forward: The body's x axis in the world frame.
        left: Its y axis.
    """
    omega = 2 * math.pi * car.suspension_frequency
    damping = 2 * car.suspension_damping * omega
    # Height of a strut's top when it carries nothing: heave sinks by g / omega^2 under the weight.
    free = car.mass_height + GRAVITY / (omega * omega)
    return (
        _load(car, _mount(car, 0), height, climb, spin, forward, left, omega, damping, free),
        _load(car, _mount(car, 1), height, climb, spin, forward, left, omega, damping, free),
        _load(car, _mount(car, 2), height, climb, spin, forward, left, omega, damping, free),
        _load(car, _mount(car, 3), height, climb, spin, forward, left, omega, damping, free),
    )


@njit(cache=True)
def _load(car, mount, height, climb, spin, forward, left, omega, damping, free):
    """Return the load of the wheel below a mount [N]."""
    lx, ly = mount
    ax, ay = lx * forward[0] + ly * left[0], lx * forward[1] + ly * left[1]
    strut = height + lx * forward[2] + ly * left[2]
    rate = climb + spin[0] * ay - spin[1] * ax
    wheelbase = car.to_front_axle + car.to_rear_axle
    carried = 0.5 * car.mass * (wheelbase - abs(lx)) / wheelbase
    load = carried * (omega * omega * (free - strut) - damping * rate)
    return load if strut < free and load > 0.0 else 0.0


@njit(cache=True)
def _drive(car, speed, command, drag):
    """Return the drive force that the speed controller gets [N], limited by motor and brakes.

    The motor gives constant force up to the knee speed and constant power above it, but no more
    than its back-EMF leaves: a straight line that reaches zero at the no-load speed.
    """
    asked = car.mass * car.speed_gain * (command - speed) + drag
    knee, top = car.drive_knee_speed, car.drive_top_speed
    share = 1.0
    if speed > knee:
        share = max(min(knee / speed, (top - speed) / (top - knee)), 0.0)
    most = car.mass * car.drive_acceleration * share
    return min(max(asked, -car.mass * car.brake_acceleration), most)


@njit(cache=True)
def _grip(car, load, static):
    """Return the largest force of a tyre [N] under its load; friction x load at its static load."""
    return car.friction * load / (1.0 + car.load_sensitivity * (load / static - 1.0))


@njit(cache=True)
def _brush(stiffness, slip, grip, push):
    """Return the lateral force of one tyre [N].

    Args:
        stiffness: Cornering stiffness [N/rad].
        slip: Tangent of the slip angle.
        grip: Largest force of the tyre [N].
        push: Longitudinal force [N], which uses up a part of the grip.
    """
    # What the friction circle leaves across the wheel.
    lateral_grip = math.sqrt(max(grip * grip - push * push, 0.0))
    if lateral_grip <= 0.0:
        return 0.0
    # z is the share of the contact patch that slides; at 1 the whole tyre does.
    z = stiffness * abs(slip) / (3.0 * lateral_grip)
    force = lateral_grip if z >= 1.0 else lateral_grip * z * (3.0 - 3.0 * z + z * z)
    return -force if slip > 0.0 else force
