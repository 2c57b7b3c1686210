def reward_function(params):
    params["waypoints"].pop()
    params["waypoints"].reverse()
    params["closest_waypoints"][0] = -1
    params["mine"] = params.pop("speed") * 2
    params["objects_speed"].append(99.0)
    return params["mine"] + len(params["waypoints"])
