"""A sweep's objective: laps first, then time."""

from itertools import pairwise

from racer.sweeps.objective import evaluation_value

LENGTH = 20.0


def race(
    completed: int,
    distance: float = 0.0,
    total: float | None = None,
    limit: float | None = 10.0,
    laps: int = 3,
):
    return {
        "laps": laps,
        "laps_completed": completed,
        "distance_m": max(distance, LENGTH * completed),
        "total_time_s": total,
        "x_limit": total / limit if total and limit else None,
    }


def value(*races):
    return evaluation_value(races, [LENGTH] * len(races), 90.0)


def test_more_laps_are_better_whatever_the_time_and_less_time_is_better_among_complete_races():
    ranked = [
        value(race(0)),
        value(race(0, distance=15.0)),
        value(race(1)),
        value(race(2, distance=59.9)),
        value(race(3, total=89.0)),
        value(race(3, total=20.0)),
        value(race(3, total=11.0)),
    ]
    assert all(worse < better for worse, better in pairwise(ranked))


def test_a_lap_on_one_track_outweighs_any_time_on_another():
    fast_but_short = value(race(3, total=10.0), race(2, distance=59.9))
    slow_but_whole = value(race(3, total=89.0), race(3, total=89.0))
    assert fast_but_short < slow_but_whole


def test_the_fraction_is_the_minimum_time_by_the_time_that_was_needed():
    assert value(race(3, total=20.0)) == 3.5
    assert value(race(3, total=20.0), race(3, total=40.0)) == 6.375


def test_a_track_without_a_known_minimum_counts_what_is_left_of_the_time_limit():
    assert value(race(3, total=45.0, limit=None)) == 3.5
    assert value(race(3, total=44.0, limit=None)) > value(race(3, total=45.0, limit=None))
