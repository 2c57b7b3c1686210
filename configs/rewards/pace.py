# Teaches a steady pace: a lap in so many seconds needs so much progress each step. A metre made
# good pays 1 at that pace, and less the slower or the faster it is covered. Lower LAP_TIME once
# the car keeps it.
#
# The pace is that of the progress, not of params["speed"], which is only what was asked for.

LAP_TIME = 12.0  # seconds
STEPS_PER_SECOND = 15
OFF_TRACK_COST = 1.0

last_progress = 0.0


def reward_function(params):
    global last_progress
    if params["steps"] <= 1:
        last_progress = 0.0
    elif params["progress"] < last_progress - 50:  # the next lap counts from 0
        last_progress -= 100.0
    gained = params["progress"] - last_progress
    last_progress = params["progress"]

    if params["is_offtrack"] or params["is_crashed"]:
        return -OFF_TRACK_COST
    metres = gained / 100 * params["track_length"]
    if gained < 0:
        return metres
    pace = gained / (100 / (LAP_TIME * STEPS_PER_SECOND))
    return metres / (1 + (pace - 1) ** 2)
