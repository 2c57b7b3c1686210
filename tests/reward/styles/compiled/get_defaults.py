def reward_function(params):
    speed = params.get('speed', 1.0)
    progress = params.get("progress")
    wind = params.get("wind_speed", 0.25)
    gate = params.get('gate', None)
    if gate is not None:
        return 0.0
    if 'steps' in params and 'magic' not in params:
        return speed * wind + progress / 100
    return 1e-3
