history = []


def reward_function(params):
    history.append(params["speed"])
    return sum(history) / len(history)
