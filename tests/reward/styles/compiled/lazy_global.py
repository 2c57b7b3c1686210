def reward_function(params):
    global best
    try:
        best = max(best, params["progress"])
    except NameError:
        best = 0
    return best
