"""A run's checkpoint as a model of Stable-Baselines3's own."""

from __future__ import annotations

import io
from typing import Any

from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.errors import RunError
from racer.networks.network_config import NETWORK_PRESETS, NetworkLayers
from racer.training.run_dir import Run
from racer.training.train import load_learner_of_run

RACER_POLICY_KWARGS = ("features_extractor_class", "features_extractor_kwargs")


def as_ppo(run: Run, steps: int | None = None, env: VecEnv | None = None) -> PPO:
    """Return a checkpoint's learner as a PPO that Stable-Baselines3 itself saves and loads.

    Its policy is made of Stable-Baselines3's classes alone where they can build the network; see
    `_plain`. Elsewhere racer must be importable where the saved model is loaded.

    Args:
        run: The run.
        steps: The steps after which the checkpoint was saved; None for the best one.
        env: What the model learns on from now on.

    Raises:
        RunError: There is no such checkpoint, or it does not fit the run.
        ValueError: `env` has other spaces than the run's.
    """
    config, model = load_learner_of_run(run, _file(run, steps))
    model.n_steps, model.batch_size = config.ppo.n_steps, config.ppo.batch_size
    model.rollout_buffer_class = None
    plain = _plain(model.observation_space, config.network.layers)
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
    return PPO.load(saved, env=env, device="cpu")


def _file(run: Run, steps: int | None) -> str:
    """The name of a checkpoint's file."""
    if steps is None:
        return run.best().name
    kept = {one.steps: one.file for one in run.saved.known()}
    if steps not in kept:
        has = ", ".join(map(str, kept)) or "none"
        raise RunError(f"{run.folder} has no checkpoint after {steps} steps; it has {has}")
    return kept[steps]


def _plain(space: spaces.Space, layers: NetworkLayers) -> dict[str, Any] | None:
    """The keywords that build the same network without a class of racer's; None: none do.

    Stable-Baselines3 has what stands before the heads of a policy in two cases: numbers that go
    straight to the heads, and one frame through the layers of the `shallow` preset.
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


def _rebuild(model: PPO, kwargs: dict[str, Any]) -> None:
    """Give a model a policy of other classes with the same weights, in the same order."""
    before = model.policy
    assert isinstance(before, ActorCriticPolicy)
    model.policy_kwargs = kwargs
    spaces = model.observation_space, model.action_space
    after = type(before)(*spaces, model.lr_schedule, **kwargs)  # pyright: ignore[reportArgumentType]
    names, values = after.state_dict(), before.state_dict().values()
    after.load_state_dict(dict(zip(names, values, strict=True)))
    after.optimizer.load_state_dict(before.optimizer.state_dict())
    model.policy = after
