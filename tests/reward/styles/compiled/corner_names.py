def name_of(angle):
    if abs(angle) > 12:
        return "tight", 0.6
    return "open", 1.0


def reward_function(params):
    side = ""
    if params["steering_angle"] > 2:
        side = "left"
    elif params["steering_angle"] < -2:
        side = "right"
    kind, factor = name_of(params["steering_angle"])
    last = None
    if params["steps"] % 3:
        last = kind
    reward = params["speed"] * factor
    if side and (side == "left") != params["is_left_of_center"]:
        reward += 0.5
    if kind in ("open", "wide") or last == "tight":
        reward += 0.25
    return reward if kind != "tight" else reward / 2
