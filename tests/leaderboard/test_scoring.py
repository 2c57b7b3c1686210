"""The score, against examples done by hand and against simulated boards of known truth."""

from dataclasses import replace

import numpy as np
import pytest

from racer.leaderboard.ranking import rank
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.scoring import (
    bootstrap_interval,
    interquartile_mean,
    paired_interval,
    run_values,
    season_score,
)
from racer.leaderboard.season import Season, SeasonRaceConfig
from tests.helpers.boards import row

SEASON = Season(
    name="s",
    tracks=("a", "b"),
    seeds=(0, 1),
    ranking="iqm",
    race=SeasonRaceConfig(laps=2, time_limit=60),
)


def run(track="a", laps=(10.0, 10.0), seed=0, ending="laps_complete", **more):
    tree = {
        "track": track,
        "seed": seed,
        "direction": "forward",
        "laps": 2,
        "laps_completed": len(laps),
        "lap_times_s": list(laps),
        "off_tracks": 0,
        "ending": ending,
        "length_m": 20.0,
        "limit_s": 16.0,
        "x_limit": sum(laps) / 16.0 if len(laps) == 2 else None,
    }
    return RunResult.from_json(tree | more)


def test_the_interquartile_mean_of_examples_done_by_hand(subtests):
    for values, mean in [
        ([5, 8, 4, 38, 8, 6, 9, 7, 7, 3, 1, 6], 6.5),
        ([1, 3, 5, 7, 9, 11, 13, 15, 17], 9.0),
        ([1, 2, 3, 4, 100], (0.75 * 2 + 3 + 0.75 * 4) / 2.5),
        ([1, 2, 6], (0.25 * 1 + 2 + 0.25 * 6) / 1.5),
        ([4, 10], 7.0),
        ([3], 3.0),
    ]:
        with subtests.test(values=values, mean=mean):
            assert interquartile_mean(np.array(values, dtype=float)) == pytest.approx(
                mean, rel=1e-12
            )


def test_one_bad_run_in_eight_does_not_move_the_interquartile_mean():
    usual = np.array([10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7])
    bad = np.where(usual == 10.7, 60.0, usual)
    assert interquartile_mean(usual) == interquartile_mean(bad)


def test_a_score_done_by_hand():
    runs = [
        run("a", (10.0, 9.0)),
        run("a", (11.0, 8.0), seed=1),
        run("b", (20.0, 19.0), length_m=40.0),
        run("b", (18.0, 21.0), seed=1, length_m=40.0),
    ]
    got = season_score(SEASON, runs)
    assert (got.laps, got.laps_completed, got.completion) == (8, 8, 1.0)
    assert got.lap_times_s == [10.0, 9.0, 11.0, 8.0, 20.0, 19.0, 18.0, 21.0]
    assert (got.total_s, got.best_s, got.average_s) == (116.0, 8.0 + 18.0, 14.5)
    # On a mean track of 30 m: 9.5 x 30/20 twice, 19.5 x 30/40 twice; the middle two are the mean.
    assert got.values.tolist() == [14.25, 14.25, 14.625, 14.625]
    assert got.iqm_s == pytest.approx((14.25 + 14.625) / 2)
    assert got.limit_s == 64.0
    assert got.x_limit == pytest.approx((19 + 19 + 39 + 39) / 16 / 4)
    assert got.outcomes == {"finished": 4}


def test_a_run_that_is_not_finished_counts_with_the_whole_time_limit_and_its_own_name():
    runs = [
        run(),
        run(seed=1, laps=(10.0,), ending="time_up"),
        run("b", laps=(), ending="policy_crash"),
        run("b", laps=(), ending="policy_hang", seed=1),
    ]
    got = season_score(SEASON, runs)
    assert run_values(SEASON, runs).tolist() == [10.0, 30.0, 30.0, 30.0]
    assert got.outcomes == {"finished": 1, "time_out": 1, "policy_crash": 1, "policy_hang": 1}
    assert (got.laps_completed, got.completion) == (3, 0.375)
    assert (got.total_s, got.best_s, got.x_limit) == (None, None, None)
    assert got.average_s == 10.0


def test_an_interval_holds_its_mean_and_shrinks_to_it_where_nothing_varies():
    random = np.random.default_rng(0)
    values, strata = random.normal(10, 1, 12), ["a"] * 6 + ["b"] * 6
    low, high = bootstrap_interval(values, strata)
    assert low < interquartile_mean(values) < high
    assert bootstrap_interval(values, strata) == (low, high), "the same each time"
    assert bootstrap_interval(np.full(6, 3.0), ["a"] * 6) == (3.0, 3.0)
    assert bootstrap_interval(np.array([3.0, 4.0]), ["a", "b"]) == (3.5, 3.5), "one seed a track"


def test_the_interval_of_two_runs_done_by_hand():
    """Spread by the root of two about 10; half of the resamples have one of each."""
    low, high = bootstrap_interval(np.array([9.0, 11.0]), ["a", "a"])
    assert (low, high) == pytest.approx((10 - np.sqrt(2), 10 + np.sqrt(2)))


