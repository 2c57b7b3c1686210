import math


def angle_between(p, q):
    return math.atan2(q[1] - p[1], q[0] - p[0])


def reward_function(params):
    waypoints = params['waypoints'][:-1]
    start = params['closest_waypoints'][0]
    n = len(waypoints)
    headings = [angle_between(waypoints[(start + k) % n], waypoints[(start + k + 1) % n]) for k in range(6)]
    changes = [abs(b - a) for a, b in zip(headings[:-1], headings[1:])]
    changes = [c if c < math.pi else 2 * math.pi - c for c in changes]
    curve = sum(changes) / len(changes)
    best_speed = 4.0 if curve < 0.05 else 2.5 if curve < 0.15 else 1.5
    return math.exp(-abs(params['speed'] - best_speed)) + round(curve, 3)
