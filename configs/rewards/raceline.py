# Teaches a line of your own: here the centre line pulled taut like a rubber band between the
# borders, worked out once a track; put your own list of points in its place. A metre made good
# pays 1 on the line and less beside it.
#
# Only metres pay, so parking on the line earns nothing.

import numpy as np

OFF_TRACK_COST = 1.0
last_progress = 0.0
lines = {}  # one for each track and direction


def taut(points, room):
    line = centre = np.array(points)
    for _ in range(300):
        pull = (np.roll(line, 1, axis=0) + np.roll(line, -1, axis=0)) / 2 - centre
        far = np.hypot(*pull.T)[:, None]
        line = centre + pull * np.minimum(1.0, room / np.maximum(far, 1e-9))
    return line


def reward_function(params):
    global last_progress
    if params["steps"] <= 1:
        last_progress = 0.0
    gained = (params["progress"] - last_progress) / 100 * params["track_length"]
    last_progress = params["progress"]

    half, key = params["track_width"] / 2, (params["track_length"], params["is_reversed"])
    if key not in lines:
        lines[key] = taut(params["waypoints"][:-1], 0.5 * half)
    if params["is_offtrack"] or params["is_crashed"]:
        return -OFF_TRACK_COST
    if gained < 0:
        return gained
    beside = np.hypot(*(lines[key] - (params["x"], params["y"])).T).min()
    return gained * (1 - 0.5 * min(beside / half, 1.0))
