import functools


class Paid:
    last = 0.0

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, params, bonus=0.0):
        gained, self.last = params["progress"] - self.last, params["progress"]
        return self.scale * gained + bonus


reward_function = functools.partial(Paid(2.0), bonus=0.5)
