"""The lap speedrun: what is timed, in which order, and when a challenger is a record."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from racer import cli
from racer.errors import ConfigError
from racer.training import speedrun, time_to_clean_laps
from racer.training.callbacks import Evaluation
from racer.training.run_history import config_differences
from racer.training.speedrun import (
    SpeedrunConfigs,
    compare_configs,
    one_sided_p,
    speedrun_config,
)
from racer.training.speedrun_records import (
    RECORDS_FILE,
    read_records,
    records_markdown,
    speedrun_table,
)
from tests.helpers.runs import config

STATE = speedrun_config(config(reward="progress"), "bowtie", "state", minutes=1.0)
OTHER = STATE.model_copy(update={"num_envs": 9})


def silent(line):
    pass


def timed(times):
    """Return a clock in which each config of so many cars takes so long, and the calls to it."""
    calls = []

    def run(config, seed):
        calls.append((config.num_envs, config.total_timesteps, seed))
        took = times[config.num_envs]
        return took[(len([one for one in calls if one[0] == config.num_envs]) - 2) % len(took)]

    return run, calls


def test_the_test_counts_every_way_to_deal_out_the_ranks():
    challenger, record = [3.0, 1.0, 9.0, 2.0, 5.0], [4.0, 8.0, 7.0, 9.5, 6.0]
    every = np.array(challenger + record)

    def wins(chosen):
        rest = np.delete(every, chosen)
        return sum(one < other for one in every[list(chosen)] for other in rest)

    found = [wins(chosen) for chosen in combinations(range(10), 5)]
    exact = np.mean(np.array(found) >= wins(tuple(range(5))))
    assert one_sided_p(challenger, record) == pytest.approx(exact, abs=1e-12)


def test_five_runs_are_the_fewest_whose_best_outcome_is_significant():
    fast = list(np.arange(speedrun.MIN_SEEDS, dtype=float))
    slow = [one + 10 for one in fast]
    assert one_sided_p(fast, slow) < speedrun.SIGNIFICANCE
    assert one_sided_p(fast[1:], slow[1:]) > speedrun.SIGNIFICANCE
    with pytest.raises(ConfigError, match="fewer than 5 runs"):
        compare_configs(SpeedrunConfigs(STATE, None), 4, silent)


def test_equal_times_are_no_record_though_all_are_the_limit():
    assert one_sided_p([60.0] * 6, [60.0] * 6) == 1.0


def test_two_configs_are_timed_in_turn_each_with_seeds_of_its_own():
    run, calls = timed({8: [1.0], 9: [2.0]})
    found = compare_configs(SpeedrunConfigs(STATE, OTHER), 6, silent, run)
    warm, rest = calls[:2], calls[2:]
    assert [one[:2] for one in warm] == [(8, 1), (9, 1)], "one rollout each that is not timed"
    assert [one[0] for one in rest] == [8, 9, 9, 8] * 3
    assert len({seed for _, _, seed in rest}) == 12
    assert found.record is not None
    assert found.challenger.seeds == tuple(seed for cars, _, seed in rest if cars == 8)
    assert (found.challenger.median_s, found.record.median_s) == (1.0, 2.0)
    assert found.is_record


def test_a_run_that_does_not_get_there_in_time_counts_as_the_limit():
    run, _ = timed({8: [50.0, None, 61.0, 59.0, 40.0], 9: [10.0]})
    found = compare_configs(SpeedrunConfigs(STATE, OTHER), 5, silent, run)
    assert sorted(found.challenger.seconds) == [40.0, 50.0, 59.0, 60.0, 60.0]
    assert found.challenger.reached == 3
    assert not found.is_record


def test_the_first_record_needs_a_median_within_the_limit():
    for times, is_record in (
        ([9.0, 9.0, 9.0, None, None], True),
        ([9.0, 9.0, None, None, None], False),
    ):
        run, _ = timed({8: times})
        found = compare_configs(SpeedrunConfigs(STATE, None), 5, silent, run)
        assert found.p is None
        assert found.is_record is is_record


def test_a_speedrun_is_judged_by_its_own_laps_on_its_own_track():
    own = config(reward="progress", track="oval", evaluation={"laps": 1, "eval_freq": 999})
    judged = speedrun_config(own, "bowtie", "state", minutes=2.0)
    assert judged.evaluation_tracks == ("bowtie",)
    assert (judged.evaluation.laps, judged.minutes) == (3, 2.0)
    assert (judged.track, judged.evaluation.eval_freq) == (("oval",), 999), "free to choose"


def test_a_config_that_breaks_a_rule_is_refused(subtests, tmp_path):
    reward = tmp_path / "mine.py"
    reward.write_text("def reward_function(params):\n    return 1.0\n")
    for changes, said in (
        ({"sensor": "lidar"}, "sensor: state; the config has lidar"),
        ({"car": "f1tenth"}, "car: deepracer"),
        ({"race": "object_avoidance"}, "race.kind: time_trial"),
        ({"race": {"walls": True}}, "race.walls: False"),
        ({"race": {"direction": "alternate"}}, "race.direction: forward"),
        ({"reward": str(reward)}, "a reward in configs/rewards"),
    ):
        with subtests.test(said=said), pytest.raises(ConfigError, match=said):
            speedrun_config(config(**{"reward": "progress"} | changes), "bowtie", "state", 1.0)
    with pytest.raises(ConfigError, match="a shipped track"):
        speedrun_config(config(reward="progress"), "generated:1", "state", 1.0)


class Result:
    def __init__(self, is_clean, x_limit):
        self.is_clean, self.x_limit = is_clean, x_limit
        self.laps_completed, self.resets = 3, 0 if is_clean else 1


def test_the_clock_stops_at_the_first_clean_race_within_the_target(monkeypatch):
    seen = []

    def fake(config, folder, console, *, callback):
        races = [Result(False, 1.2), Result(True, 1.6), Result(True, 1.5), Result(True, 1.4)]
        for result in races:
            evaluation = Evaluation(None, 0, 0, (result,), 0.0, 0.0, False)  # type: ignore
            seen.append(result.x_limit)
            if callback(evaluation) is False:
                break
        spent = dict.fromkeys(("rollout", "learning", "evaluation"), 0.0)
        return type("R", (), {"ended": "finished", "steps": 0, "spent": spent})

    monkeypatch.setattr(time_to_clean_laps, "run_training", fake)
    found = time_to_clean_laps.time_to_clean_laps(STATE, 0, 1.5)
    assert seen == [1.2, 1.6, 1.5]
    assert found["laps_s"] is not None
    assert found["shares"] == {}, "workers' time is not measured"


def test_a_signal_ends_a_speedrun_and_not_only_a_run(monkeypatch):
    def stopped(config, folder, console, *, callback):
        return type("R", (), {"ended": "stopped", "steps": 0, "spent": {}})

    monkeypatch.setattr(time_to_clean_laps, "run_training", stopped)
    with pytest.raises(KeyboardInterrupt):
        time_to_clean_laps.time_to_clean_laps(STATE, 0)


@pytest.fixture
def fast_trainings(monkeypatch):
    """Let the config with 64 cars take 5 s, and any other 9 s, or more for later seeds."""
    monkeypatch.setattr(
        speedrun,
        "_time_training",
        lambda config, seed: (5.0 if config.num_envs == 64 else 9.0) + seed / 2**31,
    )


def test_a_record_is_saved_shown_and_beaten(tmp_path, monkeypatch, capsys, fast_trainings):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / RECORDS_FILE).write_text('{"records": []}')
    cli.main(["speedrun", "fast", "--seeds", "5", "--save"])
    assert "the first record" in capsys.readouterr().out
    cli.main(["speedrun", "fast", "--seeds", "5", "--save"])
    assert "no record" in capsys.readouterr().out
    cli.main(["speedrun", "state", "--seeds", "5", "--save", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["is_record"]
    assert found["p"] == pytest.approx(1 / 252)
    first, second = read_records(RECORDS_FILE).records
    assert (first.name, second.name, second.beaten) == ("fast", "state", "fast")
    assert (len(second.seconds), len(second.beaten_seconds)) == (5, 5)
    cli.main(["speedrun", "--sensor", "state"])
    assert "bowtie" in capsys.readouterr().out
    cli.main(["speedrun", "--sensor", "camera", "--json"])
    assert json.loads(capsys.readouterr().out) == {"records": []}


def test_without_save_the_records_stay_as_they_are(tmp_path, capsys, fast_trainings):
    path = tmp_path / "records.json"
    path.write_text('{"records": []}')
    cli.main(["speedrun", "state", "--seeds", "5", "--records", str(path)])
    assert path.read_text() == '{"records": []}'


def test_a_missing_file_of_records_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["speedrun"])
    assert ended.value.code == 2
    assert "start racer in a checkout" in capsys.readouterr().err


ROOT = Path(__file__).parents[2]


def test_the_page_shows_the_committed_records_and_each_can_be_timed_again(subtests):
    known = read_records(ROOT / RECORDS_FILE)
    assert records_markdown(known) in (ROOT / "docs" / "speedrun.md").read_text(encoding="utf-8")
    for one in known.records:
        with subtests.test(record=one.name):
            again = speedrun_config(one.run_config(), one.track, one.sensor, one.limit_s / 60)
            assert config_differences(again) == config_differences(one.run_config())
            assert one.median_s == pytest.approx(np.median(one.seconds), abs=0.01)
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(speedrun_table(known))
    assert "median" in capture.get()
