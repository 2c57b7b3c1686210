"""Behaviour cloning: supervised learning of a policy from demonstrations."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch

from racer.imitation.demonstrations import Demonstrations
from racer.networks.modules import NormalizeObs
from racer.networks.network_config import OBSERVATION_INPUT
from racer.sensors import Observations

CRITIC_PARAMETERS = ("mlp_extractor.value_net.", "value_net.")
"""Beginnings of the names of the parameters that the critic alone uses."""
BATCH_SIZE = 256
LEARNING_RATE, FINAL_LEARNING_RATE = 2e-3, 2e-5
"""Adam's learning rate for the first and the last minibatch; it falls linearly."""
EVALUATION_ROWS = 4096
"""Number of rows of which the loss is computed at once without a gradient."""


class CloningLoss(NamedTuple):
    """The mean negative log likelihood of the teacher's actions.

    Attributes:
        learnt: Over the pairs that the policy learnt from, while it did.
        held_out: Over the pairs that were held out.
        epochs: Number of passes over the pairs until the held-out loss was the lowest.
    """

    learnt: float
    held_out: float
    epochs: int


def clone_behaviour(
    policy: Any, demonstrations: Demonstrations, epochs: int, generator: np.random.Generator
) -> CloningLoss:
    """Raise the likelihood that a policy gives to the teacher's actions.

    The loss is the negative log likelihood under the policy's own distribution: for continuous
    actions a normal distribution, so that it is the squared error scaled and shifted; for discrete
    actions the cross-entropy. The policy keeps the weights with the lowest loss over the pairs that
    are held out. Neither the critic nor the standard deviation learns: the later training explores
    with it. Its optimizer stays new.

    Args:
        policy: Stable-Baselines3's actor-critic policy.
        demonstrations: The demonstrations.
        epochs: Number of passes over the demonstrations.
        generator: Shuffles the minibatches.
    """
    seen, actions = _on_device(demonstrations, policy.device)
    learnt = np.flatnonzero(~demonstrations.is_held_out)
    held_out = np.flatnonzero(demonstrations.is_held_out)
    _normalize(policy, seen, learnt)
    parameters = [
        parameter
        for name, parameter in policy.named_parameters()
        if not name.startswith((*CRITIC_PARAMETERS, "log_std"))
    ]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    minibatches = max(1, round(len(learnt) / BATCH_SIZE))
    schedule = torch.optim.lr_scheduler.LinearLR(
        optimizer, 1.0, FINAL_LEARNING_RATE / LEARNING_RATE, epochs * minibatches
    )
    best, weights = CloningLoss(float("inf"), float("inf"), 0), policy.state_dict()
    for epoch in range(1, epochs + 1):
        policy.set_training_mode(True)
        order, total = generator.permutation(learnt), 0.0
        for rows in np.array_split(order, minibatches):
            loss = _loss(policy, seen, actions, rows)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        with torch.no_grad():
            policy.set_training_mode(False)
            held = _mean_loss(policy, seen, actions, held_out)
            if held < best.held_out:
                best = CloningLoss(total / len(learnt), held, epoch)
                weights = copy.deepcopy(policy.state_dict())
    policy.load_state_dict(weights)
    policy.set_training_mode(False)
    return best


def _loss(policy: Any, seen: Any, actions: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Return the mean negative log likelihood of some rows, a scalar."""
    index = torch.as_tensor(rows, device=actions.device)
    several = isinstance(seen, dict)
    chosen = {name: one[index] for name, one in seen.items()} if several else seen[index]
    distribution = policy.get_distribution(chosen)
    return -distribution.log_prob(actions[index]).mean()


def _mean_loss(policy: Any, seen: Any, actions: torch.Tensor, rows: np.ndarray) -> float:
    """Return the mean negative log likelihood of some rows, computed in parts."""
    parts = np.array_split(rows, max(1, -(-len(rows) // EVALUATION_ROWS)))
    total = sum(_loss(policy, seen, actions, part).item() * len(part) for part in parts)
    return total / len(rows)


def _on_device(demonstrations: Demonstrations, device: torch.device) -> tuple[Any, torch.Tensor]:
    """Return observations and actions as tensors on a device."""

    def placed(values: Observations) -> Any:
        if isinstance(values, dict):
            return {name: placed(one) for name, one in values.items()}
        return torch.as_tensor(np.ascontiguousarray(values), device=device)

    return placed(demonstrations.observations), placed(demonstrations.actions)


def _normalize(policy: Any, seen: Any, rows: np.ndarray) -> None:
    """Give the network's layers that normalize observations the mean and variance of some rows."""
    given = seen if isinstance(seen, dict) else {OBSERVATION_INPUT: seen}
    index = torch.as_tensor(rows)
    for name, part in policy.features_extractor.parts.items():
        for layer in part.modules():
            if isinstance(layer, NormalizeObs):
                layer.update(given[name][index.to(given[name].device)])
