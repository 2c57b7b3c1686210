def reward_function(params):
    if not hasattr(reward_function, "steering"):
        reward_function.steering = 0.0
    change = abs(params["steering_angle"] - reward_function.steering)
    reward_function.steering = params["steering_angle"]
    gained = params["progress"] - getattr(reward_function, "progress", params["progress"])
    reward_function.progress = params["progress"]
    return 1.0 + gained - 0.01 * change
