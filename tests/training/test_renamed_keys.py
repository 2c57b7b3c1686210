"""A config takes a key by its former name as by its present one."""

import hashlib
import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import racer
from racer.assets.document import read_document
from racer.assets.overrides import with_overrides
from racer.cli import main
from racer.cli.app import run
from racer.cli.options import config_fields, format_value
from racer.errors import ConfigError, RacerError, UsageError
from racer.training.config import RunConfig

VALUES = {
    ("cars", "num_envs"): st.integers(4, 4096),
    ("steps", "total_timesteps"): st.integers(1, 10**9),
    ("threads", "torch_threads"): st.integers(0, 1024),
    ("ppo.scale_rewards", "ppo.normalize_reward"): st.booleans(),
    ("network.vectors", "network.mlp"): st.none() | st.tuples(st.integers(1, 64)),
    ("network.normalise", "network.batch_norm"): st.booleans(),
    ("network.standardise", "network.normalize_obs"): st.booleans(),
    ("evaluation.every", "evaluation.eval_freq"): st.integers(1, 10**9),
    ("evaluation.film", "evaluation.video_freq"): st.integers(0, 10_000),
}
"""The former and the present name of each renamed key, and the values that it may have."""
CONFIG = RunConfig()
SHARED = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def nested(places: dict[str, Any]) -> dict[str, Any]:
    """Values by their dotted names as mappings within mappings."""
    tree: dict[str, Any] = {}
    for place, value in places.items():
        section, dot, name = place.rpartition(".")
        (tree.setdefault(section, {}) if dot else tree)[name] = value
    return tree


def words(places: dict[str, Any]) -> list[str]:
    """The options that give fields their values."""
    spelt = []
    for place, value in places.items():
        section, dot, name = place.replace("_", "-").rpartition(".")
        if isinstance(value, bool):
            spelt.append(f"--{section}{dot}{'' if value else 'no-'}{name}")
        else:
            spelt += [f"--{section}{dot}{name}", *format_value(value).split()]
    return spelt


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Return a function for each way to give values to the defaults' fields."""
    begun: list[RunConfig] = []
    monkeypatch.setattr("racer.cli.train._train", lambda config, *_: begun.append(config))

    def by_file(places: dict[str, Any]) -> RunConfig:
        plain = {place: list(one) if type(one) is tuple else one for place, one in places.items()}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(nested(plain), sort_keys=False))
        return read_document(tmp_path / "mine.yaml", RunConfig)

    def by_option(places: dict[str, Any]) -> RunConfig:
        (tmp_path / "empty.yaml").write_text("# the defaults\n")
        run(["train", *words(places), str(tmp_path / "empty.yaml")])
        return begun[-1]

    return {
        "file": by_file,
        "dotted names": lambda places: with_overrides(CONFIG, places, "test"),
        "mappings": lambda places: with_overrides(CONFIG, nested(places), "test"),
        "options": by_option,
    }


def test_every_renamed_key_is_in_the_table():
    found = {
        (".".join(map(str, former)), ".".join(map(str, field.place)))
        for field in config_fields(CONFIG)
        for former in field.former_places
    }
    assert found == set(VALUES)


@pytest.mark.parametrize("names", VALUES, ids=lambda names: names[0])
@given(data=st.data())
@SHARED
def test_the_former_and_the_present_name_give_the_same_config(names, data, begin):
    value = data.draw(VALUES[names])
    section, _, field = names[1].rpartition(".")
    for way, give in begin.items():
        former, present = (give({name: value}) for name in names)
        assert former == present, way
        assert getattr(getattr(present, section) if section else present, field) == value, way


@pytest.mark.parametrize("names", VALUES, ids=lambda names: names[0])
@given(data=st.data())
@SHARED
def test_both_names_at_once_are_refused_by_name(names, data, begin):
    value = data.draw(VALUES[names])
    said = f"{names[0]!r} is the former name of {names[1]!r}, which is given too"
    for order in (names, names[::-1]):
        for way, give in begin.items():
            with pytest.raises(RacerError) as caught:
                give(dict.fromkeys(order, value))
            assert said in str(caught.value), way


def test_both_names_in_a_file_are_refused_with_the_line_of_the_former(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 1\nevaluation:\n  eval_freq: 5\n  laps: 1\n  every: 5\n")
    with pytest.raises(ConfigError, match=r"^\S+mine\.yaml:5: 'evaluation\.every' is the former"):
        read_document(file, RunConfig)


def test_both_names_in_two_changes_are_refused():
    changes = {"evaluation.every": 5, "evaluation": {"eval_freq": 6}}
    with pytest.raises(ConfigError, match=r"'evaluation\.every' is the former name of 'evalu"):
        racer.train("state", **changes)


def test_a_wrong_value_is_told_by_the_name_and_the_line_that_were_written(tmp_path):
    file = tmp_path / "mine.yaml"
    for text, said in [
        ("seed: 1\ncars: 0\n", "mine.yaml:2: cars: Input should be greater"),
        ("seed: 1\nnum_envs: 0\n", "mine.yaml:2: num_envs: Input should be greater"),
        ("evaluation:\n  film: -1\n", "mine.yaml:2: evaluation.film: Input should be greater"),
    ]:
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_document(file, RunConfig)
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("place", "present"),
    [
        ("stesp", "total_timesteps"),
        ("threds", "torch_threads"),
        ("ppo.scale_reward", "normalize_reward"),
        ("network.standardize", "normalize_obs"),
        ("evaluation.evry", "eval_freq"),
    ],
)
def test_a_misspelt_former_name_is_answered_with_the_present_one(place, present, tmp_path):
    section, dot, _ = place.rpartition(".")
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(nested({place: 1})))
    for give in (
        lambda: read_document(file, RunConfig),
        lambda: with_overrides(CONFIG, {place: 1}, "test"),
    ):
        with pytest.raises(ConfigError, match=f"'{place}'; did you mean '{present}'"):
            give()
    option, wanted = (f"--{one.replace('_', '-')}" for one in (place, f"{section}{dot}{present}"))
    with pytest.raises(UsageError, match=rf"{option}. Did you mean {wanted}\?"):
        run(["train", "state", option, "1"])


def test_a_misspelt_option_that_turns_a_flag_off_is_answered_with_one_that_does():
    with pytest.raises(UsageError, match=r"Did you mean --ppo\.no-normalize-reward\?"):
        run(["train", "state", "--ppo.no-scale-rewads"])


def test_the_help_shows_the_present_names_alone(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    main(["train", "state", "--help"])
    shown = set(re.findall(r"--[a-z][a-z0-9.-]+", capsys.readouterr().out))
    for names in VALUES:
        former, present = (f"--{name.replace('_', '-')}" for name in names)
        assert present in shown
        assert former not in shown


def test_a_renamed_key_leaves_a_config_s_digest_as_it_was():
    config = RunConfig(seed=3, num_envs=8)
    tree = config.model_dump(mode="json")
    for former, present in VALUES:
        section, _, name = present.rpartition(".")
        there = tree[section] if section else tree
        there[former.rpartition(".")[2]] = there.pop(name)
    # Later keys, which change no value.
    del tree["engine"], tree["compile"], tree["algorithm"]
    del tree["evaluation"]["races"], tree["evaluation"]["randomised"]
    del tree["simulator"], tree["torch_autocast"], tree["torch_compile"]
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    assert config.digest == hashlib.sha256(text.encode()).hexdigest()
