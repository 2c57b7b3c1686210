class PARAMS:
    prev_speed = None
    prev_steering_angle = None
    prev_steps = None
    unpardonable_action = False


def reward_function(params):
    speed, steering_angle, steps = params['speed'], params['steering_angle'], params['steps']
    if PARAMS.prev_steps is None or steps < PARAMS.prev_steps:
        PARAMS.prev_speed = None
        PARAMS.prev_steering_angle = None
        PARAMS.unpardonable_action = False
    has_speed_dropped = False
    if PARAMS.prev_speed is not None:
        if PARAMS.prev_speed > speed:
            has_speed_dropped = True
    speed_maintain_bonus = 1
    if has_speed_dropped and not params["is_left_of_center"]:
        speed_maintain_bonus = min(speed / PARAMS.prev_speed, 1)
    is_turn_unnecessary = (PARAMS.prev_steering_angle is not None
                           and abs(PARAMS.prev_steering_angle - steering_angle) > 20)
    if is_turn_unnecessary:
        PARAMS.unpardonable_action = True
    PARAMS.prev_speed = speed
    PARAMS.prev_steering_angle = steering_angle
    PARAMS.prev_steps = steps
    if PARAMS.unpardonable_action:
        return 1e-3
    return float(max(speed * speed_maintain_bonus, 1e-3))
