"""The network of a policy: built from a config, and filled with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from racer.car.action_space import ActionSpace
from racer.networks.modules import DeterministicActor, dense_layers, sensor_encoder
from racer.networks.network_config import OBSERVATION_INPUT, NetworkLayers
from racer.sensors import Observations

POLICY_PARAMETERS = ("features_extractor.", "mlp_extractor.policy_net.", "action_net.")
"""Prefixes of the parameters that act, as Stable-Baselines3's `ActorCriticPolicy` names them. The
other parameters of a checkpoint are the critic's, the action noise's, and the same features
extractor under two more names."""


class PolicyNetwork(nn.Module):
    """The layers of a policy that act, without the critic and the action noise.

    Its parameters have the names and shapes that they have in the state dict of the policy that
    Stable-Baselines3 trains (see `racer.training.ppo`).

    Args:
        shapes: Shape of one observation of each sensor, by the name of the graph's input: an image
            as the environment gives it, (H, W, C), or numbers, (k,).
        layers: The layers.
        actions: The action space.

    Raises:
        ValueError: An image is too small for the filters.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], layers: NetworkLayers, actions: ActionSpace
    ) -> None:
        super().__init__()
        parts, width = sensor_encoders(
            {name: channels_first(shape) for name, shape in shapes.items()}, layers
        )
        head = nn.Sequential(*dense_layers(width, layers.hidden, layers.activation))
        width = (width, *layers.hidden)[-1]
        outputs = len(actions.choices) if actions.kind == "discrete" else 2
        self.features_extractor = nn.ModuleDict({"parts": parts})
        self.mlp_extractor = nn.ModuleDict({"policy_net": head})
        self.action_net = nn.Linear(width, outputs)
        self._kind = actions.kind

    def actor(self) -> DeterministicActor:
        """Return the policy from an observation to its action; it shares these layers."""
        parts, head = self.features_extractor["parts"], self.mlp_extractor["policy_net"]
        assert isinstance(parts, nn.ModuleDict)
        return DeterministicActor(dict(parts.items()), head, self.action_net, self._kind)

    def forward(self, *observations: torch.Tensor) -> torch.Tensor:
        """Return the most likely action; see `DeterministicActor`."""
        return self.actor()(*observations)


def build_network(
    shapes: Mapping[str, tuple[int, ...]], layers: NetworkLayers, actions: ActionSpace
) -> PolicyNetwork:
    """Return a policy's network with fresh weights from torch's generator.

    Args:
        shapes: Shape of one observation of each sensor, by the name of the graph's input: an image
            (H, W, C) or numbers (k,); `racer.networks.onnx_export.input_shapes` returns them.
        layers: The layers.
        actions: The action space.

    Raises:
        ValueError: An image is too small for the filters.
    """
    network = PolicyNetwork(shapes, layers, actions)
    # Convolutions on a CPU are three times as fast in this layout.
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def load_network(
    shapes: Mapping[str, tuple[int, ...]],
    layers: NetworkLayers,
    actions: ActionSpace,
    weights: Mapping[str, torch.Tensor],
) -> PolicyNetwork:
    """Return a policy's network in evaluation mode, with the weights of a trained policy.

    No random number is drawn.

    Args:
        shapes: As for `build_network`.
        layers: The layers.
        actions: The action space.
        weights: State dict of the policy that Stable-Baselines3 trained. The network holds these
            tensors themselves, on their device.

    Raises:
        ValueError: An image is too small for the filters.
        RuntimeError: The weights belong to another network.
    """
    with torch.device("meta"):  # Layers without memory: their first weights would be thrown away.
        network = build_network(shapes, layers, actions)
    held = {name: one for name, one in weights.items() if name.startswith(POLICY_PARAMETERS)}
    network.load_state_dict(held, assign=True)
    return network.eval()


def sensor_encoders(
    shapes: Mapping[str, tuple[int, ...]], layers: NetworkLayers
) -> tuple[nn.ModuleDict, int]:
    """Return the layers of each sensor by its name, and the width of all features side by side.

    Args:
        shapes: Shape of one observation of each sensor: an image (C, H, W), or numbers (k,).
        layers: The layers.

    Raises:
        ValueError: An image is too small for the filters.
    """
    built = {name: sensor_encoder(shape, layers) for name, shape in shapes.items()}
    parts = nn.ModuleDict({name: part for name, (part, _) in built.items()})
    return parts, sum(width for _, width in built.values())


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape (C, H, W) of an image (H, W, C); any other shape as it is."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


class TorchPolicy:
    """An actor as an evaluation calls a policy: numpy in, numpy out.

    Args:
        actor: The actor, in its evaluation mode.
        device: Where its weights are.
    """

    def __init__(self, actor: DeterministicActor, device: torch.device) -> None:
        self._actor, self._device = actor, device

    @torch.inference_mode()
    def __call__(self, observation: Observations) -> np.ndarray:
        """Return actions (n, ...) for observations (n, ...), or a dict of them by sensor name."""
        given = observation if isinstance(observation, dict) else {OBSERVATION_INPUT: observation}
        seen = [torch.as_tensor(given[name], device=self._device) for name in self._actor.names]
        return self._actor(*seen).cpu().numpy()
