import time


def reward_function(params):
    return params["speed"] + 0 * time.time()
