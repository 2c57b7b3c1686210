def reward_function(params):
    weights = [0.5, 0.3, 0.2]
    scores = [1 - 2 * params["distance_from_center"] / params["track_width"], params["speed"] / 4,
              1 - abs(params["steering_angle"]) / 30]
    total = 0
    for w, s in zip(weights, scores):
        total += w * s
    ranked = sorted(scores)
    best = max(range(3))
    return total + ranked[0] * 0.1 + sum(scores) / len(scores) + best