def test_runs_are_drawn_again_among_those_of_their_own_track_only():
    """Two tracks far apart: drawn across them, the mean would swing from one to the other."""
    values = np.array([10.0, 10.0, 10.0, 10.0, 90.0, 90.0, 90.0, 90.0])
    assert bootstrap_interval(values, ["a"] * 4 + ["b"] * 4) == (50.0, 50.0)
    low, high = bootstrap_interval(values, ["a"] * 8)
    assert low < 20.0 < 80.0 < high


def test_a_difference_that_all_seeds_share_is_found_where_the_intervals_overlap():
    random = np.random.default_rng(1)
    luck, strata = random.normal(0, 1, 10), ["a"] * 5 + ["b"] * 5
    ours, theirs = 10.0 + luck, 10.2 + luck + random.normal(0, 0.02, 10)
    (_, ours_high), (theirs_low, _) = (
        bootstrap_interval(ours, strata),
        bootstrap_interval(theirs, strata),
    )
    assert theirs_low < ours_high
    low, high = paired_interval(ours, theirs, strata)
    assert low < high < 0.0
    assert paired_interval(theirs, ours, strata)[0] > 0.0
    assert paired_interval(ours, ours, strata) == (0.0, 0.0)


TRACKS = np.array([10.0, 11.0, 12.0])
NOISE = {
    "normal": lambda random, shape: random.normal(0, 0.4, shape),
    "skewed": lambda random, shape: random.exponential(0.5, shape),
    "penalties": lambda random, shape: random.normal(0, 0.2, shape) + (random.random(shape) < 0.2),
}


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(("seeds", "least"), [(5, 0.80), (10, 0.87), (20, 0.90)])
def test_the_interval_covers_the_truth_of_400_simulated_boards(noise, seeds, least):
    random, draw = np.random.default_rng(7), NOISE[noise]
    truth = interquartile_mean((TRACKS[:, None] + draw(random, (3, 400_000))).ravel())
    strata = [name for name in "abc" for _ in range(seeds)]
    covered = 0
    for _ in range(400):
        low, high = bootstrap_interval((TRACKS[:, None] + draw(random, (3, seeds))).ravel(), strata)
        covered += low <= truth <= high
    assert least <= covered / 400 <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISE)
def test_two_entries_that_are_alike_seldom_seem_to_differ(noise):
    random, draw = np.random.default_rng(8), NOISE[noise]
    strata = [name for name in "abc" for _ in range(5)]
    told = 0
    for _ in range(400):
        luck = TRACKS[:, None] + draw(random, (3, 5))
        one, other = ((luck + draw(random, (3, 5)) / 4).ravel() for _ in range(2))
        low, high = paired_interval(one, other, strata)
        told += not low <= 0.0 <= high
    assert told / 400 <= 0.16


def entry(id, name, times, **more):
    runs = [run("a", (time, time), seed=k, **more) for k, time in enumerate(times)]
    return replace(row(id, name), runs=runs)


def places(rows, **rules):
    season = Season.model_validate(
        {"name": "s", "track": "a", "seeds": [0, 1, 2, 3, 4], "laps": 2, "time_limit": 60}
        | {"ranking": "iqm"}
        | rules
    )
    return [(line.rank, line.name) for line in rank(rows, season)]


def test_entries_that_cannot_be_told_apart_share_a_rank_and_the_earlier_stands_first():
    level = [10.0, 10.4, 9.8, 10.1, 10.2], [10.3, 9.9, 10.0, 10.3, 9.9]
    rows = [
        entry(1, "slow", [12.0, 12.1, 12.2, 11.9, 12.3]),
        entry(2, "first", level[0]),
        entry(3, "second", level[1]),
        entry(4, "fast", [9.0, 9.1, 9.2, 9.0, 9.1]),
    ]
    assert places(rows) == [(1, "fast"), (2, "first"), (2, "second"), (4, "slow")]
    swapped = [entry(2, "first", level[1]), entry(3, "second", level[0])]
    assert places(swapped) == [(1, "first"), (1, "second")], "though one has the better mean"


def test_more_laps_stand_before_any_mean():
    rows = [
        entry(1, "hasty", [8.0] * 5),
        entry(2, "whole", [20.0] * 5),
    ]
    cut = replace(rows[0].runs[4], laps_completed=1, lap_times_s=[8.0], ending="policy_crash")
    rows[0].runs[4] = cut
    assert places(rows) == [(1, "whole"), (2, "hasty")]


def test_a_season_ranks_by_what_it_names():
    sprinter = entry(1, "sprinter", [8.0, 14.0, 14.0, 14.0, 14.0])
    steady = entry(2, "steady", [12.0] * 5)
    assert places([sprinter, steady], ranking="best") == [(1, "sprinter"), (2, "steady")]
    for ranking in ("total", "average"):
        assert places([sprinter, steady], ranking=ranking) == [(1, "steady"), (2, "sprinter")]


def test_a_best_lap_wants_a_lap_on_every_track():
    rows = [entry(1, "half", [8.0] * 5), entry(2, "whole", [20.0] * 5)]
    rows[0].runs[1:] = [
        replace(one, track="b", laps_completed=0, lap_times_s=[], ending="time_up")
        for one in rows[0].runs[1:]
    ]
    assert places(rows, ranking="best") == [(1, "whole"), (2, "half")]
