"""A model that is being made: its fields, its files, and what is wrong with it."""

from typing import get_args

import pytest

from racer.assets import assets_root
from racer.assets.document import read_document
from racer.errors import StudioError
from racer.reward import RewardSource
from racer.sensors.config import SensorConfig
from racer.studio.config_fields import (
    FormField,
    FormSection,
    fields_of,
    text_as_value,
    value_as_text,
)
from racer.studio.model_draft import ModelChanged, ModelDraft, free_name, kept_models
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from tests.helpers.runs import config, written_run


def every_field(model, at=""):
    for one in fields_of(model, at):
        yield one
        if isinstance(one, FormSection):
            yield from every_field(one.model, one.place)


def test_every_field_of_the_config_has_a_help_of_its_own():
    kinds = get_args(get_args(SensorConfig)[0])
    found = [*every_field(RunConfig), *(one for kind in kinds for one in every_field(kind))]
    assert len(found) > 100
    assert [one.place for one in found if not one.help] == []


def test_a_field_has_the_kind_and_the_range_of_the_config():
    found = {one.place: one for one in every_field(RunConfig) if isinstance(one, FormField)}
    rate = found["ppo.learning_rate"]
    assert (rate.kind, rate.low, rate.high, rate.default) == ("number", 0, 1, 5e-4)
    assert found["ppo.final_learning_rate"].is_optional
    assert found["race.kind"].choices == ("time_trial", "object_avoidance", "head_to_bot")
    assert found["race.walls"].kind == "truth"
    assert found["randomisation.friction"].kind == "pair"
    assert found["network.hidden"].kind == found["workers"].kind == "text"


def test_what_is_written_in_a_field_is_read_back():
    for value in (3, 0.25, "auto", [64, 64], [[16, 8, 8], [32, 3, 2]], True, None):
        assert text_as_value(value_as_text(value)) == value
    assert text_as_value("80_000") == 80_000
    assert text_as_value("[1, ") == "[1, "


def test_a_new_model_is_the_shipped_config_until_it_is_changed(tmp_path):
    draft = ModelDraft.begin(tmp_path, "quick")
    assert draft.name == "quick-1"
    assert draft.problems() == {}
    assert draft.value("ppo.gamma") == 0.97
    assert "def reward_function" in draft.reward
    assert list(tmp_path.iterdir()) == []
    draft.set("ppo.gamma", 0.99)
    assert "ppo.gamma" not in draft.values  # It is the default.


def test_what_is_kept_is_what_the_command_line_reads(tmp_path):
    draft = ModelDraft.begin(tmp_path, "quick")
    draft.set("ppo.learning_rate", "2e-3")
    draft.set("race.laps", 2)
    draft.reward = "def reward_function(params):\n    return 2.0\n"
    draft.keep()
    config = read_document(tmp_path / "quick-1.yaml", RunConfig)
    assert (config.ppo.learning_rate, config.race.laps, config.num_envs) == (2e-3, 2, 64)
    assert config.reward == str(tmp_path / "quick-1.py")
    opened = ModelDraft.open(tmp_path, "quick-1")
    assert opened.reward == draft.reward
    assert opened.value("ppo.learning_rate") == 2e-3
    assert opened.tree() == {**opened.tree(), "num_envs": 64}


def test_a_value_that_is_not_allowed_is_kept_and_told_at_its_field(tmp_path):
    draft = ModelDraft.begin(tmp_path, "quick")
    for place, value in {
        "ppo.learning_rate": 7,
        "network.hidden": [9, "a"],
        "sensor": [{"kind": "camera", "width": 3}],
        "workers": "some",
        "actions.speed": [3.0, 1.0],
    }.items():
        draft.set(place, value)
    draft.keep()
    for one in (draft, ModelDraft.open(tmp_path, draft.name)):
        found = one.problems()
        assert found["ppo.learning_rate"] == "Input should be less than or equal to 1"
        assert "greater than or equal to 8" in found["sensor.0.width"]
        assert found["workers"].startswith("Input should be 'auto', or a valid integer")
        assert found["actions"] == "each range must be given as lowest, highest"
        assert list(found) == [
            "sensor.0.width",
            "actions",
            "workers",
            "ppo.learning_rate",
            "network.hidden.1",
        ]


