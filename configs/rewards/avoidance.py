# Teaches to drive around what stands on the road: close behind an object a metre made good pays
# 1 in the other lane and little in its own. Elsewhere, and on an empty road, every metre pays 1.
#
# Train it with `race: {kind: object_avoidance}` or `head_to_bot`. Only metres pay and each step
# costs a little, so waiting behind a box earns less than nothing.

OFF_TRACK_COST = 1.0
CRASH_COST = 3.0
TIME_COST = 0.02
CLOSE = 1.5  # along the line [m]

last_progress = 0.0


def reward_function(params):
    global last_progress
    if params["steps"] <= 1:
        last_progress = 0.0
    elif params["progress"] < last_progress - 50:  # the next lap counts from 0
        last_progress -= 100.0
    gained = (params["progress"] - last_progress) / 100 * params["track_length"]
    last_progress = params["progress"]

    if params["is_crashed"]:
        return -CRASH_COST
    if params["is_offtrack"]:
        return -OFF_TRACK_COST
    if gained < 0 or not params["objects_location"]:  # the lists are empty on an empty road
        return gained - TIME_COST
    ahead = params["closest_objects"][1]
    gap = params["objects_distance"][ahead] - params["projection_distance"]
    gap %= params["track_length"]
    in_its_lane = params["objects_left_of_center"][ahead] == params["is_left_of_center"]
    return (0.2 if in_its_lane and gap < CLOSE else 1.0) * gained - TIME_COST
