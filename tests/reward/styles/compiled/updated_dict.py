memory = {"heading": 0.0, "speed": 0.0}


def reward_function(params):
    turned = (params["heading"] - memory["heading"] + 180) % 360 - 180
    faster = params["speed"] >= memory["speed"]
    memory.update(heading=params["heading"], speed=params["speed"])
    return (2.0 if faster else 1.0) / (1 + abs(turned))
