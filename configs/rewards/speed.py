# Teaches to be fast with a quiet hand: a metre made good pays more the faster it is covered (1
# at 2 m/s, 2 at 4 m/s and above) and less the more the steering command jumps.
#
# params["speed"] is only what was asked for, and a car against a wall can ask for 4 m/s, so
# speed is taken from progress. A metre backwards costs 2, as much as the best metre forwards,
# so rushing forwards and creeping back never pays. Leaving the road to cut a bend costs.

STEPS_PER_SECOND = 15
TOP_SPEED = 4.0
OFF_TRACK_COST = 2.0

last_progress = 0.0
last_steering = 0.0


def reward_function(params):
    global last_progress, last_steering
    if params["steps"] <= 1:
        last_progress, last_steering = 0.0, params["steering_angle"]
    elif params["progress"] < last_progress - 50:  # the next lap counts from 0
        last_progress -= 100.0
    gained = (params["progress"] - last_progress) / 100 * params["track_length"]
    turned = abs(params["steering_angle"] - last_steering)
    last_progress, last_steering = params["progress"], params["steering_angle"]

    if params["is_offtrack"] or params["is_crashed"]:
        return -OFF_TRACK_COST
    if gained < 0:
        return 2 * gained
    speed = min(gained * STEPS_PER_SECOND, TOP_SPEED)
    return gained * speed / 2 * (1 - 0.5 * turned / 60)
