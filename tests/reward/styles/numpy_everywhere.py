import numpy as np
import random, time

np.random.seed(0)
random.seed(0)
START = time.time()


def reward_function(params):
    np.random.seed(1)
    random.seed(1)
    points = np.array(params["waypoints"])
    car = np.array([params["x"], params["y"]])
    near = np.linalg.norm(points - car, axis=1).argmin()
    noise = 1e-3 * np.random.rand() + 1e-3 * random.random()
    return np.float32(np.exp(-params["distance_from_center"]) + noise + 0 * near)
