"""Stable-Baselines3's PPO, built from a run's config."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.errors import ConfigError
from racer.networks.modules import ACTIVATIONS, DeterministicActor, sensor_encoder
from racer.networks.network_config import OBSERVATION_INPUT, NetworkLayers
from racer.sensors import Observations
from racer.training.config import RunConfig
from racer.training.rollout_buffer import rollout_buffer_class


class SensorFeaturesExtractor(BaseFeaturesExtractor):
    """Observations of one sensor, or a dict of several, to features (n, k).

    Frames come in [0, 1], (n, C, H, W), and go through the convolutions in channels-last memory.

    Attributes:
        parts: The layers for each sensor, by the name of an exported graph's input.
    """

    def __init__(self, observation_space: spaces.Space, layers: NetworkLayers) -> None:
        several = isinstance(observation_space, spaces.Dict)
        boxes = observation_space.spaces if several else {OBSERVATION_INPUT: observation_space}
        built = {
            name: sensor_encoder(tuple(box.shape or ()), layers) for name, box in boxes.items()
        }
        super().__init__(observation_space, sum(width for _, width in built.values()))
        self.parts = torch.nn.ModuleDict({name: part for name, (part, _) in built.items()})

    def forward(self, observations: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
        """Features of all sensors side by side."""
        given = (
            observations if isinstance(observations, dict) else {OBSERVATION_INPUT: observations}
        )
        seen = [part(_laid_out(given[name])) for name, part in self.parts.items()]
        return torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]


def _laid_out(values: torch.Tensor) -> torch.Tensor:
    is_image = values.ndim == 4
    return values.contiguous(memory_format=torch.channels_last) if is_image else values


class HuberPolicy(ActorCriticPolicy):
    """An actor-critic whose values learn by the Huber loss: past an error of 1 it grows linearly.

    PPO here takes the mean square error. Halved and clipped, its gradient in each value is the
    Huber loss's; the loss that is logged stays the square error.
    """

    def __init__(self, *args: Any, vf_coef: float, **kwargs: Any) -> None:
        self._vf_coef = vf_coef
        super().__init__(*args, **kwargs)

    def evaluate_actions(
        self, obs: Any, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """See `ActorCriticPolicy`."""
        values, log_prob, entropy = super().evaluate_actions(obs, actions)
        most = self._vf_coef / len(values)
        values.register_hook(lambda gradient: (gradient / 2).clamp(-most, most))
        return values, log_prob, entropy


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


def build_ppo(config: RunConfig, env: VecEnv) -> PPO:
    """A learner with fresh weights from the config's seed."""
    torch.set_num_threads(config.torch_threads or os.cpu_count() or 1)
    ppo = config.ppo
    first, last = ppo.learning_rate, ppo.final_learning_rate
    rate: Any = first if last is None else lambda left: last + (first - last) * left
    layers = config.network.layers
    hidden = list(layers.hidden)
    policy: dict[str, Any] = {
        "net_arch": {"pi": hidden, "vf": hidden},
        "activation_fn": ACTIVATIONS[layers.activation],
        "log_std_init": ppo.log_std_init,
        "features_extractor_class": SensorFeaturesExtractor,
        "features_extractor_kwargs": {"layers": layers},
    }
    kind = ActorCriticPolicy
    if ppo.value_loss == "huber":
        kind, policy["vf_coef"] = HuberPolicy, ppo.vf_coef
    try:
        model = PPO(
            kind,
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
            rollout_buffer_class=rollout_buffer_class(env.observation_space),
            policy_kwargs=policy,
            seed=config.seed,
            device=pick_device(config.device),
        )
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    # Convolutions on a CPU are three times as fast in this layout.
    model.policy.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return model


def deterministic_actor(config: RunConfig, model: PPO) -> DeterministicActor:
    """The learner's policy without its noise and its critic, sharing its weights."""
    policy = model.policy
    features = policy.features_extractor
    assert isinstance(features, SensorFeaturesExtractor)
    return DeterministicActor(
        dict(features.parts.items()),
        policy.mlp_extractor.policy_net,
        policy.action_net,
        config.actions.kind,
    )


class TorchPolicy:
    """An actor as the judge calls a policy: numpy in, numpy out."""

    def __init__(self, actor: DeterministicActor, device: torch.device) -> None:
        self._actor, self._device = actor, device

    @torch.inference_mode()
    def __call__(self, observation: Observations) -> np.ndarray:
        """Actions (1, ...) for observations (1, ...), or a dict of them by the sensors' names."""
        given = observation if isinstance(observation, dict) else {OBSERVATION_INPUT: observation}
        seen = [torch.as_tensor(given[name], device=self._device) for name in self._actor.names]
        return self._actor(*seen).cpu().numpy()
