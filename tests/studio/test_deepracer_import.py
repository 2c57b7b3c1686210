"""DeepRacer's files become a model of the folder."""

import json

import pytest

from racer.errors import StudioError
from racer.studio import deepracer_import
from racer.studio.deepracer_import import import_files
from racer.studio.model_draft import ModelDraft, kept_models

FILES = {
    "reward_function.py": b"def reward_function(params):\n    return 1.0\n",
    "model_metadata.json": json.dumps(
        {
            "action_space_type": "continuous",
            "action_space": {
                "steering_angle": {"high": 30.0, "low": -30.0},
                "speed": {"high": 2.0, "low": 1.0},
            },
            "sensor": ["FRONT_FACING_CAMERA"],
            "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
            "training_algorithm": "clipped_ppo",
            "version": "5",
        }
    ).encode(),
    "hyperparameters.json": b'{"batch_size": 64, "lr": 0.0003}',
}


@pytest.fixture
def in_this_process(monkeypatch):
    """Run the command without a process of its own."""
    from racer.cli import main

    def run(words):
        try:
            main(words)
        except SystemExit as ended:
            raise StudioError(f"it ended with {ended.code}") from ended

    monkeypatch.setattr(deepracer_import, "run_command", run)


def test_the_files_of_a_model_become_a_config_and_a_reward(tmp_path, in_this_process):
    name = import_files(tmp_path / "runs", FILES)
    assert name == "deepracer-1"
    assert set(kept_models(tmp_path / "runs")) == {name, "deepracer-1-faster"}
    draft = ModelDraft.open(tmp_path / "runs", name)
    assert draft.problems() == {}
    assert draft.value("ppo.batch_size") == 64
    assert draft.value("actions.speed") == [1.0, 2.0]
    assert draft.reward == FILES["reward_function.py"].decode()
    assert import_files(tmp_path / "runs", FILES) == "deepracer-2"


def test_what_is_missing_is_an_error_and_leaves_nothing(tmp_path, in_this_process):
    with pytest.raises(StudioError, match="nothing was given"):
        import_files(tmp_path / "runs", {})
    with pytest.raises(StudioError):
        import_files(tmp_path / "runs", {**FILES, "model_metadata.json": b"{"})
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_faster_config_of_a_model_opens_with_its_reward(tmp_path, in_this_process):
    name = import_files(tmp_path / "runs", FILES)
    draft = ModelDraft.open(tmp_path / "runs", f"{name}-faster")
    assert draft.problems() == {}
    assert draft.value("ppo.batch_size") == 256
    assert draft.reward == FILES["reward_function.py"].decode()
