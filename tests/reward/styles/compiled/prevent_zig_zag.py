def reward_function(params):
    distance_from_center = params['distance_from_center']
    track_width = params['track_width']
    abs_steering = abs(params['steering_angle'])
    marker_1 = 0.1 * track_width
    if distance_from_center <= marker_1:
        reward = 1.0
    else:
        reward = 1e-3
    ABS_STEERING_THRESHOLD = 15
    if abs_steering > ABS_STEERING_THRESHOLD:
        reward *= 0.8
    return float(reward)
