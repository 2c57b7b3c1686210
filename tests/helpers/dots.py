"""A small world that PPO learns on the host and on the device, and the learners of both."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecEnv
from torch import distributed

from racer.gpu.device_ppo import DevicePPO, DrivenStep
from racer.gpu.gradient_averaging import average_gradients
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
            infos[car] = {
                "terminal_observation": row,
                "TimeLimit.truncated": is_cut_off[car].item(),
            }
        return to_numpy(seen), rewards.numpy(), dones.numpy(), infos

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        return [None] * CARS

    def set_attr(self, attr_name, value, indices=None):
        raise NotImplementedError

    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * CARS


class DeviceDots(HostDots):
    """The dots for a learner on their device; observations are written over."""

    min_cut_off_steps = Dots.max_episode_steps

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


def dots_learner(kind: type[PPO], seen: Any, actions: Any, huber: bool = False) -> Any:
    """Return a PPO of one of the two kinds that learns to push dots."""
    env = (DeviceDots if kind is DevicePPO else HostDots)(Dots(seen, actions))
    policy_kwargs: dict[str, Any] = {
        "net_arch": {"pi": [16], "vf": [16]},
        "features_extractor_class": SensorFeaturesExtractor,
        "features_extractor_kwargs": {"layers": LAYERS},
    }
    if huber:
        policy_kwargs["vf_coef"] = 0.5
    storage: dict[str, Any] = (
        {"rollout_buffer_class": DeviceRolloutStorage} if kind is DevicePPO else {}
    )
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


def random_samples(count: int) -> RolloutBufferSamples:
    """Return samples of numbers and steering, the same ones at each call."""
    rng = np.random.default_rng(4)
    shapes = (3,), (2,), (), (), (), ()
    return RolloutBufferSamples(
        *(torch.from_numpy(rng.normal(size=(count, *one)).astype(np.float32)) for one in shapes)
    )


def learn_with_others(rank: int, world: int, folder: Path) -> None:
    """Be one of several processes that learn together, and write what came out into a folder.

    Args:
        rank: Number of this process.
        world: How many there are.
        folder: Where they meet; it gets the file `RANK.pt`.
    """
    torch.set_num_threads(1)
    meeting = f"file://{folder / 'meeting'}"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    model = dots_learner(DevicePPO, STATE, STEERING)
    both = random_samples(64)
    mine = RolloutBufferSamples(*(one.chunk(world)[rank] for one in both))
    loss, _ = model._loss(mine, 0.2)
    loss.backward()
    parameters = list(model.policy.parameters())
    average_gradients(parameters)
    gradients = [one.grad.clone() for one in parameters]
    torch.manual_seed(rank)  # Each process's cars do something else.
    model.learn(2 * STEPS * CARS)
    torch.save([gradients, list(model.policy.state_dict().values())], folder / f"{rank}.pt")
    distributed.destroy_process_group()
