# Teaches to be fast where the road is straight and careful where it bends: the waypoints ahead
# tell how far the road turns, and that tells a speed to ask for. A metre made good pays 1 at
# that speed and less the further the command is from it.
#
# Only metres pay and each step costs a little, so asking for the right speed against a wall
# earns less than nothing.

import math

OFF_TRACK_COST = 1.0
TIME_COST = 0.02
AHEAD = 10  # waypoints, about a metre
FAST, SLOW = 4.0, 1.5

last_progress = 0.0


def wanted_speed(params):
    points, here = params["waypoints"][:-1], params["closest_waypoints"][0]
    ring = [points[(here + k * AHEAD // 2) % len(points)] for k in range(3)]
    (ax, ay), (bx, by), (cx, cy) = ring
    first, second = math.atan2(by - ay, bx - ax), math.atan2(cy - by, cx - bx)
    turn = abs((second - first + math.pi) % (2 * math.pi) - math.pi)
    return max(SLOW, FAST - 4.0 * turn)


def reward_function(params):
    global last_progress
    if params["steps"] <= 1:
        last_progress = 0.0
    elif params["progress"] < last_progress - 50:  # the next lap counts from 0
        last_progress -= 100.0
    gained = (params["progress"] - last_progress) / 100 * params["track_length"]
    last_progress = params["progress"]

    if params["is_offtrack"] or params["is_crashed"]:
        return -OFF_TRACK_COST
    if gained < 0:
        return gained - TIME_COST
    miss = abs(params["speed"] - wanted_speed(params)) / FAST
    return gained * (1 - 0.5 * min(miss, 1.0)) - TIME_COST
