PARAMS = {}
PREV = {"heading": None, "steering": 0, "steps": 0}


def speed_reward():
    global PARAMS
    return PARAMS["speed"] / 4


def smooth_reward():
    change = 0 if PREV["heading"] is None else abs(PARAMS["heading"] - PREV["heading"]) % 360
    return 1.0 if min(change, 360 - change) < 5 else 0.5


def reward_function(params):
    global PARAMS
    PARAMS = params
    if params["steps"] < PREV["steps"]:
        PREV.update(heading=None, steering=0)
    total = 0
    for part in (speed_reward, smooth_reward):
        total += part()
    PREV.update(heading=params["heading"], steering=params["steering_angle"], steps=params["steps"])
    return total if params["all_wheels_on_track"] else int(0)
