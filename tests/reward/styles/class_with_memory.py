import math


class Reward:
    def __init__(self, verbose=False):
        self.first_racingpoint_index = None
        self.verbose = verbose

    def reward_function(self, params):
        racing_track = [[2.0 * math.cos(k / 10), 2.0 * math.sin(k / 10), 2.5, 0.05] for k in range(63)]

        def dist_2_points(x1, x2, y1, y2):
            return abs(abs(x1 - x2) ** 2 + abs(y1 - y2) ** 2) ** 0.5

        def closest_2_racing_points_index(racing_coords, car_coords):
            distances = []
            for i in range(len(racing_coords)):
                distances.append(dist_2_points(x1=racing_coords[i][0], x2=car_coords[0],
                                               y1=racing_coords[i][1], y2=car_coords[1]))
            closest_index = distances.index(min(distances))
            no_closest = distances.copy()
            no_closest[closest_index] = 999
            return [closest_index, no_closest.index(min(no_closest))]

        x, y, steps = params['x'], params['y'], params['steps']
        closest_index, second = closest_2_racing_points_index(racing_track, [x, y])
        if steps == 1:
            self.first_racingpoint_index = closest_index
        if self.verbose == True:
            print("first: %i" % self.first_racingpoint_index)
        reward = 1.0 + abs(closest_index - self.first_racingpoint_index) / 63
        if params['all_wheels_on_track'] == False:
            reward = 1e-3
        return float(reward)


reward_object = Reward()


def reward_function(params):
    return reward_object.reward_function(params)
