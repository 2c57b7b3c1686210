"""The torch modules of a policy. Imported only where torch is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from racer.networks.network_config import NetworkLayers

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


def sensor_encoder(shape: tuple[int, ...], layers: NetworkLayers) -> tuple[nn.Sequential, int]:
    """The layers for one sensor and the width of what they give.

    Args:
        shape: (C, H, W) of an image, or (k,) of numbers.
        layers: What they are made of.

    Raises:
        ValueError: The image is too small for the filters.
    """
    if len(shape) == 3:
        return image_encoder((shape[0], shape[1], shape[2]), layers), layers.features[-1]
    first = [NormalizeObs(shape[0])] if layers.normalize_obs else []
    dense = _dense(shape[0], layers.mlp, layers.activation)
    return nn.Sequential(nn.Flatten(), *first, *dense), (shape[0], *layers.mlp)[-1]


class NormalizeObs(nn.Module):
    """Brings numbers (n, k) to mean 0 and variance 1, as far as `take_in` has seen of them.

    What it knows is a part of the weights, so it is saved and exported with them.
    """

    LARGEST = 10.0
    """Standard deviations beyond which a number is cut off."""
    mean: torch.Tensor
    var: torch.Tensor
    count: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The numbers, brought there; the layer itself learns nothing here."""
        scaled = (values - self.mean) / torch.sqrt(self.var + 1e-4)
        return scaled.clamp(-self.LARGEST, self.LARGEST)

    @torch.no_grad()
    def take_in(self, values: torch.Tensor) -> None:
        """Count further numbers (n, k) in, by Chan's parallel algorithm."""
        n, before = len(values), self.count.clone()
        self.count += n
        off = values.mean(dim=0) - self.mean
        squares = self.var * before + values.var(dim=0, unbiased=False) * n
        self.var.copy_((squares + off**2 * before * n / self.count) / self.count)
        self.mean += off * n / self.count


def image_encoder(shape: tuple[int, int, int], layers: NetworkLayers) -> nn.Sequential:
    """Convolutions, then dense layers: images (n, C, H, W) to features (n, layers.features[-1]).

    Args:
        shape: Channels, height and width of an image.
        layers: What they are made of.

    Raises:
        ValueError: The image is too small for the filters.
    """
    parts: list[nn.Module] = []
    channels, height, width = shape
    for count, kernel, stride in layers.filters:
        if min(height, width) < kernel:
            raise ValueError(
                f"a {shape[2]}x{shape[1]} frame is too small for the filters {layers.filters}: "
                f"{width}x{height} is left before a kernel of {kernel}"
            )
        parts.append(nn.Conv2d(channels, count, kernel, stride))
        if layers.batch_norm:
            parts.append(nn.BatchNorm2d(count))
        parts.append(ACTIVATIONS[layers.activation]())
        channels = count
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    flat = channels * height * width
    dense = _dense(flat, layers.features, layers.activation, layers.dropout)
    return nn.Sequential(*parts, nn.Flatten(), *dense)


def _dense(
    width: int, widths: Sequence[int], activation: str, dropout: float = 0.0
) -> list[nn.Module]:
    parts: list[nn.Module] = []
    for before, after in zip((width, *widths), widths):
        parts += [nn.Linear(before, after), ACTIVATIONS[activation]()]
        if dropout:
            parts.append(nn.Dropout(dropout))
    return parts


class DeterministicActor(nn.Module):
    """A whole policy for one observation as the environment gives it, ready for export.

    Input: for each sensor, in the order of `names`, a uint8 image (1, H, W, C) or float32 numbers
    (1, k). Output: (1, 2) float32 within [-1, 1], or the index of the most likely action,
    (1,) int64.

    Args:
        sensors: The layers for each sensor; what they give is joined in this order.
        head: The layers that follow.
        action: The last layer.
        kind: `continuous` or `discrete`.
    """

    def __init__(
        self, sensors: Mapping[str, nn.Module], head: nn.Module, action: nn.Module, kind: str
    ) -> None:
        super().__init__()
        self.names = list(sensors)
        self.sensors = nn.ModuleList(sensors.values())
        self.head, self.action, self.kind = head, action, kind

    def forward(self, *observations: torch.Tensor) -> torch.Tensor:
        """The action that the policy holds best."""
        seen = [part(_scaled(one)) for part, one in zip(self.sensors, observations)]
        out = self.action(self.head(torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]))
        return out.argmax(dim=1) if self.kind == "discrete" else out.clamp(-1.0, 1.0)


def _scaled(observation: torch.Tensor) -> torch.Tensor:
    """An image (n, H, W, C) as (n, C, H, W) in [0, 1]; numbers as they are."""
    if observation.dtype == torch.uint8:
        return observation.permute(0, 3, 1, 2).float() / 255.0
    return observation


class ExternalActor(nn.Module):
    """Somebody's module with its answer made an action, ready for export.

    Output: two numbers (1, 2) as float32 within [-1, 1], as the environments clip them; or, where
    it values choices (1, n), the index of the best, (1,) int64.
    """

    def __init__(self, module: nn.Module, is_discrete: bool) -> None:
        super().__init__()
        self.module, self.is_discrete = module, is_discrete

    def forward(self, *observations: torch.Tensor) -> torch.Tensor:
        """The action."""
        out = self.module(*observations)
        if not self.is_discrete:
            return out.float().clamp(-1.0, 1.0)
        return out.argmax(dim=1) if out.is_floating_point() else out
