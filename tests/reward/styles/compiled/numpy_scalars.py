import numpy as np


def reward_function(params):
    half = params["track_width"] / 2
    centre = np.clip(1 - (params["distance_from_center"] / half) ** 2, 1e-3, 1.0)
    steering = np.abs(params["steering_angle"])
    speed = np.sqrt(params["speed"])
    turn = np.radians(steering) * np.pi
    return float(centre * speed * np.exp(-turn / 4) + np.maximum(0.1, np.cos(turn)))
