from __future__ import print_function
import json
import math, sys


def reward_function(params):
    try:
        value = 1.0 / params["speed"]
        other = params["not_a_key"]
    except (KeyError, ZeroDivisionError) as e:
        other = 0
        if params["steps"] % 50 == 1:
            print("step %d: %s" % (params["steps"], json.dumps({"x": params["x"]})))
            sys.stdout.flush()
    except:
        print("Unexpected error")
        raise
    return max(1e-3, value + other)
