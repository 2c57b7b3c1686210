previous_steering = 0.0
smooth_steps = 0


def reward_function(params):
    global previous_steering, smooth_steps
    steering = params["steering_angle"]
    if params["steps"] <= 2:
        smooth_steps = 0
    if abs(steering - previous_steering) < 5:
        smooth_steps += 1
    else:
        smooth_steps = 0
    previous_steering = steering
    return 1.0 + 0.1 * min(smooth_steps, 10)
