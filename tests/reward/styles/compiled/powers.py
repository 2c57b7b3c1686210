import math


def reward_function(params):
    d, s, n = params["distance_from_center"], params["speed"], params["steps"]
    total = d ** 2 + d ** 0.5 + s ** 3 + 2 ** n % 7 if n < 20 else d ** 4 - s ** -1
    total += math.pow(s, 1.5) + pow(s, 2) + 10 ** -2 + n ** 2 / 1e4 + 2 ** (s - 2)
    return total
