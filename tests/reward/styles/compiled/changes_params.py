def reward_function(params):
    params["speed"] = params["speed"] * 2
    return params["speed"]
