"""Statistics of the observations, for networks that normalize them."""

from __future__ import annotations

import torch
from stable_baselines3.common.callbacks import BaseCallback

from racer.networks.modules import NormalizeObs
from racer.networks.network_config import OBSERVATION_INPUT
from racer.training.learner import newest_observations
from racer.training.ppo import SensorFeaturesExtractor


class NormalizeCallback(BaseCallback):
    """Updates the network's mean and variance of the observations after each rollout.

    Actor, critic and target networks that have features of their own get the same statistics.
    """

    def _on_training_start(self) -> None:
        self._layers = [
            (name, layer)
            for features in self.model.policy.modules()
            if isinstance(features, SensorFeaturesExtractor)
            for name, part in features.parts.items()
            for layer in part.modules()
            if isinstance(layer, NormalizeObs)
        ]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if not self._layers:
            return
        seen = newest_observations(self.model)
        given = seen if isinstance(seen, dict) else {OBSERVATION_INPUT: seen}
        for name, layer in self._layers:
            # (steps, cars, k) to (steps x cars, k).
            values = given[name].reshape(-1, given[name].shape[-1])
            layer.update(torch.as_tensor(values, device=self.model.device))
