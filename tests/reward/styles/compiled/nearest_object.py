def reward_function(params):
    nearest = 99
    for i in range(len(params["objects_distance"])):
        gap = (params["objects_distance"][i] - params["projection_distance"]) % params["track_length"]
        if gap < nearest and params["objects_speed"][i] < 2:
            nearest = gap
    spread = [d for d in params["objects_distance_from_center"] if d > 0.1]
    slow = any(v < 0.5 for v in params["objects_speed"])
    penalty = 0.5 if params["object_in_camera"] and slow else 0
    return max(1e-3, min(nearest, 2.0) - penalty + 0.01 * len(spread))
