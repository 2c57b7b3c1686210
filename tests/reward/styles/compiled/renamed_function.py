class Reward:
    @staticmethod
    def share(part, whole):
        return part / whole

    def pay(self, params):
        def time_left(steps):
            time_left = max(0, 300 - steps)
            return time_left / 15

        time_left = time_left(params["steps"])
        if time_left > 4:
            time_left = 4 + Reward.share(time_left, 10)
        return time_left * params["speed"]


paying = Reward()


def reward_function(params):
    return paying.pay(params)
