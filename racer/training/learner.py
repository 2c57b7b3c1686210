"""The algorithms of Stable-Baselines3 and sb3-contrib, built from a run's config.

Hyperparameters are passed on by their names. What differs between the algorithms stands here, and
the learner's state in `racer.training.checkpoint_content`.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.common.vec_env.base_vec_env import VecEnv
from stable_baselines3.sac.policies import SACPolicy

from racer.assets.processes import machine_memory_bytes
from racer.errors import ConfigError
from racer.gpu.device_ppo import DevicePPO
from racer.gpu.rollout_storage import DeviceRolloutStorage
from racer.networks.modules import ACTIVATIONS, DeterministicActor
from racer.networks.onnx_export import input_shapes
from racer.networks.policy_network import load_network
from racer.sensors import Observations
from racer.training.config import (
    Algorithm,
    AlgorithmConfig,
    OffPolicyConfig,
    PPOConfig,
    RunConfig,
)
from racer.training.device_vec_env import DeviceVecEnv
from racer.training.ppo import HuberPolicy, SensorFeaturesExtractor
from racer.training.rollout_buffer import rollout_buffer_class

POLICY_FIELDS = ("log_std_init", "lstm_hidden_size", "n_lstm_layers", "n_critics", "n_quantiles")
"""Hyperparameters that are arguments of the policy, not of the algorithm."""
OWN_FIELDS = ("learning_rate", "final_learning_rate", "normalize_reward", "value_loss")
"""Hyperparameters that racer turns into something else."""
TARGET_ENTROPY = -2.0
"""SAC's and TQC's `target_entropy: auto`: minus the dimension of the actions."""


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


def build_learner(config: RunConfig, env: VecEnv) -> BaseAlgorithm:
    """Return a learner with fresh weights, drawn from the config's seed.

    Args:
        config: The run.
        env: The environment that it learns in.

    Raises:
        ConfigError: An image is too small for the network's filters, the device is unknown, or a
            replay buffer does not fit into the memory.
    """
    torch.set_num_threads(config.torch_threads or os.cpu_count() or 1)
    learner, arguments = _learner_and_arguments(config, env.observation_space)
    if isinstance(env, DeviceVecEnv):
        learner, arguments["rollout_buffer_class"] = DevicePPO, DeviceRolloutStorage
    model = _with_policy(learner(env=env, _init_setup_model=False, **arguments))
    for features in model.policy.modules():
        if isinstance(features, SensorFeaturesExtractor):
            features.is_autocast = config.torch_autocast
            if config.torch_compile:
                # In place, so that the names of the weights stay what checkpoints have.
                for part in features.parts.values():
                    part.compile()
    return model


def build_learner_without_env(
    config: RunConfig, observation_space: spaces.Space, action_space: spaces.Space
) -> BaseAlgorithm:
    """Return a learner as `build_learner` does, but without an environment and for a single car.

    Args:
        config: The run.
        observation_space: The observations of one car; the shape of an image is (C, H, W).
        action_space: The actions of one car.

    Raises:
        ConfigError: As for `build_learner`.
    """
    learner, arguments = _learner_and_arguments(config, observation_space)
    model = learner(env=None, _init_setup_model=False, **arguments)
    model.observation_space, model.action_space = observation_space, action_space
    model.n_envs = 1
    return _with_policy(model)


def deterministic_actor(config: RunConfig, model: BaseAlgorithm) -> DeterministicActor:
    """Return the learner's policy without exploration and critic; it shares the weights.

    Args:
        config: The run.
        model: The learner.
    """
    return load_network(
        input_shapes(config.sensor),
        config.network.layers,
        config.actions,
        model.policy.state_dict(),
        config.actor_layout,
    ).actor()


def reset_lstm_states(model: BaseAlgorithm) -> None:
    """Let a recurrent policy forget what it saw, as every car starts a new episode."""
    for states in getattr(model, "_last_lstm_states", None) or ():
        for one in states:
            one.zero_()


def log_interval(model: BaseAlgorithm) -> int:
    """Return after how many rollouts, or episodes of a replay buffer, TensorBoard gets a point."""
    return model.n_envs if isinstance(model, OffPolicyAlgorithm) else 1


def newest_observations(model: BaseAlgorithm) -> Observations:
    """Return the observations of the rollout that has just ended, each array (steps, cars, ...)."""
    if not isinstance(model, OffPolicyAlgorithm):
        return model.rollout_buffer.observations  # pyright: ignore[reportAttributeAccessIssue]
    buffer, freq = model.replay_buffer, model.train_freq
    assert buffer is not None and isinstance(freq, TrainFreq)
    held: Any = buffer.observations
    rows = [(buffer.pos - back) % buffer.buffer_size for back in range(freq.frequency, 0, -1)]
    return {k: v[rows] for k, v in held.items()} if isinstance(held, dict) else held[rows]


def _learner_and_arguments(
    config: RunConfig, observation_space: spaces.Space
) -> tuple[type[Any], dict[str, Any]]:
    """Return the class of a run's learner, and its keyword arguments except the environment.

    Args:
        config: The run.
        observation_space: The observations of one car; the shape of an image is (C, H, W).

    Raises:
        ConfigError: The device is unknown, or a replay buffer does not fit into the memory.
    """
    chosen, layers = config.hyperparameters, config.network.layers
    fields = chosen.model_dump()
    hidden, name = list(layers.hidden), config.algorithm
    net_arch: Any = {"pi": hidden, "vf" if "ppo" in name else "qf": hidden}
    policy_kwargs: dict[str, Any] = {
        "net_arch": hidden if name == "qrdqn" else net_arch,
        "activation_fn": ACTIVATIONS[layers.activation],
        "features_extractor_class": SensorFeaturesExtractor,
        "features_extractor_kwargs": {"layers": layers},
        **{field: fields.pop(field) for field in POLICY_FIELDS if field in fields},
    }
    learner, policy = algorithm_classes(name)
    if isinstance(chosen, PPOConfig):
        if chosen.value_loss == "huber":
            policy, policy_kwargs["vf_coef"] = HuberPolicy, chosen.vf_coef
        fields["rollout_buffer_class"] = rollout_buffer_class(observation_space)
    if fields.get("target_entropy") == "auto":
        fields["target_entropy"] = TARGET_ENTROPY  # SB3 would ask an environment for it.
    if isinstance(chosen, OffPolicyConfig):
        _check_memory(f"{name}.buffer_size", chosen.buffer_size, observation_space)
    arguments = {
        "policy": policy,
        "learning_rate": _schedule(chosen),
        "policy_kwargs": policy_kwargs,
        "seed": config.seed,
        "device": pick_device(config.device),
    }
    return learner, arguments | {k: v for k, v in fields.items() if k not in OWN_FIELDS}


def algorithm_classes(name: Algorithm) -> tuple[type[BaseAlgorithm], type[BasePolicy]]:
    """Return the class of an algorithm, as a config names it, and of its policy."""
    if name == "ppo":
        return PPO, ActorCriticPolicy
    if name == "sac":
        return SAC, SACPolicy
    from sb3_contrib import QRDQN, TQC, RecurrentPPO
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
    from sb3_contrib.qrdqn.policies import QRDQNPolicy
    from sb3_contrib.tqc.policies import TQCPolicy

    return {
        "recurrent_ppo": (RecurrentPPO, RecurrentActorCriticPolicy),
        "tqc": (TQC, TQCPolicy),
        "qrdqn": (QRDQN, QRDQNPolicy),
    }[name]


def _check_memory(field: str, steps: int, observation_space: spaces.Space) -> None:
    """Check that a replay buffer fits into this machine's memory.

    Args:
        field: Name of the field in the config.
        steps: Steps that the buffer keeps.
        observation_space: The observations of one car.

    Raises:
        ConfigError: It does not.
    """
    seen = observation_space.sample()
    arrays = seen.values() if isinstance(seen, dict) else [seen]
    # Of each step, the observations before and after it are kept.
    size = 2 * steps * sum(one.nbytes for one in arrays)
    memory = machine_memory_bytes()
    if memory and size > memory:
        raise ConfigError(
            f"{field} {steps} takes {size / 1e9:.1f} GB, and this machine has {memory / 1e9:.1f} "
            "GB of memory; lower it"
        )


def _schedule(chosen: AlgorithmConfig) -> Any:
    """Return the learning rate, or a function of the share of training that is left.

    The share is negative in a last rollout that goes on beyond the total of steps. There the rate
    changes on, down to half of its final value or up to twice that.
    """
    first, last = chosen.learning_rate, chosen.final_learning_rate
    if last is None:
        return first
    least, most = min(first, last / 2), max(first, 2 * last)
    return lambda left: min(max(last + (first - last) * left, least), most)


def _with_policy(model: Any) -> BaseAlgorithm:
    """Give a model its policy and its buffer.

    Raises:
        ConfigError: An image is too small for the network's filters.
    """
    try:
        model._setup_model()
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    # On a CPU, convolutions are three times as fast in this memory format.
    model.policy.to(memory_format=torch.channels_last)
    return model
