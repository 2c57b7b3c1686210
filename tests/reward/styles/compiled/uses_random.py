import random


def reward_function(params):
    noise = random.random() * 1e-3
    return params["speed"] + noise
