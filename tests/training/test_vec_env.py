"""The adapter to Stable-Baselines3's VecEnv."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer

from racer.assets.document import validate_document
from racer.envs import RacerVectorEnv
from racer.race import Ending
from racer.training.config import RunConfig
from racer.training.learner import build_learner
from racer.training.vec_env import CarsVecEnv


def cars(n=3, **config):
    env = CarsVecEnv(RacerVectorEnv(n, sensor="state", **config))
    env.seed(0)
    return env


def test_a_frame_is_shown_channels_first_with_the_same_pixels():
    small = {"kind": "camera", "width": 40, "height": 30}
    env = CarsVecEnv(RacerVectorEnv(2, sensor=small))
    frames = env.reset()
    assert frames.shape == (2, 1, 30, 40)
    assert env.observation_space.shape == (1, 30, 40)
    assert np.array_equal(frames[:, 0], env.cars.observations[..., 0])
    env.close()


def test_several_sensors_are_shown_by_their_names():
    several = [{"kind": "camera", "width": 40, "height": 30, "stack": 2}, "state"]
    env = CarsVecEnv(RacerVectorEnv(2, sensor=several))
    seen = env.reset()
    assert {name: values.shape for name, values in seen.items()} == {
        "camera": (2, 2, 30, 40),
        "state": (2, 26),
    }
    assert env.observation_space.contains({name: values[0] for name, values in seen.items()})
    env.close()


def test_an_ended_episode_gives_its_last_observation_and_its_story():
    env = cars()
    env.reset()
    straight_on = np.tile([0.0, 1.0], (3, 1))
    seen, _, dones, infos = env.step(straight_on)
    while not dones.any():
        seen, _, dones, infos = env.step(straight_on)
    car = int(np.flatnonzero(dones)[0])
    assert isinstance(env.cars, RacerVectorEnv)
    episode = infos[car]["episode"]
    assert episode["ending"] == Ending.OFF_TRACK
    assert episode["l"] > 1
    assert not infos[car]["TimeLimit.truncated"]
    assert not np.array_equal(infos[car]["terminal_observation"], np.asarray(seen)[car])
    assert env.cars.race.steps[car] == 0, "the car has started anew"
    env.close()


def test_time_up_is_truncated_so_that_the_value_is_bootstrapped():
    env = cars(race={"time_limit": 0.4})
    env.reset()
    for _ in range(5):
        env.step(np.zeros((3, 2)))
    _, _, dones, infos = env.step(np.zeros((3, 2)))
    assert dones.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    env.close()


def test_the_episode_s_reward_is_the_sum_of_its_steps():
    env = cars(n=1)
    env.reset()
    total = 0.0
    while True:
        _, rewards, dones, infos = env.step(np.array([[0.0, 0.0]]))
        total += float(rewards[0])
        if dones[0]:
            break
    assert np.isclose(infos[0]["episode"]["r"], total, atol=1e-4)
    env.close()


def test_scaled_rewards_are_divided_by_the_deviation_of_the_return_so_far():
    paid = RacerVectorEnv(3, sensor="state", reward="progress")
    env, plain = (
        CarsVecEnv(paid, gamma=0.9),
        CarsVecEnv(RacerVectorEnv(3, sensor="state", reward="progress")),
    )
    for one in (env, plain):
        one.seed(1)
        one.reset()
    seen, returns = [], np.zeros(3)
    for step in range(60):
        _, scaled, done, _ = env.step(np.full((3, 2), 0.3))
        _, rewards, _, _ = plain.step(np.full((3, 2), 0.3))
        returns = 0.9 * returns + rewards
        seen.append(returns.copy())
        returns[done] = 0.0
        # The count begins with 1e-4 of a sample of variance 1.
        assert step < 20 or np.allclose(scaled, rewards / np.std(seen), rtol=2e-2)
    env.close()
    plain.close()


@pytest.mark.parametrize("is_cut", [True, False], ids=["time is up", "the task ended"])
def test_ppo_adds_the_value_of_what_the_clock_cut_short_and_of_nothing_else(is_cut, monkeypatch):
    """The critic holds everything worth 10, half of it a step before; nothing is paid."""
    config = validate_document(
        {"sensor": "state", "reward": "progress", "num_envs": 2, "device": "cpu",
         "torch_threads": 1, "race": {"time_limit": 5 / 15},
         "ppo": {"n_steps": 5, "batch_size": 2, "gamma": 0.5}},
        RunConfig, "test",
    )  # fmt: skip
    advance = RacerVectorEnv.advance

    def ended(self, actions):
        rewards, terminated, truncated = advance(self, actions)
        return rewards, terminated | truncated, np.zeros_like(truncated)

    if not is_cut:
        monkeypatch.setattr(RacerVectorEnv, "advance", ended)
    env = CarsVecEnv(RacerVectorEnv(2, **config.model_copy(update={"reward": None}).env))
    model = build_learner(config, env)
    assert isinstance(model, PPO)
    with torch.no_grad():
        model.policy.value_net.get_parameter("weight").zero_()
        model.policy.value_net.get_parameter("bias").fill_(10.0)
    env.seed(0)
    _, callback = model._setup_learn(10)
    buffer = model.rollout_buffer
    assert isinstance(buffer, RolloutBuffer)
    model.collect_rollouts(env, callback, buffer, 5)
    assert buffer.rewards[:4].max() == 0.0
    assert buffer.rewards[4].tolist() == ([5.0, 5.0] if is_cut else [0.0, 0.0])
    env.close()
