WEIGHT = 0.5


def plain(x):
    return x


def square(x):
    return x * x


MODES = {"plain": plain, "square": square}


class Reward:
    def __init__(self, is_loud):
        self.is_loud = is_loud
        self.best = None

    def pay(self, params):
        speed, steps = params["speed"], params["steps"]
        shape = MODES["square"] if MODES["square"] else MODES["plain"]
        reward = WEIGHT * shape(speed)
        if steps % 7 == 0:
            reward += sum({"a": 0.25, "b": 0.5}.values())  # Made by Python.
        side = "left" if params["is_left_of_center"] else "right"
        if self.is_loud:
            text = "speed {:5.2f} on the {} of {size}".format(speed, side, size="the road")
            print(text, self.best, params["closest_waypoints"], sep=" | ", end="\n" + "-" * 8 + "\n")
            text = "steps %d, reward %0.3f" % (steps, reward)
            print("[" + text + "] " + str(round(reward, 2)), format(speed, ".1e"))
            print(f"{side!r:>8} {reward:.{3}f} {params['all_wheels_on_track']}", (steps, [speed]))
        if self.best is None or reward > self.best:
            self.best = reward
        return reward


rewards = Reward(True)


def reward_function(params):
    return rewards.pay(params)
