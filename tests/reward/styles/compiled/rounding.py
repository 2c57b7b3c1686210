import math


def reward_function(params):
    x = params["x"]
    return (round(x) + round(x, 1) + round(x, 2) + int(x) + math.floor(x) + math.ceil(x)
            + math.trunc(x) + round(params["steps"] / 2))
