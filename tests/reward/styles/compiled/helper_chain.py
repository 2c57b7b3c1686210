import math


def sign(x):
    if x > 0:
        return 1
    elif x < 0:
        return -1
    return 0


def wrap(angle, limit=180):
    while angle > limit:
        angle -= 2 * limit
    while angle < -limit:
        angle += 2 * limit
    return angle


def direction(params, ahead=1):
    points = params['waypoints']
    i, j = params['closest_waypoints']
    a, b = points[i], points[(j + ahead) % len(points)]
    return math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))


def reward_function(params):
    error = wrap(direction(params, ahead=3) - params['heading'])
    turns_right_way = sign(error) == sign(params['steering_angle'])
    reward = 1 - abs(error) / 180
    if turns_right_way:
        reward += 0.2
    return reward ** 2
