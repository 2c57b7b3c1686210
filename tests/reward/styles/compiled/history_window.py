last = [0.0, 0.0, 0.0]
sums = (0.0, 0)


def reward_function(params):
    global last, sums
    last = [last[1], last[2], params["steering_angle"]]
    sums = (sums[0] + params["speed"], sums[1] + 1)
    jitter = max(last) - min(last)
    return sums[0] / sums[1] - jitter / 60
