"""The layers of a policy's network as plain numbers, and presets of them.

`racer.networks.policy_network` builds the torch modules. This module does not import torch.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

OBSERVATION_INPUT = "observation"
"""Name of the ONNX graph's input if there is one sensor; of several, each has its sensor's name."""
ACTION_OUTPUT = "action"
"""Name of the ONNX graph's output."""
COMMAND_OUTPUT = "command"
"""Name of the output of a graph that returns commands in rad and m/s instead of actions."""
HIDDEN_STATE_INPUT = "hidden_state"
"""Name of the ONNX graph's input for what a recurrent policy remembers from its last step."""
HIDDEN_STATE_OUTPUT = "next_hidden_state"
"""Name of the ONNX graph's output for what it remembers for its next step."""

ConvFilters = tuple[tuple[int, int, int], ...]
"""Convolutions, each as the number of filters, the kernel size [px] and the stride [px]."""


class NetworkLayers(NamedTuple):
    """The layers of a policy's network.

    Each sensor has layers of its own. Their outputs are concatenated, and are the input of two
    heads: the policy and the critic.

    Attributes:
        filters: Camera: the convolutions.
        features: Camera: widths of the dense layers after the convolutions.
        mlp: Lidar and state: widths of the dense layers; empty to pass the numbers to the heads
            unchanged.
        hidden: Widths of the hidden layers of each head.
        activation: Activation function after each layer, except the output layers of the heads.
        batch_norm: Camera: whether a batch norm follows each convolution.
        dropout: Camera: probability of dropout after each layer of `features`, 0 to 1.
        normalize_obs: Lidar and state: whether each number is first scaled to mean 0 and
            variance 1.
    """

    filters: ConvFilters
    features: tuple[int, ...]
    mlp: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    activation: Literal["relu", "tanh"] = "relu"
    batch_norm: bool = False
    dropout: float = 0.0
    normalize_obs: bool = False


class ActorLayout(NamedTuple):
    """The kind of a policy's last layers, which its algorithm determines.

    Attributes:
        algorithm: The algorithm, as `algorithm` in a run's config names it.
        lstm: Units of each LSTM layer between the features and the head of a recurrent policy.
        n_quantiles: QR-DQN: quantiles of each action's return.
    """

    algorithm: str = "ppo"
    lstm: tuple[int, ...] = ()
    n_quantiles: int = 1

    @property
    def hidden_state_size(self) -> int:
        """Numbers that a recurrent policy remembers: h and c of each LSTM layer; 0 for none."""
        return 2 * sum(self.lstm)


NETWORK_PRESETS = {
    "small": NetworkLayers(
        filters=((16, 8, 4), (32, 4, 2), (32, 3, 2)),
        features=(128,),
        hidden=(128,),
    ),
    "shallow": NetworkLayers(
        filters=((32, 8, 4), (64, 4, 2), (64, 3, 1)),
        features=(512,),
        mlp=(256, 256),
    ),
    "standard": NetworkLayers(
        filters=((32, 5, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1)),
        features=(64,),
        mlp=(256, 256),
        hidden=(512,),
        activation="tanh",
    ),
    "deep": NetworkLayers(
        filters=((32, 8, 4), (32, 4, 2), (64, 4, 2), (64, 3, 1)),
        features=(512, 512),
        mlp=(256, 256),
        hidden=(256, 128),
        batch_norm=True,
        dropout=0.3,
    ),
}
"""The layers of each preset. `small` is for training on a laptop. `shallow`, `standard` and `deep`
are DeepRacer's DEEP_CONVOLUTIONAL_NETWORK_SHALLOW, DEEP_CONVOLUTIONAL_NETWORK and
DEEP_CONVOLUTIONAL_NETWORK_DEEP, with the layers in its public source code. Only the dropout of
`deep` is not given there; 0.3 is racer's choice."""
