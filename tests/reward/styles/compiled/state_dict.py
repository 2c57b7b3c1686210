STATE = {"last_progress": 0, "last_x": None, "laps": 0}


def reward_function(params):
    gained = params["progress"] - STATE["last_progress"]
    if gained < -50:
        STATE["laps"] += 1
        gained = 0
    STATE["last_progress"] = params["progress"]
    moved = 0.0
    if STATE["last_x"] is not None:
        moved = abs(params["x"] - STATE["last_x"])
    STATE["last_x"] = params["x"]
    return gained + moved + STATE["laps"]
