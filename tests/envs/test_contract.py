"""The environments keep Gymnasium's and Stable-Baselines3's contract, with no warning at all."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check

from racer.envs import RacerEnv
from racer.registration import ENV_IDS

SMALL = {"kind": "camera", "width": 48, "height": 40}
CONFIGS = [
    {"sensor": "state"},
    {"sensor": "camera"},
    {"sensor": "state", "actions": "discrete"},
    {"sensor": {"kind": "camera", "width": 80, "height": 60}, "actions": "discrete"},
    {"sensor": {"kind": "camera", "width": 40, "height": 40, "colour": "rgb", "stack": 2}},
    {"sensor": [{"kind": "stereo", "width": 40, "height": 40}, "lidar", "state"]},
    {"sensor": "sector_lidar"},
    {"sensor": "discretized_sector_lidar"},
]


IDS = sorted(name for name in gymnasium.registry if name.startswith("racer/"))


def test_every_kind_of_race_is_registered():
    assert IDS == [
        "racer/HeadToBot-LidarState-v0",
        "racer/HeadToBot-v0",
        "racer/ObjectAvoidance-LidarState-v0",
        "racer/ObjectAvoidance-v0",
        "racer/TimeTrial-State-v0",
        "racer/TimeTrial-v0",
    ]


@pytest.mark.parametrize("env_id", ENV_IDS.values())
def test_no_kind_of_race_gives_gymnasium_cause_to_warn(env_id):
    race = {"walls": True, "faults": "reset", "direction": "alternate"}
    env = gymnasium.make(env_id, sensor=["state", SMALL], race=race, randomisation="sim2real")
    gymnasium_check(env.unwrapped, skip_render_check=True)
    sb3_check(env.unwrapped, warn=True)
    env.close()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_gymnasium_finds_nothing_to_warn_about(config):
    env = gymnasium.make("racer/TimeTrial-v0", render_mode="rgb_array", **config)
    gymnasium_check(env.unwrapped)
    env.close()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_stable_baselines3_finds_nothing_to_warn_about(config):
    env = RacerEnv(**config)
    sb3_check(env, warn=True)
    env.close()


def test_make_vec_gives_the_batched_environment():
    envs = gymnasium.make_vec(
        "racer/TimeTrial-v0",
        num_envs=64,
        vectorization_mode="vector_entry_point",
        sensor="state",
    )
    obs, info = envs.reset(seed=1)
    assert obs.shape == (64, 26)
    assert envs.observation_space.contains(obs)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    obs, rewards, terminated, truncated, info = envs.step(envs.action_space.sample())
    assert envs.observation_space.contains(obs)
    assert rewards.shape == terminated.shape == truncated.shape == info["progress"].shape == (64,)
    envs.close()


def test_an_action_outside_the_space_is_clipped_to_the_car():
    env = RacerEnv(sensor="state", reward=None)
    env.reset(seed=0)
    env.step(np.array([5.0, 5.0], dtype=np.float32))
    assert np.allclose(env.vector.world.state.command, [[np.deg2rad(30.0), 4.0]])
    env.close()


def test_a_picture_can_be_rendered():
    env = RacerEnv(sensor="state", reward=None, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture is not None
    assert picture.shape == (480, 640, 3)
    assert picture.std() > 10.0
    env.close()
