import numpy as np


def reward_function(params):
    points, closest = params["waypoints"], params["closest_waypoints"]
    a, b = np.array(points[closest[0]]), np.array(points[closest[1]])
    car = np.array([params["x"], params["y"]])
    along, to_car = b - a, car - a
    cross = along[0] * to_car[1] - along[1] * to_car[0]
    length = np.linalg.norm(along)
    if length == 0:
        return 1e-3
    away = abs(cross) / length
    ahead = np.dot(along, to_car) / length
    return float(1.0 / (1.0 + away) + 0.1 * ahead)