def test_a_contradiction_is_told_at_the_field_that_it_names(tmp_path):
    draft = ModelDraft.begin(tmp_path, "quick")
    draft.set("algorithm", "qrdqn")
    assert "learns discrete actions" in draft.problems()["algorithm"]
    draft.set("algorithm", "ppo")
    draft.set("track", ["nowhere"])
    assert "no file 'nowhere'" in draft.problems()["track"]


def test_another_algorithm_leaves_the_fields_of_the_first_one_out(tmp_path):
    draft = ModelDraft.begin(tmp_path, "quick")
    draft.set("algorithm", "sac")
    assert "ppo" not in draft.tree()
    assert draft.problems() == {}
    assert draft.value("sac.learning_rate") == 3e-4
    draft.set("algorithm", "ppo")
    assert draft.value("ppo.learning_rate") == 1e-3


def test_a_model_that_gets_another_name_leaves_no_files_behind(tmp_path):
    draft = ModelDraft.begin(tmp_path, "quick")
    draft.keep()
    draft.name = "mine"
    draft.keep()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine.py", "mine.yaml"]
    assert kept_models(tmp_path) == ["mine"]


def test_what_another_tab_wrote_is_not_written_over(tmp_path):
    ModelDraft.begin(tmp_path, "quick").keep()
    first, second = (ModelDraft.open(tmp_path, "quick-1") for _ in range(2))
    first.set("race.laps", 2)
    first.keep()
    second.set("race.laps", 3)
    with pytest.raises(ModelChanged, match="changed elsewhere"):
        second.keep()
    assert ModelDraft.open(tmp_path, "quick-1").value("race.laps") == 2
    second.name = "other"
    second.keep()
    assert ModelDraft.open(tmp_path, "quick-1").value("race.laps") == 2
    assert ModelDraft.open(tmp_path, "other").value("race.laps") == 3


def test_a_name_that_is_taken_or_leads_elsewhere_is_refused(tmp_path, subtests):
    (tmp_path / "runs" / "run").mkdir(parents=True)
    folder = tmp_path / "runs"
    ModelDraft.begin(folder, "quick").keep()
    draft = ModelDraft.begin(folder, "quick")
    for name in ("run", "quick-1", "", "../x", "a/b", "a\\b", ".x", " x", "a\nb"):
        with subtests.test(name=name):
            draft.name = name
            assert draft.problems()["name"]
            with pytest.raises(StudioError):
                draft.keep()
            if name not in ("run", "quick-1"):
                with pytest.raises(StudioError):
                    ModelDraft.open(folder, name)
    assert sorted(one.name for one in folder.iterdir()) == ["quick-1.py", "quick-1.yaml", "run"]
    assert free_name(folder, "quick-1") == "quick-2"


def test_a_clone_has_the_config_the_track_and_the_reward_of_its_run(tmp_path):
    track = tmp_path / "own.yaml"
    track.write_text((assets_root() / "tracks" / "oval.yaml").read_text())
    run = written_run(tmp_path / "runs" / "first", "speed", track=[str(track)])
    draft = ModelDraft.clone(tmp_path / "runs", Run.open(run.folder))
    assert draft.name == "first-1"
    assert draft.value("track") == ["first/tracks/own.yaml"]
    assert draft.value("total_timesteps") == 2048
    assert draft.reward == (run.folder / "reward.py").read_text()
    assert draft.problems() == {}
    draft.keep()
    assert ModelDraft.open(tmp_path / "runs", "first-1").problems() == {}


def test_the_files_that_a_cloned_reward_reads_come_with_it(tmp_path):
    (tmp_path / "table.txt").write_text("2.5")
    text = "def reward_function(params):\n    return float(open('table.txt').read())\n"
    (tmp_path / "mine.py").write_text(text)
    source = RewardSource(tmp_path / "mine.py", text.encode())
    beside = {"table.txt": tmp_path / "table.txt"}
    run = Run.create(tmp_path / "runs" / "a", config(reward=str(source.path)), source, beside, "a")
    draft = ModelDraft.clone(tmp_path / "runs", Run.open(run.folder))
    draft.keep()
    assert (tmp_path / "runs" / "table.txt").read_text() == "2.5"
