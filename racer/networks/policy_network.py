"""The network of a policy: built from a config, and filled with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from racer.car.action_space import ActionSpace
from racer.networks.modules import (
    DeterministicActor,
    LSTMStep,
    MeanQuantiles,
    dense_layers,
    sensor_encoder,
)
from racer.networks.network_config import OBSERVATION_INPUT, ActorLayout, NetworkLayers
from racer.sensors import Observations

PPO_LAYOUT = ActorLayout()
"""The last layers of a policy that PPO trains."""
_PLACES = {
    "ppo": ("features_extractor.", "mlp_extractor.policy_net.", "action_net."),
    "recurrent_ppo": ("features_extractor.", "mlp_extractor.policy_net.", "action_net."),
    "sac": ("actor.features_extractor.", "actor.latent_pi.", "actor.mu."),
    "tqc": ("actor.features_extractor.", "actor.latent_pi.", "actor.mu."),
    "qrdqn": ("quantile_net.features_extractor.", "quantile_net.quantile_net.", ""),
}
"""Prefixes of the parameters of a policy's features, head and last layer in the state dict of the
policy that Stable-Baselines3 or sb3-contrib trains, by the algorithm. The other parameters there
are the critic's, the action noise's and the target networks'. QR-DQN's last layer is the last one
of its head."""


def policy_parameters(layers: NetworkLayers, layout: ActorLayout = PPO_LAYOUT) -> dict[str, str]:
    """Return the prefixes of the learner's parameters that act, and a `PolicyNetwork`'s for each.

    Args:
        layers: The layers.
        layout: The kind of the policy's last layers.
    """
    features, head, last = _PLACES[layout.algorithm]
    # Each hidden layer of the head has a place for its weights and one for its activation.
    last = last or f"{head}{2 * len(layers.hidden)}."
    own = {last: "action_net.", features: "features_extractor.", head: "mlp_extractor.policy_net."}
    return own | ({"lstm_actor.": "lstm_actor."} if layout.lstm else {})


class PolicyNetwork(nn.Module):
    """The layers of a policy that act, without the critic and the action noise.

    Its parameters have the names and shapes that they have in the state dict of a policy that
    Stable-Baselines3's PPO trains (see `racer.training.learner`).

    Args:
        shapes: Shape of one observation of each sensor, by the name of the graph's input: an image
            as the environment gives it, (H, W, C), or numbers, (k,).
        layers: The layers.
        actions: The action space.
        layout: The kind of the last layers.

    Raises:
        ValueError: An image is too small for the filters.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        layers: NetworkLayers,
        actions: ActionSpace,
        layout: ActorLayout = PPO_LAYOUT,
    ) -> None:
        super().__init__()
        parts, width = sensor_encoders(
            {name: channels_first(shape) for name, shape in shapes.items()}, layers
        )
        self.lstm_actor = None
        if layout.lstm:
            self.lstm_actor = nn.LSTM(width, layout.lstm[0], len(layout.lstm))
            width = layout.lstm[0]
        head = nn.Sequential(*dense_layers(width, layers.hidden, layers.activation))
        width = (width, *layers.hidden)[-1]
        outputs = len(actions.choices) if actions.kind == "discrete" else 2
        self.features_extractor = nn.ModuleDict({"parts": parts})
        self.mlp_extractor = nn.ModuleDict({"policy_net": head})
        self.action_net = nn.Linear(width, outputs * layout.n_quantiles)
        self._kind, self._layout = actions.kind, layout

    def actor(self) -> DeterministicActor:
        """Return the policy from an observation to its action; it shares these layers."""
        parts, head = self.features_extractor["parts"], self.mlp_extractor["policy_net"]
        assert isinstance(parts, nn.ModuleDict)
        action: nn.Module = self.action_net
        if self._layout.algorithm in ("sac", "tqc"):
            action = nn.Sequential(action, nn.Tanh())
        elif self._layout.algorithm == "qrdqn":
            action = nn.Sequential(action, MeanQuantiles(self._layout.n_quantiles))
        lstm = LSTMStep(self.lstm_actor) if self.lstm_actor else None
        return DeterministicActor(dict(parts.items()), head, action, self._kind, lstm)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the best action; see `DeterministicActor`."""
        return self.actor()(*inputs)


def build_network(
    shapes: Mapping[str, tuple[int, ...]],
    layers: NetworkLayers,
    actions: ActionSpace,
    layout: ActorLayout = PPO_LAYOUT,
) -> PolicyNetwork:
    """Return a policy's network with fresh weights from torch's generator.

    Args:
        shapes: Shape of one observation of each sensor, by the name of the graph's input: an image
            (H, W, C) or numbers (k,); `racer.networks.onnx_export.input_shapes` returns them.
        layers: The layers.
        actions: The action space.
        layout: The kind of the last layers.

    Raises:
        ValueError: An image is too small for the filters.
    """
    network = PolicyNetwork(shapes, layers, actions, layout)
    # Convolutions on a CPU are three times as fast in this layout.
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def load_network(
    shapes: Mapping[str, tuple[int, ...]],
    layers: NetworkLayers,
    actions: ActionSpace,
    weights: Mapping[str, torch.Tensor],
    layout: ActorLayout = PPO_LAYOUT,
) -> PolicyNetwork:
    """Return a policy's network in evaluation mode, with the weights of a trained policy.

    No random number is drawn.

    Args:
        shapes: As for `build_network`.
        layers: The layers.
        actions: The action space.
        weights: State dict of the policy that Stable-Baselines3 trained. The network holds these
            tensors themselves, on their device.
        layout: The kind of the last layers.

    Raises:
        ValueError: An image is too small for the filters.
        RuntimeError: The weights belong to another network.
    """
    with torch.device("meta"):  # Layers without memory: their first weights would be thrown away.
        network = build_network(shapes, layers, actions, layout)
    own = policy_parameters(layers, layout)
    held = {}
    for name, one in weights.items():
        # The last layer of QR-DQN is inside its head, so the first prefix that fits counts.
        if prefix := next((there for there in own if name.startswith(there)), None):
            held[own[prefix] + name.removeprefix(prefix)] = one
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

    A recurrent policy remembers, for each of the n cars that it drives, what it saw since `reset`.

    Args:
        actor: The actor, in its evaluation mode.
        device: Where its weights are.

    Attributes:
        hidden_state_size: Numbers that it remembers from step to step; 0 for none.
    """

    def __init__(self, actor: DeterministicActor, device: torch.device) -> None:
        self._actor, self._device = actor, device
        self.hidden_state_size = actor.hidden_state_size
        self._hidden_state: torch.Tensor | None = None

    @torch.inference_mode()
    def __call__(self, observation: Observations) -> np.ndarray:
        """Return actions (n, ...) for observations (n, ...), or a dict of them by sensor name."""
        given = observation if isinstance(observation, dict) else {OBSERVATION_INPUT: observation}
        seen = [torch.as_tensor(given[name], device=self._device) for name in self._actor.names]
        if not self.hidden_state_size:
            return self._actor(*seen).cpu().numpy()
        if self._hidden_state is None:
            shape = len(seen[0]), self.hidden_state_size
            self._hidden_state = torch.zeros(shape, device=self._device)
        action, self._hidden_state = self._actor(*seen, self._hidden_state)
        return action.cpu().numpy()

    @torch.inference_mode()
    def reset(self, cars: np.ndarray | None = None) -> None:
        """Forget what was seen, as at the start of an episode.

        Args:
            cars: Which of the n cars start anew, (n,) bool; None for all.
        """
        if cars is None or self._hidden_state is None:
            self._hidden_state = None
        else:
            self._hidden_state[torch.as_tensor(cars, device=self._device)] = 0.0
