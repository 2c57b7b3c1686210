class Tracker:
    def __init__(self):
        self.last_progress = 0
        self.points = (0.0, 0.0)
        self.count = 0

    def gained(self, progress):
        delta = progress - self.last_progress
        self.last_progress = progress
        return delta

    def travelled(self, x, y):
        before = self.points
        self.points = (x, y)
        self.count += 1
        return ((x - before[0]) ** 2 + (y - before[1]) ** 2) ** 0.5


tracker = Tracker()


def reward_function(params):
    if params["steps"] == 1:
        tracker.__init__()
    gained = tracker.gained(params["progress"])
    way = tracker.travelled(params["x"], params["y"])
    return gained - 0.1 * way + tracker.count / 100
