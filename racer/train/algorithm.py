"""Stable-Baselines3's PPO, built from a run's config."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.errors import ConfigError, RunError
from racer.policy.networks import DeterministicActor, convolutions
from racer.train.config import NetworkConfig, RunConfig


class CameraFeatures(BaseFeaturesExtractor):
    """Frames in [0, 1], (n, C, H, W), to features, in channels-last memory."""

    def __init__(self, observation_space: spaces.Box, network: NetworkConfig) -> None:
        super().__init__(observation_space, network.features)
        channels, height, width = observation_space.shape
        self.layers = convolutions((channels, height, width), network.filters, network.features)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Features of shape (n, network.features)."""
        return self.layers(observations.contiguous(memory_format=torch.channels_last))


def pick_device(name: str) -> str:
    """`auto` is cuda where torch sees one.

    Raises:
        ConfigError: A device that torch does not have here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r}; known: auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: torch sees no GPU here; use auto or cpu")
    return name


def build(config: RunConfig, env: VecEnv) -> PPO:
    """A learner with fresh weights from the config's seed."""
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    ppo = config.ppo
    first, last = ppo.learning_rate, ppo.final_learning_rate
    rate: Any = first if last is None else lambda left: last + (first - last) * left
    hidden = list(config.network.hidden)
    policy: dict[str, Any] = {
        "net_arch": {"pi": hidden, "vf": hidden},
        "activation_fn": {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[config.network.activation],
        "log_std_init": ppo.log_std_init,
        "features_extractor_class": FlattenExtractor,
    }
    if len(config.sensor[0].space.shape) == 3:
        policy["features_extractor_class"] = CameraFeatures
        policy["features_extractor_kwargs"] = {"network": config.network}
    try:
        model = PPO(
            ActorCriticPolicy,
            env,
            learning_rate=rate,
            n_steps=ppo.n_steps,
            batch_size=ppo.batch_size,
            n_epochs=ppo.n_epochs,
            gamma=ppo.gamma,
            gae_lambda=ppo.gae_lambda,
            clip_range=ppo.clip_range,
            ent_coef=ppo.ent_coef,
            vf_coef=ppo.vf_coef,
            max_grad_norm=ppo.max_grad_norm,
            policy_kwargs=policy,
            seed=config.seed,
            device=pick_device(config.device),
        )
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    # Convolutions on a CPU are three times as fast in this layout.
    model.policy.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return model


def load(config: RunConfig, checkpoint: Any, env: VecEnv) -> PPO:
    """A learner with the weights of a checkpoint of the same config.

    Raises:
        RunError: The file is not a checkpoint of this config.
    """
    model = build(config, env)
    try:
        state = torch.load(checkpoint, map_location=model.device, weights_only=True)
        model.policy.load_state_dict(state["policy"])
        model.policy.optimizer.load_state_dict(state["optimizer"])
        model.num_timesteps = int(state["steps"])
    except Exception as problem:
        raise RunError(f"{checkpoint}: not a checkpoint of this run: {problem}") from problem
    return model


def actor(config: RunConfig, model: PPO) -> DeterministicActor:
    """The learner's policy without its noise and its critic, sharing its weights."""
    policy = model.policy
    features = policy.features_extractor
    return DeterministicActor(
        features.layers if isinstance(features, CameraFeatures) else torch.nn.Flatten(),
        policy.mlp_extractor.policy_net,
        policy.action_net,
        config.actions.kind,
    )


class TorchPolicy:
    """An actor as the judge calls a policy: numpy in, numpy out."""

    def __init__(self, actor: DeterministicActor, device: torch.device) -> None:
        self._actor, self._device = actor, device

    @torch.inference_mode()
    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Actions (1, ...) for observations (1, ...)."""
        return self._actor(torch.as_tensor(observation, device=self._device)).cpu().numpy()
