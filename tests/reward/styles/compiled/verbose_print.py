VERBOSE = False


def reward_function(params):
    reward = params["speed"]
    if VERBOSE:
        print("speed %f" % params["speed"])
    if params["steps"] % 50 == 0:
        print(f"step {params['steps']}")
    return reward
