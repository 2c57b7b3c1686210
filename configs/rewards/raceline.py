# Teaches a line of your own: here the centre line smoothed over a metre either way, which cuts the
# bends; put your own list of points in its place. A metre made good pays 1 on the line and less
# beside it.
#
# Only metres pay, so parking on the line earns nothing.

import math

OFF_TRACK_COST = 1.0
REACH = 1.0  # along the line [m]

last_progress = 0.0


def smoothed(points, here, reach):
    x = y = 0.0
    for k in range(here - reach, here + reach + 1):
        x += points[k % len(points)][0]
        y += points[k % len(points)][1]
    return x / (2 * reach + 1), y / (2 * reach + 1)


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
    reach = math.ceil(REACH * len(points) / params["track_length"])
    ax, ay = smoothed(points, params["closest_waypoints"][0], reach)
    bx, by = smoothed(points, params["closest_waypoints"][1], reach)
    across = (bx - ax) * (params["y"] - ay) - (by - ay) * (params["x"] - ax)
    beside = abs(across) / math.hypot(bx - ax, by - ay)
    return gained * (1 - 0.5 * min(2 * beside / params["track_width"], 1.0))
