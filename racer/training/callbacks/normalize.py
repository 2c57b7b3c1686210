"""Statistics of the observations, for networks that normalize them."""

from __future__ import annotations

import torch
from stable_baselines3.common.callbacks import BaseCallback

from racer.networks.modules import NormalizeObs
from racer.networks.network_config import OBSERVATION_INPUT
from racer.training.ppo import SensorFeaturesExtractor


class NormalizeCallback(BaseCallback):
    """Updates the network's mean and variance of the observations after each rollout."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        features = self.model.policy.features_extractor
        assert isinstance(features, SensorFeaturesExtractor)
        seen = self.model.rollout_buffer.observations  # pyright: ignore[reportAttributeAccessIssue]
        given = seen if isinstance(seen, dict) else {OBSERVATION_INPUT: seen}
        for name, part in features.parts.items():
            for layer in part.modules():
                if isinstance(layer, NormalizeObs):
                    # (steps, cars, k) to (steps x cars, k).
                    values = given[name].reshape(-1, given[name].shape[-1])
                    layer.update(torch.as_tensor(values, device=self.model.device))
