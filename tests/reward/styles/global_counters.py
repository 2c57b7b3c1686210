steps_seen = 0
offtracks = 0
history = []


def reward_function(params):
    global steps_seen, offtracks
    steps_seen += 1
    history.append(params["progress"])
    if params["is_offtrack"]:
        offtracks += 1
    return float(steps_seen)
