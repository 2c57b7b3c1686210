"""The torch modules of a policy. Imported only where torch is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from racer.car.action_space import ActionSpace
from racer.networks.network_config import NetworkLayers

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


def sensor_encoder(shape: tuple[int, ...], layers: NetworkLayers) -> tuple[nn.Sequential, int]:
    """Return the layers for one sensor, and the number of features that they output.

    Args:
        shape: (C, H, W) of an image, or (k,) of numbers.
        layers: The layers of the whole network.

    Raises:
        ValueError: The image is too small for the filters.
    """
    if len(shape) == 3:
        return image_encoder((shape[0], shape[1], shape[2]), layers), layers.features[-1]
    first = [NormalizeObs(shape[0])] if layers.normalize_obs else []
    dense = dense_layers(shape[0], layers.mlp, layers.activation)
    return nn.Sequential(nn.Flatten(), *first, *dense), (shape[0], *layers.mlp)[-1]


class NormalizeObs(nn.Module):
    """Scales numbers (n, k) to mean 0 and variance 1 over all the numbers that `update` was given.

    The mean and the variance are buffers, so they are saved and exported with the weights.
    """

    EPSILON = 1e-4
    """Added to the variance."""
    LARGEST = 10.0
    """Outputs are clipped to this many standard deviations."""
    mean: torch.Tensor
    var: torch.Tensor
    count: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the scaled numbers (n, k); mean and variance stay as they are."""
        scaled = (values - self.mean) / torch.sqrt(self.var + self.EPSILON)
        return scaled.clamp(-self.LARGEST, self.LARGEST)

    @torch.no_grad()
    def update(self, values: torch.Tensor) -> None:
        """Include further numbers (n, k) in mean and variance, by Chan's parallel algorithm."""
        n, before = len(values), self.count.clone()
        self.count += n
        off = values.mean(dim=0) - self.mean
        squares = self.var * before + values.var(dim=0, unbiased=False) * n
        self.var.copy_((squares + off**2 * before * n / self.count) / self.count)
        self.mean += off * n / self.count


def image_encoder(shape: tuple[int, int, int], layers: NetworkLayers) -> nn.Sequential:
    """Return convolutions and dense layers: images (n, C, H, W) to features (n, features[-1]).

    Args:
        shape: Channels, height and width of an image.
        layers: The layers of the whole network.

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
        # A convolution without padding.
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    flat = channels * height * width
    dense = dense_layers(flat, layers.features, layers.activation, layers.dropout)
    return nn.Sequential(*parts, nn.Flatten(), *dense)


def dense_layers(
    width: int, widths: Sequence[int], activation: str, dropout: float = 0.0
) -> list[nn.Module]:
    """Return linear layers, each followed by its activation and, if asked for, by dropout.

    Args:
        width: Number of inputs.
        widths: Number of outputs of each layer; without any, no layer is returned.
        activation: One of `ACTIVATIONS`.
        dropout: Share of each layer's outputs that is dropped in training, 0 to 1.
    """
    parts: list[nn.Module] = []
    for before, after in zip((width, *widths), widths):
        parts += [nn.Linear(before, after), ACTIVATIONS[activation]()]
        if dropout:
            parts.append(nn.Dropout(dropout))
    return parts


class LSTMStep(nn.Module):
    """One step of a stack of LSTM layers, computed by operators that every ONNX runtime has.

    What the layers remember is one array, (n, 2 x layers x units): h of each layer, then c of each.

    Args:
        lstm: The layers, all of the same number of units.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm
        self.hidden_state_size = 2 * lstm.num_layers * lstm.hidden_size

    def forward(
        self, features: torch.Tensor, hidden_state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output of the last layer, (n, units), and the next hidden state.

        Args:
            features: The input of the first layer, (n, k).
            hidden_state: What the layers remember, zeros at first.
        """
        layers, units = self.lstm.num_layers, self.lstm.hidden_size
        held = hidden_state.split(units, dim=1)
        hs, cs = list(held[:layers]), list(held[layers:])
        out = features
        for k in range(layers):
            weight_ih, weight_hh, bias_ih, bias_hh = (
                getattr(self.lstm, f"{name}_l{k}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            gates = nn.functional.linear(out, weight_ih, bias_ih)
            gates = gates + nn.functional.linear(hs[k], weight_hh, bias_hh)
            enter, forget, cell, leave = gates.split(units, dim=1)
            cs[k] = forget.sigmoid() * cs[k] + enter.sigmoid() * cell.tanh()
            out = hs[k] = leave.sigmoid() * cs[k].tanh()
        return out, torch.cat([*hs, *cs], dim=1)


class MeanQuantiles(nn.Module):
    """Turns the quantiles of each action's return, (n, quantiles x actions), into their mean.

    Args:
        n_quantiles: Number of quantiles.
    """

    def __init__(self, n_quantiles: int) -> None:
        super().__init__()
        self.n_quantiles = n_quantiles

    def forward(self, quantiles: torch.Tensor) -> torch.Tensor:
        """Return the mean return of each action, (n, actions)."""
        actions = quantiles.shape[1] // self.n_quantiles
        return quantiles.view(-1, self.n_quantiles, actions).mean(dim=1)


class DeterministicActor(nn.Module):
    """A whole policy, from an observation as the environment returns it to the best action.

    It can be exported. Input: for each sensor, in the order of `names`, a uint8 image (1, H, W, C)
    or float32 numbers (1, k). Output: (1, 2) float32 within [-1, 1], or the index of the best
    action, (1,) int64. A recurrent policy has one more input and output, its hidden state
    (1, `hidden_state_size`).

    Args:
        sensors: The layers for each sensor; their features are concatenated in this order.
        head: The layers that follow.
        action: The last layers; their output is bounded by clipping, or the largest is chosen.
        kind: `continuous` or `discrete`.
        lstm: The recurrent layers between features and head; None for none.

    Attributes:
        names: The sensors.
        hidden_state_size: Numbers that the policy remembers from step to step; 0 for none.
    """

    def __init__(
        self,
        sensors: Mapping[str, nn.Module],
        head: nn.Module,
        action: nn.Module,
        kind: str,
        lstm: LSTMStep | None = None,
    ) -> None:
        super().__init__()
        self.names = list(sensors)
        self.sensors = nn.ModuleList(sensors.values())
        self.head, self.action, self.kind, self.lstm = head, action, kind, lstm
        self.hidden_state_size = lstm.hidden_state_size if lstm else 0

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the best action, without noise; of a recurrent policy, its next state too."""
        seen = [part(_scaled(one)) for part, one in zip(self.sensors, inputs)]
        features = torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]
        if self.lstm is None:
            return self._act(features)
        features, hidden_state = self.lstm(features, inputs[-1])
        return self._act(features), hidden_state

    def _act(self, features: torch.Tensor) -> torch.Tensor:
        out = self.action(self.head(features))
        return out.argmax(dim=1) if self.kind == "discrete" else out.clamp(-1.0, 1.0)


