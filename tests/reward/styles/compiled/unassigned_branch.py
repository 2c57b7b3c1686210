def reward_function(params):
    if params["speed"] > 2:
        bonus = 2
    elif params["speed"] > 0:
        bonus = 0.5
    if params["progress"] >= 0 or params["steps"] >= 1:
        return bonus * params["speed"]
    return 0
