"""An entry's policy, of anyone, that answers perturbed observations in the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from racer.entries.onnx_check import check_graph
from racer.entries.package import Entry
from racer.entries.sandbox import SandboxedGraph
from racer.errors import EntryError
from racer.explain.entry_graph import SCORES_OUTPUT, graph_with_random_weights, graph_with_scores
from racer.explain.policy_output import PolicyOutput
from racer.networks.network_config import ACTION_OUTPUT, HIDDEN_STATE_INPUT


class EntryPolicy:
    """An entry's policy as `ExplainedPolicy` describes it, run in the sandbox.

    Args:
        entry: An entry from `read_entry`.
        graph: Another graph with the entry's inputs and outputs; the entry's own by default.

    Raises:
        EntryError: As `check_graph` and `SandboxedGraph`.
    """

    def __init__(self, entry: Entry, graph: bytes | None = None) -> None:
        manifest = entry.manifest
        self.name, self.sensor, self.actions = manifest.name, manifest.sensor, manifest.actions
        self._entry, self._graph = entry, graph or entry.policy
        self._signature = check_graph(entry)
        self.hidden_state_size = self._signature.hidden_state_size
        is_discrete = self.actions.kind == "discrete"
        self._count = len(self.actions.choices) if is_discrete else 2
        scored = self._with_scores()
        self.has_scores = scored is not None or not is_discrete
        self._box = scored or SandboxedGraph(self._graph, self._signature)
        self._returns_scores = scored is not None

    def _with_scores(self) -> SandboxedGraph | None:
        """Return the sandbox of a graph that returns its scores; None if it cannot be had."""
        graph = graph_with_scores(self._graph, self._count)
        if graph is None:
            return None
        outputs = self._signature.outputs | {SCORES_OUTPUT: ((1, self._count), "float32")}
        signature, zeros = replace(self._signature, outputs=outputs), {}
        for name, (shape, dtype) in signature.inputs.items():
            zeros[name] = np.zeros(shape, dtype)
        try:
            box = SandboxedGraph(graph, signature)
            box.run_batch(zeros)
        except EntryError:  # What its action is chosen from has another shape.
            return None
        return box

    def answer(self, inputs: Mapping[str, np.ndarray], hidden_state: np.ndarray) -> PolicyOutput:
        """See `ExplainedPolicy.answer`.

        Raises:
            EntryError: As `SandboxedGraph.run_batch`.
        """
        given = dict(inputs)
        if self.hidden_state_size:
            given[HIDDEN_STATE_INPUT] = hidden_state
        names = list(self._signature.outputs)
        outputs = self._box.run_batch(given)
        found = dict(zip(names, outputs))
        action = found[ACTION_OUTPUT]
        scores = outputs[-1] if self._returns_scores else self._scores_of(action)
        is_fine = bool(np.isfinite(scores).all() and np.isfinite(action).all())
        if self.actions.kind == "discrete":
            is_fine = is_fine and bool(((action >= 0) & (action < self._count)).all())
        if not is_fine:
            raise EntryError(
                f"{self.name}: the graph returned numbers that are not finite, or no choice of its "
                "list; export the policy again",
                "run",
            )
        remembered = outputs[1] if self.hidden_state_size else hidden_state
        return PolicyOutput(action, scores, np.zeros((len(action), 2)), remembered)

    def _scores_of(self, action: np.ndarray) -> np.ndarray:
        """Return a continuous action itself, and 1 for the index of a choice, 0 for the others."""
        if self.actions.kind == "continuous":
            return action
        return np.eye(self._count)[np.clip(action, 0, self._count - 1)]

    def with_random_weights(self, seed: int) -> EntryPolicy:
        """Return the policy of the same graph with random weights, in a sandbox of its own."""
        return EntryPolicy(self._entry, graph_with_random_weights(self._graph, seed))

    def close(self) -> None:
        """End the sandbox."""
        self._box.close()