def _scaled(observation: torch.Tensor) -> torch.Tensor:
    """Return an image (n, H, W, C) as (n, C, H, W) in [0, 1], and numbers as they are."""
    if observation.dim() == 4:
        return observation.permute(0, 3, 1, 2).float() / 255.0
    return observation


class CommandActor(nn.Module):
    """A whole policy for a program that knows no actions: it returns the command of the best one.

    Output: steering [rad], positive to the left, and speed [m/s], (1, 2) float32; of a recurrent
    policy, its next hidden state too.

    Args:
        actor: The policy; frames may be uint8 or float32, 0 to 255.
        actions: Its action space.
    """

    commands: torch.Tensor

    def __init__(self, actor: DeterministicActor, actions: ActionSpace) -> None:
        super().__init__()
        self.actor, self.is_discrete = actor, actions.kind == "discrete"
        each = np.arange(len(actions.choices)) if self.is_discrete else np.array([[-1, -1], [1, 1]])
        commands = torch.as_tensor(actions.command(each), dtype=torch.float32)
        self.register_buffer("commands", commands)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the command; of a recurrent policy, its next hidden state too."""
        out = self.actor(*inputs)
        return (self._command(out[0]), out[1]) if isinstance(out, tuple) else self._command(out)

    def _command(self, action: torch.Tensor) -> torch.Tensor:
        if self.is_discrete:
            return self.commands[action]
        low, high = self.commands[0], self.commands[1]
        return low + (action + 1.0) * 0.5 * (high - low)


class ExternalActor(nn.Module):
    """A module that was trained elsewhere; its output becomes an action, ready for export.

    Output: two numbers (1, 2) as float32 within [-1, 1], clipped as the environments clip them; or,
    where the module outputs a value for each choice (1, n), the index of the largest, (1,) int64.
    A recurrent module returns its next hidden state too, which is passed on.

    Args:
        module: The module.
        is_discrete: Whether the action space is discrete.
    """

    def __init__(self, module: nn.Module, is_discrete: bool) -> None:
        super().__init__()
        self.module, self.is_discrete = module, is_discrete

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the action; of a recurrent module, its next hidden state too."""
        out = self.module(*inputs)
        return (self._action(out[0]), out[1]) if isinstance(out, tuple) else self._action(out)

    def _action(self, out: torch.Tensor) -> torch.Tensor:
        if not self.is_discrete:
            return out.float().clamp(-1.0, 1.0)
        return out.argmax(dim=1) if out.is_floating_point() else out
