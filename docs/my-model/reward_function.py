def reward_function(params):
    """Pay for keeping to the middle of the road, and for speed."""
    if not params["all_wheels_on_track"]:
        return 1e-3
    aside = params["distance_from_center"] / (0.5 * params["track_width"])
    return float(max(0.0, 1.0 - aside) * params["speed"])
