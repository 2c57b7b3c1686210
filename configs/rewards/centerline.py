# Teaches to stay in the middle: a metre made good pays 1 on the centre line, falling to nothing
# at the border. The classic first reward, with its hole closed.
#
# Paid by the step, a car would park on the line and collect; paid by the metre, standing still
# earns nothing. A metre backwards costs what a metre forwards can pay at most, so shuttling
# never pays. Weaving is paid less a metre, and leaving the road to cut a bend costs.

OFF_TRACK_COST = 1.0

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
    to_border = params["distance_from_center"] / (params["track_width"] / 2)
    return gained * max(0.0, 1 - to_border**2)
