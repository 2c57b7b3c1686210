"""The twin of Bullet: cars that touch nothing, driven with the same bits and without its calls.

The twin drives each car to the end of the control step, or until the car comes so near to a solid
that it could touch it in the next physics step: from there on the car is Bullet's.
"""

from __future__ import annotations

from numba import njit

from racer.car.tyre_forces import servo_share, turn_wheels, wrench_on_car
from racer.world.clearance import free_distance
from racer.world.free_body import accelerated, reported_orientation, rotation_of, turned


@njit(cache=True)
def drive_twins(cars, body, inverse, steering, command, dt, substeps, solids, is_bullets, driven):
    """Drive cars through a control step, and stop each where it could touch something.

    Returns how many cars Bullet has to drive on.

    Args:
        cars: Structured rows of `CarSpec.parameters`, (n,).
        body: Body rows in the world frame, (n, 13); advanced in place.
        inverse: Inverse orientations x y z w, (n, 4); advanced in place.
        steering: Angle of the front wheels [rad], (n,); advanced in place.
        command: Steering [rad] and speed [m/s] that reach servo and motor, (n, 2).
        dt: Length of a physics step [s].
        substeps: Physics steps in a control step.
        solids: What the cars can touch.
        is_bullets: Whether a car is Bullet's already, (n,) bool; it is not driven.
        driven: Filled with the physics steps that each car has behind it, (n,) int; all of them for
            a car that is Bullet's already.
    """
    left = 0
    for i in range(body.shape[0]):
        if is_bullets[i]:
            driven[i] = substeps
            left += 1
            continue
        car = cars[i]
        share = servo_share(car, dt)
        inertia = car.inertia_x, car.inertia_y, car.inertia_z
        place = body[i, 0], body[i, 1], body[i, 2]
        turn = body[i, 3], body[i, 4], body[i, 5], body[i, 6]
        velocity = body[i, 7], body[i, 8], body[i, 9]
        spin = body[i, 10], body[i, 11], body[i, 12]
        kept = inverse[i, 0], inverse[i, 1], inverse[i, 2], inverse[i, 3]
        rotation = rotation_of(kept)
        angle, free, substep = steering[i], 0.0, 0
        while substep < substeps:
            if solids.is_any and free <= 0.0:
                free = free_distance(solids, i, place, turn, (substep + 1) / substeps)
                if free <= 0.0:
                    break
            angle = turn_wheels(car, angle, command[i, 0], share, dt)
            wrench = wrench_on_car(car, place[2], turn, velocity, spin, angle, command[i, 1])
            force, torque = wrench[:3], wrench[3:]
            motion = accelerated(rotation, velocity, spin, car.mass, inertia, force, torque, dt)
            velocity, spin = motion[:3], motion[3:]
            place = (
                place[0] + dt * velocity[0],
                place[1] + dt * velocity[1],
                place[2] + dt * velocity[2],
            )
            kept = turned(kept, spin, dt)
            rotation = rotation_of(kept)
            turn = reported_orientation(rotation)
            substep += 1
            if solids.is_any:
                # No point of the car comes further than this, nor a box further than its step.
                rate = abs(spin[0]) + abs(spin[1]) + abs(spin[2])
                speed = abs(velocity[0]) + abs(velocity[1]) + solids.half_diagonal * rate
                free -= dt * speed + solids.box_step
        driven[i] = substep
        left += substep < substeps
        steering[i] = angle
        for k in range(3):
            body[i, k], body[i, 7 + k], body[i, 10 + k] = place[k], velocity[k], spin[k]
        for k in range(4):
            body[i, 3 + k], inverse[i, k] = turn[k], kept[k]
    return left
