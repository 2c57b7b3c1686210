def reward_function(params):
    print(params["steps"], params["progress"])
    return params["speed"]
