def reward_function(params):
    where = params["waypoints"]
    try:
        ahead = where[params["closest_waypoints"][1] + 10]
    except IndexError:
        ahead = where[10]
    return abs(ahead[0] - params["x"]) + abs(ahead[1] - params["y"])
