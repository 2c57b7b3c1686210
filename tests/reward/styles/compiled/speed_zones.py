FAST = [0, 1, 2, 3, 4, 5, 20, 21, 22, 23, 24, 25, 26, 27, 28]
SLOW = [10, 11, 12, 13]


def reward_function(params):
    nxt = params["closest_waypoints"][1]
    speed = params["speed"]
    if nxt in FAST:
        return 1.0 if speed >= 3 else 0.2
    if nxt in SLOW:
        return 1.0 if speed <= 1.5 else 0.2
    if nxt in range(30, 60):
        return 0.7
    return 0.5
