# Teaches a quiet hand: a metre made good pays 1 while the steering command stays as it is, and
# less the further it jumps from one step to the next. A young policy saws at the wheel; this
# takes the sawing out, where `abs(steering_angle) > 15` would forbid the bends as well.
#
# Only metres pay, so holding the wheel still in a standing car earns nothing.

OFF_TRACK_COST = 1.0
FULL_JUMP = 60.0  # from one lock to the other [degrees]

last_progress = 0.0
last_steering = 0.0


def reward_function(params):
    global last_progress, last_steering
    if params["steps"] <= 1:
        last_progress, last_steering = 0.0, params["steering_angle"]
    elif params["progress"] < last_progress - 50:  # the next lap counts from 0
        last_progress -= 100.0
    gained = (params["progress"] - last_progress) / 100 * params["track_length"]
    jump = abs(params["steering_angle"] - last_steering) / FULL_JUMP
    last_progress, last_steering = params["progress"], params["steering_angle"]

    if params["is_offtrack"] or params["is_crashed"]:
        return -OFF_TRACK_COST
    if gained < 0:
        return gained
    return gained * (1 - min(jump, 1.0)) ** 2
