def reward_function(params):
    import math
    from math import sqrt as root
    angle = math.radians(params['steering_angle'])
    return root(abs(math.cos(angle))) * math.exp(-params['distance_from_center'])
