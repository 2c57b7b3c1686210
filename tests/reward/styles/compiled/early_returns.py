def bad(p):
    if p["is_offtrack"]:
        return True
    if p["is_crashed"] or p["is_reversed"] and p["progress"] < 1:
        return True
    return False


def reward_function(p):
    if bad(p):
        return 1e-3
    for limit, paid in ((0.1, 3), (0.25, 2.0), (0.5, 1)):
        if p["distance_from_center"] < limit * p["track_width"]:
            return paid
    return 0
