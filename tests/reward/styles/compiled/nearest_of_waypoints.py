import math


def reward_function(params):
    wp = params['waypoints']
    best, best_i = float('inf'), -1
    for i, (wx, wy) in enumerate(wp):
        d = math.hypot(wx - params['x'], wy - params['y'])
        if d < best:
            best, best_i = d, i
    ahead = wp[(best_i + 5) % len(wp)]
    target = math.atan2(ahead[1] - params['y'], ahead[0] - params['x'])
    error = math.degrees(target) - params['heading']
    if error > 180:
        error -= 360
    if error < -180:
        error += 360
    return max(1e-3, 1 - abs(error - params['steering_angle']) / 60)
