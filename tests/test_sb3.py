"""`racer.sb3.make_vec_env` does all that Stable-Baselines3's own does, with no warning at all."""

import csv
import sys
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError
from stable_baselines3 import PPO, SAC
from stable_baselines3.common import env_util
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from racer.envs import RacerEnv
from racer.errors import ConfigError, RacerError
from racer.race import Ending
from racer.sb3 import make_vec_env
from racer.training.vec_env import RacerVecEnv
from tests.helpers.closing import closing

ID = "racer/TimeTrial-v0"
SMALL = {"kind": "camera", "width": 40, "height": 40}
SHORT = {"time_limit": 0.4}


@pytest.fixture
def build():
    def make(n=2, env_id=ID, **config):
        return make_vec_env(env_id, n, **{"sensor": "state", "seed": 0, **config})

    yield from closing(make)


class Still:
    """A policy that crawls straight on."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.tile(np.array([0.0, -0.5], dtype=np.float32), (len(observation), 1)), state


def straight(n=2):
    return np.tile(np.array([0.0, 0.5], dtype=np.float32), (n, 1))


def test_cars_in_one_world_give_what_stable_baselines3_s_own_vec_env_gives(build):
    config = {"sensor": [SMALL, "state"], "randomisation": "sim2real", "race": {"time_limit": 1.5}}
    ours = build(2, seed=5, **config)
    theirs = env_util.make_vec_env(ID, 2, seed=5, env_kwargs=config)
    assert ours.action_space == theirs.action_space
    pairs: list[Any] = [(ours.reset(), theirs.reset())]
    rng, ended, cut = np.random.default_rng(0), 0, 0
    for _ in range(50):
        actions = rng.uniform((-0.5, -1.0), (0.5, 0.5), (2, 2)).astype(np.float32)
        (seen, *mine, infos), (other, *its, others) = ours.step(actions), theirs.step(actions)
        pairs.append((seen, other))
        for one, same in zip(mine, its):
            assert one.dtype == same.dtype
            assert one.tobytes() == same.tobytes()
        for info, same in zip(infos, others):
            if "episode" in info:
                ended += 1
                cut += info["TimeLimit.truncated"]
                story, monitor = info.pop("episode"), same.pop("episode")
                assert story["l"] == monitor["l"]
                assert story["r"] == pytest.approx(monitor["r"], abs=1e-6)
                last, its_last = info.pop("terminal_observation"), same.pop("terminal_observation")
                assert np.array_equal(last["camera"], np.moveaxis(its_last["camera"], 2, 0))
                assert np.array_equal(last["state"], its_last["state"])
            assert info == same
    for seen, other in pairs:
        assert np.array_equal(seen["state"], other["state"])
        assert np.array_equal(seen["camera"], np.moveaxis(other["camera"], 3, 1))
    assert ended > cut > 0, "both kinds of ending were met"
    assert ours.reset_infos == theirs.reset_infos
    theirs.close()


@pytest.mark.parametrize("env_id", [f"racer:{ID}", gymnasium.spec(ID), RacerEnv], ids=str)
def test_an_id_may_be_given_as_gymnasium_takes_it(env_id, build):
    assert build(2, env_id).reset().tobytes() == build(2, ID).reset().tobytes()


def test_the_config_may_be_given_as_stable_baselines3_takes_it():
    env = make_vec_env(ID, env_kwargs={"sensor": "lidar"})
    assert env.observation_space.shape == (64,)
    env.close()


@pytest.mark.parametrize(
    ("env_id", "given", "said"),
    [
        ("CartPole-v1", {}, "known: racer/TimeTrial-v0"),
        (ID, {"vec_env_cls": None}, "share one environment in this process"),
        (ID, {"sensor": "state", "env_kwargs": {"sensor": "lidar"}}, "leave out one"),
        (ID, {"sensr": "state"}, "did you mean 'sensor'"),
    ],
)
def test_what_cannot_be_used_is_refused(env_id, given, said):
    with pytest.raises(ConfigError, match=said):
        make_vec_env(env_id, 2, **given)


def test_without_stable_baselines3_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "racer.training.vec_env")
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.monitor", None)
    with pytest.raises(RacerError, match=r"is not installed; pip install .*stable-baselines3"):
        make_vec_env(ID)


PPO_STEPS = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}
SAC_STEPS = {"learning_starts": 14, "buffer_size": 100, "batch_size": 8}


@pytest.mark.parametrize(
    ("algorithm", "policy", "sensor", "steps"),
    [
        (PPO, "MlpPolicy", "state", PPO_STEPS),
        (SAC, "MlpPolicy", "state", SAC_STEPS),
        pytest.param(PPO, "MultiInputPolicy", ["state", SMALL], PPO_STEPS, marks=pytest.mark.slow),
        pytest.param(SAC, "CnnPolicy", SMALL, SAC_STEPS, marks=pytest.mark.slow),
    ],
)
def test_an_algorithm_learns_and_hears_of_success(algorithm, policy, sensor, steps, build):
    env = build(2, sensor=sensor, race=SHORT)
    model = algorithm(policy, env, seed=0, device="cpu", **steps)
    model.learn(16)
    assert len(model.ep_info_buffer) == len(model.ep_success_buffer) == 2
    assert not any(model.ep_success_buffer)


def test_a_completed_lap_is_a_success(build):
    env = build(2)
    env.reset()
    race = env.unwrapped.cars.race
    race.distance[0] = race.roads.length[race.road.line[0]] - 1e-3
    infos = [{}, {}]
    while "episode" not in infos[0]:
        _, _, dones, infos = env.step(straight())
        assert dones.tolist() == [infos[0]["laps"] == 1, False]
    assert infos[0]["is_success"]
    assert infos[0]["ending"] == Ending.LAPS_COMPLETE
    assert not infos[1]["is_success"]


def test_evaluation_neither_warns_nor_takes_scaled_rewards_for_the_return(build):
    plain, scaled = build(2, race=SHORT), VecNormalize(build(2, race=SHORT))
    expected, _ = evaluate_policy(Still(), plain, n_eval_episodes=4)
    mean, _ = evaluate_policy(Still(), scaled, n_eval_episodes=4)
    assert mean == pytest.approx(expected, abs=1e-6)
    assert plain.env_is_wrapped(Monitor) == [True, True]
    assert plain.env_is_wrapped(gymnasium.wrappers.ClipAction) == [False, False]


def test_an_evaluation_callback_tells_the_success_rate(build, tmp_path):
    heard = EvalCallback(
        build(1, race=SHORT), n_eval_episodes=2, eval_freq=8, log_path=str(tmp_path), verbose=0
    )
    model = PPO("MlpPolicy", build(2, race=SHORT), n_steps=8, batch_size=16, device="cpu")
    model.learn(16, callback=heard)
    assert np.load(tmp_path / "evaluations.npz")["successes"].tolist() == [[False, False]]


def test_frames_are_stacked_along_their_channels(build):
    env = VecFrameStack(build(2, sensor=SMALL), 3)
    assert env.observation_space.shape == (3, 40, 40)
    first: Any = env.reset()
    first = first.copy()
    second: Any = env.step(straight())[0]
    assert np.array_equal(second[:, 1], first[:, 2])
    assert not np.array_equal(second[:, 2], second[:, 1])


@pytest.fixture
def clips(monkeypatch):
    """What would be written as a video, without MoviePy: frames and pictures a second."""
    made = []

    class Clip:
        def __init__(self, frames, fps):
            made.append((frames, fps))

        def write_videofile(self, path):
            pass

    for name in ("moviepy", "moviepy.video", "moviepy.video.io"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    last = ModuleType("moviepy.video.io.ImageSequenceClip")
    last.__dict__["ImageSequenceClip"] = Clip
    monkeypatch.setitem(sys.modules, last.__name__, last)
    return made


def test_a_video_shows_every_car_at_the_control_rate(build, clips, tmp_path):
    env = VecVideoRecorder(build(2), str(tmp_path), lambda step: step == 0, video_length=3)
    env.reset()
    for _ in range(3):
        env.step(straight())
    [(frames, fps)] = clips
    assert fps == 15
    assert [frame.shape for frame in frames] == [(960, 640, 3)] * 4
    assert not np.array_equal(frames[0], frames[-1])


def test_each_episode_is_a_line_of_one_monitor_csv(build, tmp_path):
    keywords = {"info_keywords": ("is_success", "progress")}
    env = build(2, race=SHORT, monitor_dir=str(tmp_path), monitor_kwargs=keywords)
    assert isinstance(env, VecMonitor)
    env.reset()
    while not env.step(straight())[2].any():
        pass
    env.close()
    first, *lines = (tmp_path / "monitor.csv").read_text().splitlines()
    assert first.startswith("#")
    assert ID in first
    rows = list(csv.DictReader(lines))
    assert [(row["l"], row["is_success"]) for row in rows] == [("6", "False")] * 2
    assert all(float(row["progress"]) > 1.0 for row in rows)


def test_a_seed_given_later_takes_effect_at_the_next_reset(build):
    env, other = build(2, seed=1), build(2, seed=4)
    first = env.reset().tobytes()
    env.seed(4)
    assert env.reset().tobytes() == other.reset().tobytes() != first
    env.seed(1)
    assert env.reset().tobytes() == first


def test_attributes_are_those_of_the_environment_that_all_share(build):
    env = build(3)
    assert [car.name for car in env.get_attr("car", indices=[0, 2])] == ["deepracer"] * 2
    assert env.get_attr("action_space") == [env.action_space] * 3
    assert not env.has_attr("nothing")
    env.set_attr("note", "mine")
    assert env.get_attr("note", indices=1) == ["mine"]
    with pytest.raises(NotImplementedError, match="leave out indices"):
        env.set_attr("note", "other", indices=0)
    with pytest.raises(NotImplementedError, match="share one environment"):
        env.env_method("reset", indices=0)
    env.set_options({"speed": 3})
    with pytest.raises(ConfigError, match="unknown option 'speed'"):
        env.reset()


def test_a_closed_vec_env_says_so(build):
    env = build(2)
    assert isinstance(env, RacerVecEnv)
    env.reset()
    env.close()
    with pytest.raises(ClosedEnvironmentError):
        env.step(straight())
    env.close()
