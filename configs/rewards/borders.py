# Teaches to use the whole road and to stay on it: a metre made good pays 1 wherever the car
# drives, until its wheels come near a border. A racing line needs the width that `centerline`
# forbids; compare the two.
#
# Only metres pay and each step costs a little, so swinging from border to border, where there is
# room to, earns less than driving on.

OFF_TRACK_COST = 1.0
TIME_COST = 0.02
SAFE = 0.15  # from a border [m]: half a car and a little

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
        return gained - TIME_COST
    left_over = params["track_width"] / 2 - params["distance_from_center"]
    is_safe = left_over > SAFE and params["all_wheels_on_track"]
    return (1.0 if is_safe else 0.2) * gained - TIME_COST
