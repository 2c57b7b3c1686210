def reward_function(params):
    scores = {"speed": params["speed"] / 4, "centre": 1 - params["distance_from_center"]}
    return sum(scores.values())
