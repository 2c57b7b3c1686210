"""A training whose cars are on the learner's device, here Warp's processor target."""

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import racer
from racer.assets.document import validate_document
from racer.errors import ConfigError
from racer.race import Ending
from racer.training.callbacks.save import SaveCallback
from racer.training.config import RunConfig
from racer.training.training_env import is_for_device, make_training_env
from tests.helpers.runs import (
    CHUNK,
    QUIET,
    assert_same_run,
    chunked_config,
    config,
    no_figures,
    weights_after,
)

pytest.importorskip("warp", reason="needs racer's extra gpu")

from racer.gpu.gpu_env import GpuVectorEnv
from racer.training.device_vec_env import DeviceVecEnv
from racer.training.train import resume_training, run_training
from racer.training.vec_env import CarsVecEnv

__all__ = ["no_figures"]
DEVICE: dict[str, Any] = {"simulator": "device", "device": "cpu"}
SCALED: dict[str, Any] = {
    "network": {"hidden": [16], "normalize_obs": True},
    "ppo": {"n_steps": 16, "batch_size": 64, "n_epochs": 1, "normalize_reward": True},
    "total_timesteps": 2 * CHUNK,
}


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def stopped_after(steps, mine, folder):
    """Train until a signal ends it within a rollout."""
    step = SaveCallback._on_step

    def until(self):
        self.is_stopping = self.is_stopping or self.num_timesteps >= steps
        return step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveCallback, "_on_step", until)
        assert run_training(mine, folder, QUIET).ended == "stopped"


@pytest.fixture(scope="module")
def mine():
    return chunked_config(**DEVICE, **SCALED)


