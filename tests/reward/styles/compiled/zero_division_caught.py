def reward_function(params):
    try:
        pace = params["progress"] / (params["steps"] - 1)
    except ZeroDivisionError:
        pace = 0
    try:
        odd = 1 / (params["steps"] % 2)
    except Exception:
        odd = -1
    return pace + odd
