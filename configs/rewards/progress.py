# Pays a metre's worth for each metre of road made good and charges a little for each step, so
# a lap earns its length less its time: the way to earn more is to finish the lap sooner.
#
# Standing still earns nothing and is charged; backing up gives back what forward driving paid,
# so shuttling to and fro only loses time. Weaving lengthens the way but not the progress.
# Whatever is gained by cutting across the infield is not paid, and leaving the road costs extra.

TIME_COST = 0.02  # a step of 1/15 s: below 0.3 m/s a car earns less than nothing
OFF_TRACK_COST = 1.0

last_progress = 0.0


def reward_function(params):
    global last_progress
    if params["steps"] <= 1:
        last_progress = 0.0
    elif params["progress"] < last_progress - 50:  # the next lap counts from 0
        last_progress -= 100.0
    gained = (params["progress"] - last_progress) / 100 * params["track_length"]
    last_progress = params["progress"]

    if params["is_offtrack"] or params["is_crashed"]:
        return -OFF_TRACK_COST
    return gained - TIME_COST