@pytest.fixture(scope="module")
def whole(mine, tmp_path_factory):
    """A run of two chunks that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_training(mine, folder, QUIET)
    return folder


def test_a_training_leaves_what_every_training_leaves(whole):
    evaluations = read_lines(whole / "evaluations.jsonl")
    assert [one["steps"] for one in evaluations] == [CHUNK, 2 * CHUNK]
    episodes = read_lines(whole / "episodes.jsonl")
    assert len(episodes) > 3
    for one in episodes:
        assert one["ending"] in [ending.name.lower() for ending in Ending]
        assert 0 < one["length"] <= 2 * CHUNK / 8
        assert np.isfinite(one["reward"])
        assert 0.1 < np.hypot(*one["xy"]) < 10.0
    held = weights_after(whole, 2 * CHUNK)
    count = next(value for key, value in held.items() if key.endswith("count"))
    assert count == 2 * CHUNK
    assert racer.to_sb3(whole, checkpoint=2 * CHUNK).num_timesteps == 2 * CHUNK


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(mine, whole, tmp_path):
    stopped_after(CHUNK + 40, mine, tmp_path / "cut")
    assert resume_training(tmp_path / "cut", QUIET).is_finished
    assert_same_run(tmp_path / "cut", whole, 2 * CHUNK)


@pytest.mark.slow
def test_a_run_that_goes_on_elsewhere_says_that_its_cars_have_moved(mine, tmp_path):
    stopped_after(CHUNK + 40, mine, tmp_path / "cut")
    path = tmp_path / "cut" / "config.yaml"
    path.write_text(path.read_text().replace("simulator: device", "simulator: host"))
    said = io.StringIO()
    result = resume_training(tmp_path / "cut", Console(file=said, width=1000))
    line = "the cars are simulated on the host now, on the device before: the outcome may differ"
    assert line in said.getvalue()
    assert line in (tmp_path / "cut" / "log.txt").read_text()
    assert result.is_finished


def test_what_a_device_cannot_have_is_refused_or_simulated_on_the_host(monkeypatch, subtests):
    monkeypatch.setattr("racer.training.training_env.is_for_device", lambda config: True)
    for base, why in [
        (config(race={"walls": True}), "race.walls: true is not simulated on a device"),
        (config(race="object_avoidance"), "race.kind: object_avoidance is not simulated"),
        (
            validate_document({"sensor": "state", "algorithm": "sac"}, RunConfig, "test"),
            "algorithm sac learns on the host alone",
        ),
    ]:
        with subtests.test(why=why):
            wanted = base.model_copy(update=DEVICE)
            with pytest.raises(ConfigError, match=why):
                make_training_env(wanted, is_logged=False)
            said = []
            env = make_training_env(
                wanted.model_copy(update={"simulator": "auto"}), False, say=said.append
            )
            env.close()
            assert isinstance(env, CarsVecEnv)
            (line,) = said
            assert line.startswith("the cars are simulated on the host: ")
            assert why in line


def test_deepracers_logs_keep_the_cars_on_the_host():
    with pytest.raises(ConfigError, match="--deepracer-logs needs the cars on the host"):
        make_training_env(config(**DEVICE), is_logged=True)


def test_the_cars_are_beside_the_learner_where_it_is_on_a_gpu(monkeypatch):
    assert not is_for_device(config(simulator="auto", device="cpu"))
    assert is_for_device(config(simulator="device", device="cpu"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert is_for_device(config(simulator="auto", device="auto"))
    assert not is_for_device(config(simulator="host", device="cuda"))


def test_rewards_are_scaled_and_frames_turned_as_on_the_host():
    small: dict[str, Any] = {"sensor": {"kind": "camera", "width": 32, "height": 24}}
    cars = GpuVectorEnv(4, device="cpu", seed=0, **small)
    plain = GpuVectorEnv(4, device="cpu", seed=0, **small)
    env = DeviceVecEnv(cars, gamma=0.9)
    assert env.observation_space.shape == (1, 24, 32)
    env.seed(3)
    seen, raw = env.reset(), plain.reset(seed=3)
    assert seen.shape == (4, 1, 24, 32)
    assert np.array_equal(seen[:, 0], raw[..., 0])
    returns, kept = np.zeros(4), []
    for step in range(40):
        actions = env.cars._actions.new_full((4, 2), 0.3)
        driven, paid = env.drive(actions), plain.step(actions)
        returns = 0.9 * returns + paid.rewards.numpy()
        kept.append(returns.copy())
        returns[driven.dones.numpy()] = 0.0
        # The count begins with 1e-4 of a sample of variance 1.
        expected = paid.rewards.numpy() / np.std(kept)
        assert step < 20 or np.allclose(driven.rewards.numpy(), expected, rtol=2e-2)
    assert env.observations.shape == (1, 24, 32, 1)
    assert env.poses.shape == (4, 4)


def test_what_a_learner_on_the_host_asks_for_is_refused():
    env = DeviceVecEnv(GpuVectorEnv(2, device="cpu", seed=0, sensor="state"))
    for ask in (
        lambda: env.step(np.zeros((2, 2))),
        lambda: env.set_attr("config", None),
        lambda: env.env_method("render"),
    ):
        with pytest.raises(NotImplementedError, match="simulator: host"):
            ask()
    assert env.get_attr("num_envs") == [2, 2]


QUARTERS = 4


def learning_curve(folder, seed, simulator):
    """Mean progress of the episodes in each quarter of a training [percent]."""
    learning = config(
        seed=seed,
        simulator=simulator,
        num_envs=128,
        total_timesteps=65_536,
        network={"hidden": [64, 64]},
        ppo={"n_steps": 32, "batch_size": 1024, "n_epochs": 4, "learning_rate": 1e-3},
        evaluation={"eval_freq": 65_536, "laps": 1, "time_limit": 1.0, "video_freq": 0},
    )
    run_training(learning, folder / f"{simulator}-{seed}", QUIET)
    rows = read_lines(folder / f"{simulator}-{seed}" / "episodes.jsonl")
    quarter = np.array([(one["steps"] - 1) * QUARTERS // 65_536 for one in rows])
    progress = np.array([one["progress"] for one in rows])
    return [float(progress[quarter == k].mean()) for k in range(QUARTERS)]


@pytest.mark.slow(minutes=3)
def test_a_policy_learns_as_fast_from_cars_on_a_device(tmp_path):
    seeds = range(3)
    host, device = (
        np.array([learning_curve(tmp_path, seed, simulator) for seed in seeds])
        for simulator in ("host", "device")
    )
    noise = np.sqrt((host.var(axis=0, ddof=1) + device.var(axis=0, ddof=1)) / len(seeds))
    gap = np.abs(host.mean(axis=0) - device.mean(axis=0))
    assert device.mean(axis=0)[-1] > 2.0 * device.mean(axis=0)[0], "it learns"
    assert (gap < 4.0 * noise + 2.0).all(), (host, device)
