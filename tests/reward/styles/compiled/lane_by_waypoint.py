left_lane = [23, 24, 50, 51, 52, 53, 61, 62, 63, 64, 65, 66]
center_lane = [4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17]


def reward_function(params):
    reward = 21.0
    if params["all_wheels_on_track"]:
        reward += 10
    else:
        reward -= 10
    if params["closest_waypoints"][1] in left_lane and params["is_left_of_center"]:
        reward += 10
    elif params["closest_waypoints"][1] in center_lane and not params["is_left_of_center"]:
        reward += 10
    else:
        reward -= 10
    if params["closest_waypoints"][1] % 2 == 0 and params["speed"] // 1 == 2:
        reward += 5
    return float(reward)
