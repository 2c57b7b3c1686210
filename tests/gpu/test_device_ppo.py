"""PPO on the device, against Stable-Baselines3's own, in a small world that both can step."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv
from torch.utils._python_dispatch import TorchDispatchMode

from racer.gpu.device_ppo import DevicePPO, DrivenStep
from racer.gpu.rollout_storage import DeviceRolloutStorage
from racer.networks.network_config import NETWORK_PRESETS
from racer.training.ppo import HuberPolicy, SensorFeaturesExtractor

CARS, STEPS = 6, 16
LAYERS = NETWORK_PRESETS["small"]._replace(
    filters=((4, 4, 2),), features=(8,), mlp=(8,), hidden=(16,)
)
STATE = spaces.Box(-10.0, 10.0, (3,), np.float32)
BOTH = spaces.Dict({"camera": spaces.Box(0, 255, (1, 6, 8), np.uint8), "state": STATE})
STEERING = spaces.Box(-1.0, 1.0, (2,), np.float32)
GEARS = spaces.Discrete(4)


class Dots:
    """Dots that an action pushes: float32 tensors, some dots too far out, some out of time."""

    max_episode_steps = 7

    def __init__(self, seen, actions):
        self.observation_space, self.action_space = seen, actions
        self.at = torch.zeros(CARS, 3)
        self.age = torch.zeros(CARS, dtype=torch.int64)

    def reset(self):
        self.at = torch.linspace(-1.0, 1.0, 3 * CARS).view(CARS, 3).clone()
        self.age = torch.arange(CARS) % 3
        return self.look()

    def look(self):
        if self.observation_space == STATE:
            return self.at.clone()
        shade = (self.at * 9.0).abs().to(torch.uint8)
        frame = shade.repeat(1, 16)[:, None, :].view(CARS, 1, 6, 8)
        return {"camera": frame, "state": self.at.clone()}

    def push(self, actions):
        """One step: observations, rewards, dones, what the clock ended, last observations."""
        force = actions.float().view(CARS, -1)
        self.at = self.at * 0.9 + force.sum(dim=1, keepdim=True) * torch.tensor([0.5, -0.25, 1.0])
        self.age = self.age + 1
        rewards = 1.0 - self.at.abs().sum(dim=1)
        is_out, is_late = self.at[:, 2].abs() > 1.5, self.age >= self.max_episode_steps
        dones, final = is_out | is_late, self.look()
        self.at = torch.where(dones[:, None], torch.full_like(self.at, 0.25), self.at)
        self.age = torch.where(dones, torch.zeros_like(self.age), self.age)
        return self.look(), rewards, dones, is_late & ~is_out, final


class HostDots(VecEnv):
    """The dots for Stable-Baselines3."""

    def __init__(self, dots):
        self.dots = dots
        super().__init__(CARS, dots.observation_space, dots.action_space)

    def reset(self) -> Any:
        return to_numpy(self.dots.reset())

    def step_async(self, actions):
        self.actions = torch.as_tensor(actions)

    def step_wait(self) -> Any:
        seen, rewards, dones, is_cut_off, final = self.dots.push(self.actions)
        infos = [{} for _ in range(CARS)]
        last = to_numpy(final)
        for car in torch.nonzero(dones).flatten().tolist():
            several = isinstance(last, dict)
            row = {k: v[car] for k, v in last.items()} if several else last[car]
            infos[car] = {"terminal_observation": row, "TimeLimit.truncated": is_cut_off[car].item()}
        return to_numpy(seen), rewards.numpy(), dones.numpy(), infos

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        return [None] * CARS

    set_attr = env_method = get_attr

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * CARS


class DeviceDots(HostDots):
    """The dots for a learner on their device; observations are written over."""

    max_episode_steps = Dots.max_episode_steps

    def reset(self):
        self.seen = self.dots.reset()
        return self.seen

    def drive(self, actions):
        seen, rewards, dones, is_cut_off, final = self.dots.push(actions)
        for name in self.seen if isinstance(self.seen, dict) else ():
            self.seen[name].copy_(seen[name])
        if not isinstance(self.seen, dict):
            self.seen.copy_(seen)
        return DrivenStep(self.seen, rewards, dones, is_cut_off, final)

    def read_episodes(self):
        return [{"episode": {"r": 1.0, "l": 3, "t": 0.0}}]


def to_numpy(seen):
    return {k: v.numpy() for k, v in seen.items()} if isinstance(seen, dict) else seen.numpy()


def stable_baselines3_order(storage):
    """The order in which Stable-Baselines3 takes the same samples, which it stores car by car."""
    taken = np.random.permutation(STEPS * CARS)  # noqa: NPY002 - as Stable-Baselines3 draws it
    car, step = np.divmod(taken, STEPS)
    return torch.from_numpy(step * CARS + car)


def learner(kind, seen, actions, huber=False):
    env = (DeviceDots if kind is DevicePPO else HostDots)(Dots(seen, actions))
    policy_kwargs: dict[str, Any] = {
        "net_arch": {"pi": [16], "vf": [16]},
        "features_extractor_class": SensorFeaturesExtractor,
        "features_extractor_kwargs": {"layers": LAYERS},
    }
    if huber:
        policy_kwargs["vf_coef"] = 0.5
    storage = {"rollout_buffer_class": DeviceRolloutStorage} if kind is DevicePPO else {}
    model = kind(
        HuberPolicy if huber else ActorCriticPolicy,
        env,
        n_steps=STEPS,
        batch_size=32,
        n_epochs=2,
        learning_rate=lambda left: 1e-2 * left,
        ent_coef=0.01,
        gamma=0.9,
        seed=3,
        device="cpu",
        policy_kwargs=policy_kwargs,
        **storage,
    )
    model.set_logger(configure(None, []))
    return model


class Kept(BaseCallback):
    """Keeps what was logged and what a callback sees."""

    def __init__(self):
        super().__init__()
        self.logged, self.infos, self.steps = [], [], []

    def _on_step(self):
        self.infos.append(len(self.locals["infos"]))
        self.steps.append(self.num_timesteps)
        return True

    def _on_rollout_start(self):
        told = dict(self.model.logger.name_to_value)
        self.logged.append({k: v for k, v in told.items() if k.startswith("train/")})


CASES = {
    "numbers, continuous": (STATE, STEERING, False),
    "numbers and frames, discrete": (BOTH, GEARS, False),
    "a Huber loss": (STATE, STEERING, True),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_three_updates_equal_those_of_stable_baselines3(subtests, monkeypatch):
    monkeypatch.setattr(DeviceRolloutStorage, "_order", stable_baselines3_order)
    for name, case in CASES.items():
        with subtests.test(name=name):
            learnt = {}
            for kind in (PPO, DevicePPO):
                model, kept = learner(kind, *case), Kept()
                model.learn(3 * STEPS * CARS, callback=kept)
                learnt[kind] = model, kept.logged + [dict(model.logger.name_to_value)]
            (theirs, told), (ours, tells) = learnt[PPO], learnt[DevicePPO]
            expected = theirs.policy.state_dict()
            for key, value in ours.policy.state_dict().items():
                torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6, msg=key)
            first = theirs.rollout_buffer
            for part in ("rewards", "advantages", "returns"):
                mine = getattr(ours.rollout_buffer, part).numpy()
                given = getattr(first, part).reshape(CARS, STEPS).T if part != "rewards" else None
                given = first.rewards if given is None else given
                np.testing.assert_allclose(mine, given, rtol=1e-4, atol=1e-5, err_msg=part)
            assert [set(one) for one in tells[1:3]] == [set(one) for one in told[1:3]]
            for mine, other in zip(tells[1:3], told[1:3]):
                for key, value in other.items():
                    assert mine[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


class Waits(TorchDispatchMode):
    """Counts what would let a host wait for a GPU: a number, or a shape, that depends on values."""

    names = ("_local_scalar_dense", "nonzero", "masked_select", "index.Tensor", "unique")

    def __init__(self, optimizer):
        super().__init__()
        self.optimizer, self.seen = optimizer, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        counts = [state["step"] for state in self.optimizer.state.values()]
        # Adam counts its steps in tensors of the host.
        is_adam = bool(args) and any(args[0] is count for count in counts)
        if not is_adam and any(one in name for one in self.names):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def test_only_the_log_waits_for_the_device(subtests):
    for name, case in CASES.items():
        with subtests.test(name=name):
            model, kept = learner(DevicePPO, *case), Kept()
            model.learn(STEPS * CARS, callback=kept)
            kept.init_callback(model)
            with Waits(model.policy.optimizer) as waits:
                model.collect_rollouts(model.env, kept, model.rollout_buffer, STEPS)
                assert waits.seen == []
                model.train()
            figures = 8  # of _log_update, one list after one copy
            assert set(waits.seen) <= {"aten._local_scalar_dense.default"}
            assert len(waits.seen) <= figures + 1


def test_a_callback_gets_the_episodes_with_the_last_step_of_a_rollout():
    model, kept = learner(DevicePPO, STATE, STEERING), Kept()
    model.learn(2 * STEPS * CARS, callback=kept)
    assert kept.infos == 2 * ([0] * (STEPS - 1) + [1])
    assert kept.steps == [CARS * step for step in range(1, 2 * STEPS + 1)]
    assert model.ep_info_buffer is not None
    assert [one["l"] for one in model.ep_info_buffer] == [3, 3]


def test_a_callback_ends_a_rollout_at_once():
    class Stop(BaseCallback):
        def _on_step(self):
            return self.num_timesteps < 5 * CARS

    model = learner(DevicePPO, STATE, STEERING)
    before = {name: one.clone() for name, one in model.policy.state_dict().items()}
    model.learn(10**6, callback=Stop())
    assert model.num_timesteps == 5 * CARS
    assert all(torch.equal(one, before[name]) for name, one in model.policy.state_dict().items())
