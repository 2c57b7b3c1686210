"""How many control steps a second a config trains at on this machine."""

from __future__ import annotations

import math
import time
from contextlib import closing
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from racer.training.config import (
    OffPolicyConfig,
    OnPolicyConfig,
    RunConfig,
    steps_of_full_batches,
)
from racer.training.learner import build_learner
from racer.training.training_env import is_for_device, make_training_env

BATCHES_OF_A_ROLLOUT = 2
"""Minibatches in a rollout while the rate is measured; a step costs the same in longer ones."""


class _Rate(BaseCallback):
    """Stops a training after some seconds, and counts from the beginning of its second rollout.

    Args:
        seconds: How long it counts [s].
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._starts: list[tuple[int, float]] = []

    def _on_rollout_start(self) -> None:
        self._starts.append((self.num_timesteps, time.perf_counter()))

    def _on_step(self) -> bool:
        counted = self._starts[1:]
        return len(counted) < 2 or counted[-1][1] - counted[0][1] < self._seconds

    @property
    def steps_per_s(self) -> float:
        """Control steps per second over the rollouts and updates that were counted."""
        (first, began), *_, (last, ended) = self._starts[1:]
        return (last - first) / (ended - began)


def training_rate(config: RunConfig, seconds: float = 3.0) -> float:
    """Return the control steps per second, over all cars, that a config trains at here.

    Rollouts and updates are made as in a training, with shorter rollouts where the cars are on the
    host, and nothing is written.
    Evaluations and checkpoints do not count.

    Args:
        config: The run.
        seconds: How long to count after a first rollout and update [s]; at least one more of both
            is made, however long they take.

    Raises:
        RacerError: The config cannot be used.
    """
    rate = _Rate(seconds)
    # On a device the host waits once a rollout, which would count more in shorter ones.
    short = config if is_for_device(config) else _with_short_rollouts(config)
    with closing(make_training_env(short, is_logged=False)) as env:
        env.seed(short.seed)
        build_learner(short, env).learn(2**31 - 1, callback=rate)
    return rate.steps_per_s


def _with_short_rollouts(config: RunConfig) -> RunConfig:
    """Return a config whose learner updates as often as another's for a step, but sooner."""
    chosen, cars = config.hyperparameters, config.num_envs
    changes: dict[str, Any] = {}
    if isinstance(chosen, OnPolicyConfig):
        least = math.ceil(BATCHES_OF_A_ROLLOUT * chosen.batch_size / cars)
        wanted = steps_of_full_batches(least, cars, chosen.batch_size)
        changes["n_steps"] = min(chosen.n_steps, wanted)
    elif isinstance(chosen, OffPolicyConfig):
        changes["learning_starts"] = min(chosen.learning_starts, chosen.batch_size)
    section = chosen.model_copy(update=changes)
    return config.model_copy(update={config.algorithm: section})
