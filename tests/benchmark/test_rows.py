"""The rows of the benchmarks page: each is known by its name, and says how it is made."""

import json
from dataclasses import replace

import numpy as np
import pytest

from racer.benchmark.row_summary import counted_x_limit, summarize_row
from racer.benchmark.rows import BENCHMARK_ROWS, BENCHMARK_TRACKS, benchmark_row
from racer.benchmark.seed_result import SeedResult
from racer.cli import main
from racer.leaderboard.scoring import bootstrap_interval, interquartile_mean

RESULT = SeedResult(
    row="fast-bowtie",
    algorithm="PPO",
    sensor="state",
    track="bowtie",
    seed=0,
    steps=1000,
    ended="finished",
    laps=3,
    laps_completed=3,
    put_back=0,
    total_time_s=13.2,
    best_lap_s=4.2,
    limit_s=12.0,
    x_limit=1.1,
    processor_s=60.0,
    machine="a machine, 1 core",
    version="1.0.0",
)


def test_each_row_has_a_name_of_its_own_and_each_policy_races_on_each_track():
    names = [one.name for one in BENCHMARK_ROWS]
    assert len(set(names)) == len(names)
    for policy in {one.policy for one in BENCHMARK_ROWS}:
        assert [one.track for one in BENCHMARK_ROWS if one.policy == policy] == [*BENCHMARK_TRACKS]


def test_the_config_of_a_row_has_its_track_and_seed():
    config = benchmark_row("sac-hairpin").run_config(seed=7)
    assert (config.algorithm, config.track, config.seed) == ("sac", ("hairpin",), 7)


def test_a_row_says_what_learns_what_from_what(subtests):
    for name, said in {
        "raceline-bowtie": ("pilot", "true state", "-"),
        "clone-camera-bowtie": (
            *("cloning", "camera 80x60, 2 frames"),
            "60,000 steps, raceline teaches",
        ),
        "recurrent-ppo-speedway": ("RecurrentPPO", "state", "200,000 steps"),
        "lidar-hairpin": ("PPO", "lidar", "400,000 steps"),
    }.items():
        with subtests.test(name=name):
            row = benchmark_row(name)
            assert (row.algorithm, row.sensor, row.amount) == said


def test_the_rows_are_listed_with_their_commands(capsys):
    main(["benchmark", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == [one.name for one in BENCHMARK_ROWS]
    commands = {one["name"]: one["command"] for one in listed}
    assert commands["fast-bowtie"] == "racer train fast --track bowtie --seed SEED"
    assert commands["raceline-bowtie"] == "racer race raceline --track bowtie --laps 3"
    main(["benchmark"])
    said = capsys.readouterr().out
    assert [one.name for one in BENCHMARK_ROWS if one.name not in said] == []


def test_an_unknown_row_is_refused_with_what_lists_them(capsys):
    with pytest.raises(SystemExit):
        main(["benchmark", "fastest-bowtie"])
    assert "`racer benchmark` lists them" in capsys.readouterr().err


def test_the_interval_of_a_row_is_that_of_a_board_which_ranks_by_the_interquartile_mean():
    values = (1.1, 1.3, 1.05, 1.2)
    results = [replace(RESULT, seed=n, x_limit=value) for n, value in enumerate(values)]
    total = summarize_row(results)
    assert total.x_limit_iqm == pytest.approx(interquartile_mean(np.array(values)))
    assert total.x_limit_interval == bootstrap_interval(np.array(values), ["one"] * 4)
    assert total.x_limit_median == pytest.approx(1.15)
    assert summarize_row(results[:1]).x_limit_interval is None


def test_a_race_that_was_not_finished_counts_with_its_time_limit():
    stopped = replace(RESULT, laps_completed=1, total_time_s=None, x_limit=None)
    assert counted_x_limit(stopped) == pytest.approx(180.0 / 12.0)
    total = summarize_row([RESULT, stopped, replace(RESULT, put_back=2)])
    assert (total.laps, total.laps_completed, total.put_back) == (9, 7, 2)
    assert total.x_limit_median == pytest.approx(1.1)
