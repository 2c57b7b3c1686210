"""The forms of a sweep's parameters, and what is refused."""

import math

import pytest

from racer.errors import ConfigError, RewardError, TrackError
from racer.sweeps.parameters import (
    check_files,
    grid,
    parse_parameters,
    split_parameter,
    with_whole_path,
)
from tests.helpers.runs import config

BASE = config()


def parse(key, form, base=BASE):
    (found,) = parse_parameters({key: form}, base)
    return found


def test_a_range_has_its_ends_its_step_and_its_scale(subtests):
    for key, form, wanted in [
        ("ppo.learning-rate", "log:1e-5:1e-3", (1e-5, 1e-3, None, True, False)),
        ("ppo.gamma", "0.9:0.99", (0.9, 0.99, None, False, False)),
        ("ppo.n_epochs", "1:10", (1, 10, None, False, True)),
        ("ppo.n_steps", "16:64:16", (16, 64, 16, False, True)),
        ("ppo.n_steps", "16:70:16", (16, 64, 16, False, True)),
        ("num_envs", "log:8:64", (8, 64, None, True, True)),
        ("ppo.vf_coef", "0:1", (0, 1, None, False, False)),
        ("ppo.final_learning_rate", "1e-6:1e-4", (1e-6, 1e-4, None, False, False)),
        ("evaluation.time_limit", "2:8:0.5", (2, 8, 0.5, False, False)),
    ]:
        with subtests.test(key=key, form=form):
            found = parse(key, form)
            assert (found.low, found.high, found.step, found.is_log, found.is_int) == wanted
            assert found.choices == ()
            drawn = found.distribution()
            assert drawn.single() is False


def test_choices_are_read_as_yaml(subtests):
    for key, form, wanted in [
        ("ppo.value_loss", "mse,huber", ["mse", "huber"]),
        ("network.hidden", "[64,64],[32]", [[64, 64], [32]]),
        ("ppo.normalize_reward", "true, false", [True, False]),
        ("ppo.final_learning_rate", "null,1e-5", [None, "1e-5"]),
        ("track", "generated:7,generated:8", ["generated:7", "generated:8"]),
        ("reward", "progress,pace", ["progress", "pace"]),
    ]:
        with subtests.test(key=key, form=form):
            found = parse(key, form)
            assert [found.value(choice) for choice in found.choices] == wanted


def test_an_unknown_field_is_answered_with_the_near_one(subtests):
    for key, near in {
        "ppo.learning_rat": "ppo.learning_rate",
        "learning-rate": "ppo.learning_rate",
        "sensor.1.kind": "sensor.0.kind",
        "ppo": "known fields|did you mean",
    }.items():
        with subtests.test(key=key), pytest.raises(ConfigError, match=near):
            parse(key, "1:2")


def test_values_that_a_field_does_not_allow_are_refused(subtests):
    for key, form, reason in [
        ("ppo.gamma", "0.9:1.5", "less than or equal to 1; got 1.5"),
        ("ppo.gamma", "0.99:0.9", "must be less than"),
        ("ppo.gamma", "0.9", "different values"),
        ("ppo.gamma", "0.9,0.9", "different values"),
        ("ppo.n_steps", "16:64:100", "at most 48"),
        ("ppo.n_steps", "log:16:64:16", "with log has none"),
        ("ppo.learning_rate", "log:0:1e-3", "begins above 0"),
        ("ppo.n_epochs", "1:4.5", "whole|integer"),
        ("network.activation", "relu,foo", "'relu' or 'tanh'; got 'foo'"),
        ("network.hidden", "[64,{", "not a value in YAML|different values"),
    ]:
        with subtests.test(key=key, form=form), pytest.raises(ConfigError, match=reason):
            parse(key, form)


def test_a_reward_and_a_track_that_are_not_there_are_refused():
    with pytest.raises(RewardError, match=r"nope\.py"):
        check_files([parse("reward", "progress,nope.py")])
    with pytest.raises(TrackError, match="nowhere"):
        check_files([parse("evaluation.track", "bowtie,[oval,nowhere]")])


def test_a_sweep_without_parameters_and_a_parameter_without_values_are_refused():
    with pytest.raises(ConfigError, match="needs a parameter"):
        parse_parameters({}, BASE)
    for text in ("ppo.gamma", "ppo.gamma=", "=1:2"):
        with pytest.raises(ConfigError, match="must be KEY=VALUES"):
            split_parameter(text)
    assert split_parameter("reward=a=b.py,c.py") == ("reward", "a=b.py,c.py")


def test_a_rewards_file_is_named_by_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    assert with_whole_path("reward", "mine.py,progress") == f"{tmp_path / 'mine.py'},progress"
    assert with_whole_path("ppo.value_loss", "mine.py,mse") == "mine.py,mse"


def test_a_grid_is_every_combination_if_there_are_few_enough():
    few = parse_parameters({"ppo.value_loss": "mse,huber", "ppo.n_epochs": "1:5:2"}, BASE)
    assert math.prod(one.count for one in few) == 6
    found = grid(few, 6)
    assert len({tuple(one.values()) for one in found}) == 6
    assert {one["ppo.n_epochs"] for one in found} == {1, 3, 5}
    assert grid(few, 5) == []
    assert grid(parse_parameters({"ppo.gamma": "0.9:0.99"}, BASE), 10**9) == []
