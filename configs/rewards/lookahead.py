# Teaches to look where the road goes: the car should point at the centre line a metre ahead and
# not along the piece under its nose, so it turns in before the bend. A metre made good pays 1
# while it does, and less the further it looks away.
#
# Only metres pay, so pointing the right way in a standing car earns nothing.

import math

OFF_TRACK_COST = 1.0
AHEAD = 1.0  # [m]

last_progress = 0.0


def reward_function(params):
    global last_progress
    if params["steps"] <= 1:
        last_progress = 0.0
    elif params["progress"] < last_progress - 50:  # the next lap counts from 0
        last_progress -= 100.0
    gained = (params["progress"] - last_progress) / 100 * params["track_length"]
    last_progress = params["progress"]

    if params["is_offtrack"] or params["is_crashed"]:
        return -OFF_TRACK_COST
    if gained < 0:
        return gained
    points = params["waypoints"][:-1]
    steps_ahead = math.ceil(AHEAD * len(points) / params["track_length"])
    x, y = points[(params["closest_waypoints"][1] + steps_ahead) % len(points)]
    wanted = math.degrees(math.atan2(y - params["y"], x - params["x"]))
    away = abs((wanted - params["heading"] + 180) % 360 - 180)
    return gained * max(0.0, 1 - away / 60)
