"""What comes between two physics steps of Bullet: the motion of its cars, and the next forces."""

from __future__ import annotations

from numba import njit

from racer.car.tyre_forces import tyre_wrench
from racer.world.free_body import accelerated, reported_orientation, rotation_of, turned


@njit(cache=True)
def follow_and_load(
    cars, body, inverse, steering, command, dt, which, motion, moved, loaded, loads, contact, kinds
):
    """Take over what a physics step did to some cars, and sum the forces for the next one.

    A body goes where its velocities at the end of the step take it, in contact too, so Bullet need
    not be asked for its pose; and one with the velocities of a free body has touched nothing.

    Returns whether something pushed a car that has not touched all kinds of solids before.

    Args:
        cars: Structured rows of `CarSpec.parameters`, (n,).
        body: Body rows in the world frame, (n, 13); advanced in place.
        inverse: Inverse orientations x y z w, (n, 4); turned in place.
        steering: Angle of the front wheels [rad], (n,); turned in place.
        command: Steering [rad] and speed [m/s] that reach servo and motor, (n, 2).
        dt: Length of a physics step [s].
        which: Indices of the cars, (k,).
        motion: Velocity [m/s] and angular velocity [rad/s] after the step, (moved, 6).
        moved: How many of `which`, from the first on, Bullet has moved.
        loaded: How many of them it moves next.
        loads: Place [m], force [N] and torque [N m] of each, (3, k, 3); those of the step behind
            are replaced by those of the next one.
        contact: `Contact` flags of what each car is known to have touched, (n,) int.
        kinds: The flags of all that it could touch.
    """
    is_news = False
    for k in range(moved):
        i = which[k]
        car, b, f, t, m = cars[i], body[i], loads[1, k], loads[2, k], motion[k]
        kept = inverse[i, 0], inverse[i, 1], inverse[i, 2], inverse[i, 3]
        free = accelerated(
            rotation_of(kept),
            (b[7], b[8], b[9]),
            (b[10], b[11], b[12]),
            car.mass,
            (car.inertia_x, car.inertia_y, car.inertia_z),
            (f[0], f[1], f[2]),
            (t[0], t[1], t[2]),
            dt,
        )
        is_pushed = free != (m[0], m[1], m[2], m[3], m[4], m[5])
        is_news |= is_pushed and contact[i] != kinds
        for j in range(3):
            b[j] += dt * m[j]
        kept = turned(kept, (m[3], m[4], m[5]), dt)
        inverse[i, 0], inverse[i, 1], inverse[i, 2], inverse[i, 3] = kept
        b[3], b[4], b[5], b[6] = reported_orientation(rotation_of(kept))
        for j in range(6):
            b[7 + j] = m[j]
    tyre_wrench(cars, body, steering, command, dt, loads[1], loads[2], which[:loaded])
    for k in range(loaded):
        for j in range(3):
            loads[0, k, j] = body[which[k], j]
    return is_news
