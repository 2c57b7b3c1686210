# Teaches to overtake bots that change lanes: a metre made good pays 1, but close behind an object
# only where the car would pass clear of it, and else little. For a bot between two lanes is in
# none, and who is paid for the other lane alone learns to meet it in the middle of the road.
#
# A crash costs five metres of road, and leaving it three. Thirty and fifteen gave more faults: what
# is learnt from a rare and heavy fine drowns the rest.

OFF_TRACK_COST = 3.0
CRASH_COST = 5.0
TIME_COST = 0.02
CLOSE = 1.5  # along the line [m]
CLEAR = 0.3  # between the middles of two cars, across the line [m]

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
    own = params["distance_from_center"] * (1.0 if params["is_left_of_center"] else -1.0)
    other = params["objects_distance_from_center"][ahead]
    other *= 1.0 if params["objects_left_of_center"][ahead] else -1.0
    is_behind = gap < CLOSE and abs(own - other) < CLEAR
    return (0.2 if is_behind else 1.0) * gained - TIME_COST
