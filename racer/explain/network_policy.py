"""A checkpoint's network as an explained policy. Imported only where torch is in use."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch

from racer.car.action_space import ActionSpace
from racer.explain.entry_graph import random_weights
from racer.explain.policy_output import PolicyOutput
from racer.networks.modules import DeterministicActor
from racer.sensors import Sensors


class ScoringActor(DeterministicActor):
    """A policy that returns the values of its choices, or its actions before they are clipped."""

    def _act(self, features: torch.Tensor) -> torch.Tensor:
        return self.action(self.head(features))


class NetworkPolicy:
    """A torch policy as `ExplainedPolicy` describes it.

    Attributes:
        actor: Its layers, on the CPU and in evaluation mode.

    Args:
        actor: The policy.
        sensor: What it observes.
        actions: What its actions mean.
        name: Its name.
        deviation: Standard deviation of its actions in training, (2,); None if it has none.
    """

    has_scores = True

    def __init__(
        self,
        actor: DeterministicActor,
        sensor: Sensors,
        actions: ActionSpace,
        name: str,
        deviation: np.ndarray | None = None,
    ) -> None:
        parts = dict(zip(actor.names, actor.sensors))
        self.actor = ScoringActor(parts, actor.head, actor.action, actor.kind, actor.lstm).eval()
        self.name, self.sensor, self.actions = name, sensor, actions
        self.hidden_state_size = actor.hidden_state_size
        self._deviation = np.zeros(2) if deviation is None else deviation

    @torch.no_grad()
    def answer(self, inputs: Mapping[str, np.ndarray], hidden_state: np.ndarray) -> PolicyOutput:
        """See `ExplainedPolicy.answer`."""
        given = [torch.as_tensor(np.ascontiguousarray(inputs[name])) for name in self.actor.names]
        if self.hidden_state_size:
            found, remembered = self.actor(*given, torch.as_tensor(hidden_state))
            remembered = remembered.numpy()
        else:
            found, remembered = self.actor(*given), hidden_state
        scores = found.numpy()
        is_discrete = self.actions.kind == "discrete"
        action = scores.argmax(axis=1) if is_discrete else scores.clip(-1.0, 1.0)
        deviation = np.broadcast_to(self._deviation, (len(scores), 2))
        return PolicyOutput(action, scores, deviation, remembered)

    def with_random_weights(self, seed: int) -> NetworkPolicy:
        """Return the same network with normal weights, each tensor with the size that it had."""
        other = copy.copy(self)
        other.actor = copy.deepcopy(self.actor)
        generator = np.random.default_rng(seed)
        with torch.no_grad():
            for values in other.actor.parameters():
                if values.dim() > 1:
                    drawn = random_weights(values.numpy(), generator)
                    values.copy_(torch.as_tensor(drawn))
        return other

    def close(self) -> None:
        """Do nothing: the network runs in this process."""
