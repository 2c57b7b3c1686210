"""The torch modules of a policy. Imported only where torch is in use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def convolutions(
    shape: tuple[int, int, int], filters: Sequence[tuple[int, int, int]], features: int
) -> nn.Sequential:
    """Convolutions with ReLU, then one dense layer: frames (n, C, H, W) to (n, features).

    Args:
        shape: Channels, height and width of a frame.
        filters: Each convolution as number of filters, kernel and stride.
        features: Width of the dense layer.

    Raises:
        ValueError: The frame is too small for the filters.
    """
    layers: list[nn.Module] = []
    channels, height, width = shape
    for count, kernel, stride in filters:
        if min(height, width) < kernel:
            raise ValueError(
                f"a {shape[2]}x{shape[1]} frame is too small for the filters {tuple(filters)}: "
                f"{width}x{height} is left before a kernel of {kernel}"
            )
        layers += [nn.Conv2d(channels, count, kernel, stride), nn.ReLU()]
        channels = count
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    layers += [nn.Flatten(), nn.Linear(channels * height * width, features), nn.ReLU()]
    return nn.Sequential(*layers)


class DeterministicActor(nn.Module):
    """A whole policy for one observation as the environment gives it, ready for export.

    Input: a uint8 frame (1, H, W, C) or float32 numbers (1, k). Output: (1, 2) float32 within
    [-1, 1], or the index of the most likely action, (1,) int64.
    """

    def __init__(self, features: nn.Module, head: nn.Module, action: nn.Module, kind: str) -> None:
        super().__init__()
        self.features, self.head, self.action, self.kind = features, head, action, kind

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """The action that the policy holds best."""
        x = observation
        if x.dtype == torch.uint8:
            x = x.permute(0, 3, 1, 2).float() / 255.0
        out = self.action(self.head(self.features(x)))
        return out.argmax(dim=1) if self.kind == "discrete" else out.clamp(-1.0, 1.0)
