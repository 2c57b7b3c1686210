def reward_function(params):
    on = params["all_wheels_on_track"]
    good = on * params["speed"] + (params["distance_from_center"] < 0.2) * 0.5
    return good + (not on) * -1 + (params["is_left_of_center"] == True)
