import math
import os

HERE = os.path.dirname(os.path.abspath(__file__))


def reward_function(params):
    assert os.path.exists(os.path.join(HERE, "main_guard.py"))
    return math.exp(-abs(params["steering_angle"]) / 30)


if __name__ == "__main__":
    import sys

    sys.exit(reward_function({"steering_angle": 0}))
