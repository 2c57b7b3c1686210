"""An export needs a run's folder, and neither a world nor a learner."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import racer
from racer.cli import main
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry
from racer.envs import RacerVectorEnv
from racer.errors import RunError
from racer.networks.onnx_export import input_shapes
from racer.networks.policy_network import TorchPolicy, build_network, load_network
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.export import entry_name
from racer.training.learner import build_learner
from racer.training.run_dir import Run
from racer.training.train import run_training
from racer.training.vec_env import CarsVecEnv
from tests.helpers.runs import QUIET, chunked_config, config

SEVERAL = [{"kind": "camera", "width": 40, "height": 36}, {"kind": "lidar", "beams": 8}]
DEEP = {"preset": "deep", "filters": [[8, 4, 2]], "mlp": [8], "normalize_obs": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "swift"
    evaluation = {"eval_freq": 256, "laps": 1, "time_limit": 1.0, "video_freq": 0}
    run_training(chunked_config(total_timesteps=256, evaluation=evaluation), folder, QUIET)
    return folder


@pytest.mark.parametrize("actions", ["continuous", "discrete"])
def test_a_network_has_the_names_shapes_and_actions_of_the_learner_s_policy(actions):
    several = config(sensor=SEVERAL, actions=actions, network=DEEP, num_envs=2)
    env = CarsVecEnv(RacerVectorEnv(2, **several.env))
    model = build_learner(several, env)
    env.reset()
    env.close()
    shapes, layers = input_shapes(several.sensor), several.network.layers
    trained = model.policy.state_dict()
    mine = build_network(shapes, layers, several.actions).state_dict()
    assert set(mine) <= set(trained)
    assert {name: one.shape for name, one in mine.items()} == {
        name: trained[name].shape for name in mine
    }
    network = load_network(shapes, layers, several.actions, trained)
    seen = env.cars.observations
    assert isinstance(seen, dict)
    shown = {name: np.moveaxis(v, 3, 1) if v.ndim == 4 else v for name, v in seen.items()}
    wanted, _ = model.predict(shown, deterministic=True)
    got = TorchPolicy(network.actor(), torch.device("cpu"))(seen)
    assert np.allclose(got, wanted, atol=1e-6)


def test_loading_a_policy_draws_no_random_number(folder):
    before = torch.get_rng_state()
    load_checkpoint_policy(Run.open(folder))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_an_export_makes_no_world_and_no_learner(folder, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a world or a learner was made")

    for name in (
        "racer.world.world.World.__init__",
        "racer.world.bullet.connect",
        "racer.envs.RacerVectorEnv.__init__",
        "stable_baselines3.PPO.__init__",
        "stable_baselines3.common.vec_env.base_vec_env.VecEnv.__init__",
    ):
        monkeypatch.setattr(name, refuse)
    path = racer.export(folder, tmp_path / "swift.entry.zip")
    monkeypatch.undo()
    entry, policy = read_entry(path), load_checkpoint_policy(Run.open(folder))
    assert (entry.manifest.name, entry.manifest.trained_on.steps) == ("swift", 256)
    seen = np.linspace(-1, 1, 26, dtype=np.float32)[None]
    wanted = TorchPolicy(policy.network.actor(), torch.device("cpu"))(seen)
    assert np.allclose(OnnxPolicy(entry)(seen), wanted, atol=1e-6)
    assert np.abs(wanted).max() > 1e-6


def test_a_model_of_stable_baselines3_is_made_without_a_world(folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a world was made")

    monkeypatch.setattr("racer.world.world.World.__init__", refuse)
    assert racer.to_sb3(folder).num_timesteps == 256


def test_a_checkpoint_of_another_network_is_refused(folder, tmp_path):
    (tmp_path / "run").mkdir()
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "lock":
            copy = tmp_path / "run" / path.relative_to(folder)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    written = tmp_path / "run" / "config.yaml"
    text = written.read_text()
    assert "  hidden:\n  - 32\n" in text
    written.write_text(text.replace("  hidden:\n  - 32\n", "  hidden:\n  - 16\n"))
    with pytest.raises(RunError, match="not a checkpoint of this run"):
        load_checkpoint_policy(Run.open(tmp_path / "run"))


def test_an_entry_is_called_like_the_run_s_folder_even_from_inside_it(tmp_path, monkeypatch):
    folder = tmp_path / "swift"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert entry_name(Path()) == entry_name(Path("../swift")) == entry_name(folder) == "swift"
    assert entry_name(Path("."), is_int8=True) == "swift-int8"


@pytest.mark.parametrize("is_int8", [False, True])
def test_python_and_the_command_line_call_the_entry_of_this_folder_the_same(
    tmp_path, monkeypatch, is_int8
):
    calls = []
    entry = SimpleNamespace(entry=SimpleNamespace(sha256="0"))
    monkeypatch.setattr(
        "racer.training.export.export_run", lambda *words: calls.append(words) or "0"
    )
    monkeypatch.setattr(
        "racer.training.int8_export.export_int8", lambda *words: calls.append(words) or (entry,)
    )
    monkeypatch.setattr("racer.training.int8_export.int8_table", lambda measured: "")
    folder = tmp_path / "swift"
    folder.mkdir()
    monkeypatch.chdir(folder)
    racer.export(".", int8=is_int8)
    main(["export", ".", *(["--int8"] if is_int8 else [])])
    own = "swift-int8" if is_int8 else "swift"
    assert [words[:3] for words in calls] == [(Path(), Path(f"{own}.entry.zip"), own)] * 2
