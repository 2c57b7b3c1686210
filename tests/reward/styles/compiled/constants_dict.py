CONFIG = {"weights": {"speed": 0.6, "centre": 0.4}, "top_speed": 4, "name": "mine"}
SPEEDS = (1.0, 2.0, 3.0)


def score(params, name):
    if name == "speed":
        return params["speed"] / CONFIG["top_speed"]
    return 1 - 2 * params["distance_from_center"] / params["track_width"]


def reward_function(params):
    w = CONFIG["weights"]
    total = w["speed"] * score(params, "speed") + w["centre"] * score(params, "centre")
    for limit in SPEEDS:
        if params["speed"] >= limit:
            total += 0.1
    return total
