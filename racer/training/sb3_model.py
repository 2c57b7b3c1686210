"""A run's checkpoint as a model of Stable-Baselines3."""

from __future__ import annotations

import io
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.networks.network_config import NETWORK_PRESETS, NetworkLayers
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.checkpoint_content import load_learner, unpack_checkpoint
from racer.training.config import OffPolicyConfig, OnPolicyConfig, RunConfig
from racer.training.learner import build_learner_without_env
from racer.training.run_dir import Run
from racer.training.vec_env import channels_first_space

RACER_POLICY_KWARGS = ("features_extractor_class", "features_extractor_kwargs")
"""Keyword arguments of the policy that name a class of racer."""


def as_sb3_model(
    run: Run, checkpoint: CheckpointChoice = "best", env: VecEnv | None = None
) -> BaseAlgorithm:
    """Return a checkpoint's learner as a model that Stable-Baselines3 can save and load.

    If Stable-Baselines3's own classes can build PPO's network (see `_plain_kwargs`), the policy
    consists of them. Otherwise racer must be installed wherever the saved model is loaded. A replay
    buffer is empty.

    Args:
        run: The run.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.
        env: The environment in which the model will learn; None for none.

    Raises:
        RunError: There is no such checkpoint, or it does not fit the run.
        ValueError: `env` has other spaces than the run's.
    """
    config, model = _load_learner_of_run(run, run.checkpoint(checkpoint).name)
    for field, size in _memory_sizes(config).items():
        setattr(model, field, size)
    if config.algorithm == "ppo":
        model.rollout_buffer_class = None
        plain = _plain_kwargs(model.observation_space, config.network.layers)
        if plain is not None:
            usual = {
                name: value
                for name, value in model.policy_kwargs.items()
                if name not in RACER_POLICY_KWARGS
            }
            _rebuild(model, usual | plain)
    saved = io.BytesIO()
    model.save(saved)
    saved.seek(0)
    return type(model).load(saved, env=env, device="cpu")


def _memory_sizes(config: RunConfig) -> dict[str, int]:
    """Return the hyperparameters on which the size of the learner's buffer depends."""
    chosen = config.hyperparameters
    if isinstance(chosen, OnPolicyConfig):
        return {"n_steps": chosen.n_steps, "batch_size": chosen.batch_size}
    assert isinstance(chosen, OffPolicyConfig)
    return {"buffer_size": chosen.buffer_size}


def _load_learner_of_run(run: Run, file: str) -> tuple[RunConfig, Any]:
    """Return a run's config, and the learner of one of its checkpoints, on the CPU.

    The learner has the weights, the optimizer and the counts of the checkpoint. It has no
    environment, and the smallest buffer that its algorithm accepts.

    Args:
        run: The run.
        file: The name of the checkpoint's file.

    Raises:
        RunError: The checkpoint cannot be read or does not fit the run.
    """
    config = run.config()
    # The learner is not trained here, so the smallest buffer that its algorithm accepts is enough.
    least = config.hyperparameters.model_copy(update=dict.fromkeys(_memory_sizes(config), 2))
    small = config.model_copy(update={"device": "cpu", config.algorithm: least})
    boxes: dict[str, spaces.Space] = {one.name: one.space for one in config.sensor}
    space = spaces.Dict(boxes) if len(boxes) > 1 else config.sensor[0].space
    model = build_learner_without_env(small, channels_first_space(space), config.actions.space())
    source = str(run.checkpoints / file)
    state = unpack_checkpoint(run.saved.read(file), source, model.device)
    load_learner(model, state | {"replay_buffer": None}, source)
    return config, model


def _plain_kwargs(space: spaces.Space, layers: NetworkLayers) -> dict[str, Any] | None:
    """Return the policy's keyword arguments that build the same network without racer's classes.

    Stable-Baselines3 has the same layers in two cases: for numbers that are passed to the heads
    unchanged, and for one image with the convolutions of the `shallow` preset.

    Args:
        space: The observations of one car; the shape of an image is (C, H, W).
        layers: The layers of the network.

    Returns:
        The keyword arguments; None if Stable-Baselines3 has no such network.
    """
    if not isinstance(space, spaces.Box):
        return None
    if len(space.shape) == 1:
        return None if layers.mlp or layers.normalize_obs else {}
    own = layers.filters, layers.activation, layers.batch_norm, layers.dropout
    if (
        own == (NETWORK_PRESETS["shallow"].filters, "relu", False, 0.0)
        and len(layers.features) == 1
    ):
        width = {"features_dim": layers.features[0]}
        return {"features_extractor_class": NatureCNN, "features_extractor_kwargs": width}
    return None


def _rebuild(model: Any, kwargs: dict[str, Any]) -> None:
    """Replace a model's policy by a new one with the same weights, optimizer state and layers.

    Args:
        model: The model.
        kwargs: The keyword arguments of the new policy, whose parameters have the same order.
    """
    before = model.policy
    assert isinstance(before, ActorCriticPolicy)
    model.policy_kwargs = kwargs
    spaces = model.observation_space, model.action_space
    after = type(before)(*spaces, model.lr_schedule, **kwargs)  # pyright: ignore[reportArgumentType]
    names, values = after.state_dict(), before.state_dict().values()
    after.load_state_dict(dict(zip(names, values, strict=True)))
    after.optimizer.load_state_dict(before.optimizer.state_dict())
    model.policy = after
