import numpy as np


def reward_function(params):
    points = np.array(params["waypoints"])
    car = np.array([params["x"], params["y"]])
    return float(np.linalg.norm(points - car, axis=1).min())
