square = lambda x: x * x
clamp = lambda x, low, high: max(low, min(high, x))
reward_function = lambda params: clamp(1 - square(2 * params["distance_from_center"] / params["track_width"]), 1e-3, 1)
