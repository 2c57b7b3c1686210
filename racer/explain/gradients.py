"""What a torch policy looked at, by captum. Imported only where torch is in use."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from racer.errors import ConfigError
from racer.explain.attribution import Moment
from racer.explain.network_policy import NetworkPolicy
from racer.explain.policy_output import command_ends

GRADIENT_STEPS = 24
"""Steps of the integral of integrated gradients."""
LEAST_CAM_ROWS = 6
"""Grad-CAM takes the last convolution whose output has this many rows; else the first one."""


class _Readings(nn.Module):
    """An actor whose output is what is explained: see `policy_output.readings`, (n, 2).

    Args:
        policy: The policy.
    """

    table: torch.Tensor
    has_range: torch.Tensor

    def __init__(self, policy: NetworkPolicy) -> None:
        super().__init__()
        self.actor, self.is_discrete = policy.actor, policy.actions.kind == "discrete"
        low, high = command_ends(policy.actions)
        span = np.where(high > low, high - low, np.inf)
        table = np.zeros((1, 2))
        if self.is_discrete:
            every = policy.actions.command(np.arange(len(policy.actions.choices)))
            table = (every - low) / span
        self.register_buffer("table", torch.as_tensor(table, dtype=torch.float32))
        has_range = torch.as_tensor(high > low, dtype=torch.float32)
        self.register_buffer("has_range", has_range)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return steering and speed in shares of their ranges, (n, 2)."""
        out = self.actor(*inputs)
        scores = out[0] if isinstance(out, tuple) else out
        if self.is_discrete:
            return scores.softmax(dim=1) @ self.table
        return (scores + 1.0) * 0.5 * self.has_range


def gradients_map(
    policy: NetworkPolicy, moment: Moment, name: str, reference: np.ndarray
) -> np.ndarray:
    """Return the integrated gradients of one sensor's observation, with its shape and >= 0.

    They are integrated from `reference` to the observation (Sundararajan et al. 2017). Those of
    steering and of speed, in shares of their ranges, are joined to the length of both.

    Args:
        policy: The policy.
        moment: The moment.
        name: Name of the sensor's input.
        reference: Where the integral begins, with the observation's shape.
    """
    from captum.attr import IntegratedGradients

    given, place = _given(policy, moment, name), policy.actor.names.index(name)
    seen = given[place]
    rest = given[:place], given[place + 1 :]
    model = _Readings(policy)

    def read(changed: torch.Tensor) -> torch.Tensor:
        n = len(changed)
        before, after = ([one.expand(n, *one.shape[1:]) for one in part] for part in rest)
        return model(*before, changed, *after)

    method = IntegratedGradients(read)
    baseline = torch.as_tensor(reference[None].astype(np.float32))
    parts = [
        method.attribute(seen, baseline, target=target, n_steps=GRADIENT_STEPS)
        for target in range(2)
    ]
    return torch.stack(parts).norm(dim=0)[0].detach().numpy().astype(np.float64)


def grad_cam_map(policy: NetworkPolicy, moment: Moment, name: str) -> np.ndarray:
    """Return the Grad-CAM of one camera, (H, W) >= 0, enlarged bilinearly.

    It is the size of the map, not its positive part: a pixel that turns the car to the right counts
    as one that turns it to the left.

    Args:
        policy: The policy.
        moment: The moment.
        name: Name of the camera's input.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    given, height = _given(policy, moment, name), moment.observation[name].shape[:2]
    layer = _cam_layer(policy, name, given)
    method = LayerGradCam(_Readings(policy), layer)
    parts = [method.attribute(tuple(given), target=target) for target in range(2)]
    size = torch.stack([part for part in parts if isinstance(part, torch.Tensor)]).norm(dim=0)
    found = LayerAttribution.interpolate(size, tuple(height), "bilinear")
    return found[0, 0].detach().numpy().astype(np.float64)


def _given(policy: NetworkPolicy, moment: Moment, name: str) -> list[torch.Tensor]:
    """Return the inputs of one moment, (1, ...); the one of `name` in float32."""
    given = [torch.as_tensor(moment.observation[each][None]) for each in policy.actor.names]
    place = policy.actor.names.index(name)
    given[place] = given[place].float().requires_grad_(True)
    if policy.hidden_state_size:
        given.append(torch.as_tensor(moment.hidden_state[None]))
    return given


def _cam_layer(policy: NetworkPolicy, name: str, given: list[torch.Tensor]) -> nn.Module:
    """Return the convolution that Grad-CAM takes.

    Raises:
        ConfigError: The sensor's layers have no convolution.
    """
    part = policy.actor.sensors[policy.actor.names.index(name)]
    layers = [layer for layer in part.modules() if isinstance(layer, nn.Conv2d)]
    if not layers:
        raise ConfigError(
            f"{policy.name} has no convolution for {name}; use --method integrated-gradients"
        )
    rows: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: rows.append(out.shape[2]))
        for layer in layers
    ]
    with torch.no_grad():
        policy.actor(*given)
    for hook in hooks:
        hook.remove()
    fine = [layer for layer, count in zip(layers, rows) if count >= LEAST_CAM_ROWS]
    return fine[-1] if fine else layers[0]
