import math

A, B = 3.2, 7


def reward_function(params):
    centre = 1 / (1 + math.exp(B * (2 * params["distance_from_center"] / params["track_width"] - 0.7)))
    pace = params["progress"] / params["steps"]
    log_pace = math.log(1 + max(pace, 0))
    return A * centre + log_pace - math.tanh(abs(params["steering_angle"]) / 30)
