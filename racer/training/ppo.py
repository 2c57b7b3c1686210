"""Stable-Baselines3's PPO, built from a run's config."""

from __future__ import annotations

import os
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.errors import ConfigError
from racer.networks.modules import ACTIVATIONS, DeterministicActor
from racer.networks.network_config import OBSERVATION_INPUT, NetworkLayers
from racer.networks.policy_network import sensor_encoders
from racer.training.config import RunConfig
from racer.training.rollout_buffer import rollout_buffer_class


class SensorFeaturesExtractor(BaseFeaturesExtractor):
    """Turns observations of one sensor, or a dict of several, into features (n, k).

    Images are (n, C, H, W) in [0, 1]. They are converted to the channels-last memory format, in
    which convolutions are faster.

    Args:
        observation_space: A box, or a dict of boxes; the shape of an image is (C, H, W).
        layers: The layers of the whole network.

    Attributes:
        parts: The layers for each sensor, by the name of an exported graph's input; see
            `racer.networks.policy_network.sensor_encoders`.
    """

    def __init__(self, observation_space: spaces.Space, layers: NetworkLayers) -> None:
        several = isinstance(observation_space, spaces.Dict)
        boxes = observation_space.spaces if several else {OBSERVATION_INPUT: observation_space}
        shapes = {name: tuple(box.shape or ()) for name, box in boxes.items()}
        parts, width = sensor_encoders(shapes, layers)
        super().__init__(observation_space, width)
        self.parts = parts

    def forward(self, observations: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the features of all sensors concatenated, (n, k).

        Args:
            observations: Images (n, C, H, W) or numbers (n, k), or a dict of them by sensor name.
        """
        given = (
            observations if isinstance(observations, dict) else {OBSERVATION_INPUT: observations}
        )
        seen = [part(_to_channels_last(given[name])) for name, part in self.parts.items()]
        return torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]


def _to_channels_last(values: torch.Tensor) -> torch.Tensor:
    is_image = values.ndim == 4
    return values.contiguous(memory_format=torch.channels_last) if is_image else values


class HuberPolicy(ActorCriticPolicy):
    """An actor-critic policy whose critic minimizes the Huber loss instead of the squared error.

    The Huber loss is e^2 / 2 for an error |e| <= 1, and |e| - 1/2 beyond. Stable-Baselines3's PPO
    always computes the mean squared error, whose gradient by each predicted value is 2 e times
    `vf_coef` / n. Halved and clipped to `vf_coef` / n, it is the gradient of the Huber loss; a
    hook on the values' tensor does that. The value loss that PPO logs is still the squared error.

    Args:
        args: As for `ActorCriticPolicy`.
        vf_coef: The weight of the value loss, as given to PPO.
        kwargs: As for `ActorCriticPolicy`.
    """

    def __init__(self, *args: Any, vf_coef: float, **kwargs: Any) -> None:
        self._vf_coef = vf_coef
        super().__init__(*args, **kwargs)

    def evaluate_actions(
        self, obs: Any, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return values, log probabilities and entropies, as `ActorCriticPolicy` does.

        Args:
            obs: Observations (n, ...), or a dict of them.
            actions: Actions (n, ...).
        """
        values, log_prob, entropy = super().evaluate_actions(obs, actions)
        most = self._vf_coef / len(values)
        values.register_hook(lambda gradient: (gradient / 2).clamp(-most, most))
        return values, log_prob, entropy


def pick_device(name: str) -> str:
    """Return the device that a config names: `auto` is cuda if torch sees a GPU, else cpu.

    Raises:
        ConfigError: The name is unknown, or it is `cuda` and torch sees no GPU.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r}; known: auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: torch sees no GPU here; use auto or cpu")
    return name


def build_ppo(config: RunConfig, env: VecEnv) -> PPO:
    """Return a learner with fresh weights, drawn from the config's seed.

    Args:
        config: The run.
        env: The environment that it learns in.

    Raises:
        ConfigError: An image is too small for the network's filters, or the device is unknown.
    """
    torch.set_num_threads(config.torch_threads or os.cpu_count() or 1)
    return _with_policy(
        PPO(env=env, _init_setup_model=False, **_ppo_arguments(config, env.observation_space))
    )


def build_ppo_without_env(
    config: RunConfig, observation_space: spaces.Space, action_space: spaces.Space
) -> PPO:
    """Return a learner as `build_ppo` does, but without an environment and for a single car.

    Args:
        config: The run.
        observation_space: The observations of one car; the shape of an image is (C, H, W).
        action_space: The actions of one car.

    Raises:
        ConfigError: As for `build_ppo`.
    """
    arguments: Any = _ppo_arguments(config, observation_space)
    model = PPO(env=None, _init_setup_model=False, **arguments)  # pyright: ignore[reportArgumentType]
    model.observation_space, model.action_space = observation_space, action_space
    model.n_envs = 1
    return _with_policy(model)


def _with_policy(model: PPO) -> PPO:
    """Give a model its policy and its rollout buffer.

    Raises:
        ConfigError: An image is too small for the network's filters.
    """
    try:
        model._setup_model()
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    # On a CPU, convolutions are three times as fast in this memory format.
    model.policy.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return model


def _ppo_arguments(config: RunConfig, observation_space: spaces.Space) -> dict[str, Any]:
    """Return the keyword arguments of a run's `PPO`, except the environment.

    Args:
        config: The run.
        observation_space: The observations of one car; the shape of an image is (C, H, W).

    Raises:
        ConfigError: The device is unknown.
    """
    ppo, layers = config.ppo, config.network.layers
    first, last = ppo.learning_rate, ppo.final_learning_rate
    rate: Any = first if last is None else lambda left: last + (first - last) * left
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
    return {
        "policy": kind,
        "learning_rate": rate,
        "n_steps": ppo.n_steps,
        "batch_size": ppo.batch_size,
        "n_epochs": ppo.n_epochs,
        "gamma": ppo.gamma,
        "gae_lambda": ppo.gae_lambda,
        "clip_range": ppo.clip_range,
        "ent_coef": ppo.ent_coef,
        "vf_coef": ppo.vf_coef,
        "max_grad_norm": ppo.max_grad_norm,
        "rollout_buffer_class": rollout_buffer_class(observation_space),
        "policy_kwargs": policy,
        "seed": config.seed,
        "device": pick_device(config.device),
    }


def deterministic_actor(config: RunConfig, model: PPO) -> DeterministicActor:
    """Return the learner's policy without action noise and critic; it shares the weights.

    Args:
        config: The run.
        model: The learner.
    """
    policy = model.policy
    features = policy.features_extractor
    assert isinstance(features, SensorFeaturesExtractor)
    return DeterministicActor(
        dict(features.parts.items()),
        policy.mlp_extractor.policy_net,
        policy.action_net,
        config.actions.kind,
    )
