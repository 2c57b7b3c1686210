def reward_function(params):
    reward = 0
    reward += params["steps"] // 7
    reward -= 3 * int(params["speed"])
    if params["is_crashed"]:
        reward = -10
    return reward
