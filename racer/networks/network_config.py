"""What a policy's network is made of, as plain numbers; `networks` builds it."""

from __future__ import annotations

from typing import Literal, NamedTuple

OBSERVATION_INPUT = "observation"
"""The name of a graph's input where it has one; of several each is called as its sensor."""
ACTION_OUTPUT = "action"
"""The name of a graph's output."""

ConvFilters = tuple[tuple[int, int, int], ...]


class NetworkLayers(NamedTuple):
    """The layers between what a policy sees and its heads."""

    filters: ConvFilters
    """An image's convolutions as number of filters, kernel and stride."""
    features: tuple[int, ...]
    """Widths of the dense layers after them."""
    mlp: tuple[int, ...] = ()
    """Widths of the dense layers after a lidar or other numbers; none hands them on as they are."""
    hidden: tuple[int, ...] = ()
    """Widths of the layers of each head."""
    activation: Literal["relu", "tanh"] = "relu"
    """After each layer."""
    batch_norm: bool = False
    """Whether a batch norm follows each convolution."""
    dropout: float = 0.0
    """Share of each of `features` that is dropped while it learns."""
    normalize_obs: bool = False
    """Whether a lidar's and other numbers are brought to mean 0 and variance 1 first."""


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
"""`small` learns on a laptop; the others are DeepRacer's SHALLOW, its NETWORK and its DEEP, whose
layers its public simulation lists. The share that DEEP drops is not among them: 0.3 is ours."""
