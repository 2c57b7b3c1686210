prev = None


def reward_function(params):
    global prev
    here = (params["x"], params["y"])
    if prev is None:
        prev = here
        return 0.0
    moved = ((here[0] - prev[0]) ** 2 + (here[1] - prev[1]) ** 2) ** 0.5
    prev = here
    return moved
