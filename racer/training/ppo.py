"""The parts of a learner that are racer's own: the features of its sensors, and a Huber loss."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from racer.networks.network_config import OBSERVATION_INPUT, NetworkLayers
from racer.networks.policy_network import sensor_encoders


class SensorFeaturesExtractor(BaseFeaturesExtractor):
    """Turns observations of one sensor, or a dict of several, into features (n, k).

    Images are (n, C, H, W) in [0, 1]. They are converted to the channels-last memory format, in
    which convolutions are faster. The features are float32 also where the layers compute in
    bfloat16.

    Args:
        observation_space: A box, or a dict of boxes; the shape of an image is (C, H, W).
        layers: The layers of the whole network.

    Attributes:
        parts: The layers for each sensor, by the name of an exported graph's input; see
            `racer.networks.policy_network.sensor_encoders`.
        is_autocast: Whether convolutions and dense layers compute in bfloat16.
    """

    is_autocast = False

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
        device = next(iter(given.values())).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.is_autocast):
            seen = [part(_to_channels_last(given[name])) for name, part in self.parts.items()]
        features = torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]
        return features.float()


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
