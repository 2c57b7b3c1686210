square = lambda x: x * x
clamp = lambda x, low, high: max(low, min(high, x))


def reward_function(params):
    share = lambda d: 2 * d / params["track_width"]
    return clamp(1 - square(share(params["distance_from_center"])), 1e-3, 1)
