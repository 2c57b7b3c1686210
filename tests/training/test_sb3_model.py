"""A run's policy as a model of Stable-Baselines3: the same actions, saved, loaded, learning on."""

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.torch_layers import FlattenExtractor, NatureCNN

import racer
from racer.assets.document import validate_document
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry
from racer.envs import RacerEnv
from racer.errors import RunError
from racer.sensors import Observations
from racer.training.config import RunConfig
from racer.training.ppo import SensorFeaturesExtractor
from racer.training.run_dir import Run
from racer.training.train import run_training
from tests.helpers.runs import TINY

CAMERA = {"kind": "camera", "width": 40, "height": 36}
WITHOUT_RACER = """
import sys
sys.modules["racer"] = None  # importing it fails
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
for path in sys.argv[1:]:
    try:
        model = PPO.load(path)
    except Exception:
        print("wants racer")
    else:
        print(model.predict(model.observation_space.sample(), deterministic=True)[0].shape)
"""


def trained(folder, **changes) -> Run:
    config = validate_document(TINY | changes, RunConfig, "test")
    return run_training(config, folder, Console(file=io.StringIO())).run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return trained(tmp_path_factory.mktemp("runs") / "small")


def seen_by(sensor: Any, count: int) -> list[Observations]:
    """Observations of a car that drives at random."""
    env = RacerEnv(sensor=sensor, reward=None)
    found = [env.reset(seed=0)[0]]
    rng = np.random.default_rng(0)
    while len(found) < count:
        seen, _, terminated, truncated, _ = env.step(rng.uniform(-1, 1, 2))
        found.append(env.reset()[0] if terminated or truncated else seen)
    env.close()
    return found


def answers(policy: OnnxPolicy, seen: Observations) -> np.ndarray:
    batch = {k: v[None] for k, v in seen.items()} if isinstance(seen, dict) else seen[None]
    return policy(batch)[0]


def assert_alike(model: BaseAlgorithm, entry, sensor: Any) -> None:
    """That a model predicts what an entry answers, for observations as the environment gives."""
    policy, given = OnnxPolicy(read_entry(entry)), []
    for seen in seen_by(sensor, 30):
        given.append(model.predict(seen, deterministic=True)[0])
        assert np.allclose(given[-1], answers(policy, seen), atol=1e-5)
    assert np.ptp(given, axis=0).max() > 1e-4, "it must depend on what is seen"


def test_a_model_of_numbers_is_made_of_nothing_of_racer_s(run, monkeypatch):
    model = racer.to_sb3(run)
    assert type(model) is PPO
    assert type(model.policy.features_extractor) is FlattenExtractor
    model.save(saved := io.BytesIO())
    saved.seek(0)
    for name in [name for name in sys.modules if name.partition(".")[0] == "racer"]:
        monkeypatch.setitem(sys.modules, name, None)
    again = PPO.load(saved)
    seen = np.linspace(-1, 1, 26, dtype=np.float32)
    mine, theirs = (one.predict(seen, deterministic=True)[0] for one in (model, again))
    assert np.array_equal(mine, theirs)


def test_a_model_has_the_run_s_counts_optimiser_and_hyperparameters(run):
    model = racer.to_sb3(run.folder, checkpoint=256)
    assert isinstance(model, PPO)
    assert model.num_timesteps == 256
    assert (model.n_steps, model.batch_size, model.n_epochs) == (32, 64, 2)
    held = torch.load(run.checkpoints / "step-256.pt", weights_only=True)
    mine, theirs = (
        model.policy.optimizer.state_dict()["state"],
        held["optimizers"]["policy.optimizer"]["state"],
    )
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key]["exp_avg"], theirs[key]["exp_avg"]) for key in mine)


def test_another_checkpoint_than_the_best_can_be_taken(run):
    held = torch.load(run.checkpoints / "step-128.pt", weights_only=True)["policy"]
    model = racer.to_sb3(run, checkpoint=128)
    assert isinstance(model, PPO)
    weight = model.policy.action_net.get_parameter("weight")
    assert torch.equal(weight, held["action_net.weight"])
    with pytest.raises(RunError, match="no checkpoint after 7 steps; it has 128, 256"):
        racer.to_sb3(run, checkpoint=7)


def test_a_model_learns_on_where_the_run_ended(run):
    env = make_vec_env("racer/TimeTrial-v0", 2, env_kwargs={"sensor": "state"})
    model = racer.to_sb3(run, checkpoint=256, env=env)
    assert isinstance(model, PPO)
    before = model.policy.action_net.get_parameter("weight").clone()
    model.learn(64, reset_num_timesteps=False)
    env.close()
    assert model.num_timesteps == 256 + 64
    assert not torch.equal(model.policy.action_net.get_parameter("weight"), before)


@pytest.mark.slow
def test_the_example_of_the_docs_saves_loads_and_learns_on(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "model.learn(10_000" in example
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "runs" / "first", total_timesteps=128)
    exec(example.replace("10_000", "64"), scope := {})
    scope["env"].close()
    assert scope["model"].num_timesteps >= 128 + 64


def test_an_environment_of_other_observations_is_refused(run):
    env = make_vec_env("racer/TimeTrial-v0", 1, env_kwargs={"sensor": "lidar"})
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        racer.to_sb3(run, env=env)
    env.close()


NETWORKS: dict[str, tuple[Any, dict, dict, type]] = {
    "plain": ("state", TINY["network"], {}, FlattenExtractor),
    "shallow": (CAMERA, {"preset": "shallow"}, {}, NatureCNN),
    "deep": (CAMERA, {"preset": "deep", "filters": [[8, 4, 2]]}, {}, SensorFeaturesExtractor),
    "standardised": (
        "state",
        {"normalize_obs": True},
        {"value_loss": "huber"},
        SensorFeaturesExtractor,
    ),
    "several": (
        [CAMERA, "lidar"],
        {"filters": [[8, 4, 2]], "mlp": [8]},
        {},
        SensorFeaturesExtractor,
    ),
}
"""Sensor, network and PPO of a run, and what extracts the features of its model."""


@pytest.mark.slow
def test_a_model_of_any_network_predicts_what_the_entry_does_and_learns_on(subtests, tmp_path):
    for name, (sensor, network, ppo, extractor) in NETWORKS.items():
        with subtests.test(name=name):
            changes = {"sensor": sensor, "network": network, "ppo": TINY["ppo"] | ppo}
            run = trained(tmp_path / name, total_timesteps=128, **changes)
            racer.to_sb3(run).save(tmp_path / f"{name}.zip")
            env = make_vec_env("racer/TimeTrial-v0", 2, env_kwargs={"sensor": sensor})
            model = PPO.load(tmp_path / f"{name}.zip", env=env)
            assert type(model.policy.features_extractor) is extractor
            entry = racer.export(run, tmp_path / f"{name}.entry.zip")
            assert_alike(model, entry, sensor)
            model.learn(64, reset_num_timesteps=False)
            env.close()
    words = [sys.executable, "-c", WITHOUT_RACER, *(tmp_path / f"{name}.zip" for name in NETWORKS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    are_plain = [one[-1] is not SensorFeaturesExtractor for one in NETWORKS.values()]
    said = ["(2,)" if is_plain else "wants racer" for is_plain in are_plain]
    assert done.stdout.splitlines() == said, done.stderr
