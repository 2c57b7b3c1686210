def reward_function(params):
    import numpy as np
    nxt = params['waypoints'][params['closest_waypoints'][1]]
    d = np.linalg.norm([nxt[0] - params['x'], nxt[1] - params['y']])
    return 1.0 / (1.0 + d)
