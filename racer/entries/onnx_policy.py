"""Runs an entry's graph with onnxruntime, deterministically and on one core."""

from __future__ import annotations

import numpy as np

from racer.entries.onnx_check import check_graph
from racer.entries.package import Entry
from racer.entries.sandbox_worker import first_line, open_session
from racer.errors import EntryError
from racer.sensors import Observations


class OnnxPolicy:
    """A policy that maps one observation to an action, bit for bit the same each time.

    A recurrent policy remembers what one car saw since `reset`, so each car needs its own. It runs
    in this process with this process's rights; use `SandboxedPolicy` for an entry that you do not
    trust.

    Attributes:
        name: The entry's name.
        hidden_state_size: Numbers that it remembers from step to step; 0 for none.

    Args:
        entry: An entry from `read_entry`.

    Raises:
        EntryError: As `check_graph`, and with the code `graph` if onnxruntime cannot load it.
    """

    def __init__(self, entry: Entry) -> None:
        self.name = entry.manifest.name
        self._signature = check_graph(entry)
        self.hidden_state_size = self._signature.hidden_state_size
        self.reset()
        try:
            self._session = open_session(entry.policy)
        except Exception as problem:  # onnxruntime's errors have no common base below this one
            raise load_error(self.name, first_line(problem)) from problem

    def reset(self) -> None:
        """Forget what was seen, as at the start of a race."""
        self._hidden_state = self._signature.first_hidden_state()

    def __call__(self, observation: Observations) -> np.ndarray:
        """Return the action for one observation.

        Args:
            observation: A frame (1, H, W, C) uint8 or a vector (1, k) float32; for several
                sensors a dict of these by the sensors' names.

        Returns:
            Steering and speed (1, 2) float32 within [-1, 1], or the index of a choice (1,) int64.

        Raises:
            EntryError: With the code `run` if the graph fails or its hidden state is not finite,
                or `action` if the action is not finite or not in the action space.
            ValueError: If the observation does not match the manifest's sensors.
        """
        inputs = self._signature.input_arrays(observation, self._hidden_state)
        try:
            action, *remembered = self._session.run(list(self._signature.outputs), inputs)
        except Exception as problem:  # onnxruntime's errors have no common base below this one
            raise run_error(self.name, first_line(problem)) from problem
        if self.hidden_state_size:
            self._hidden_state = self._signature.check_hidden_state(remembered[0])
        return self._signature.check_action(action)


def load_error(name: str, why: str) -> EntryError:
    """Return the error for a graph that onnxruntime cannot load."""
    return EntryError(
        f"{name}: onnxruntime cannot load the graph: {why}; export the policy again", "graph"
    )


def run_error(name: str, why: str) -> EntryError:
    """Return the error for a graph that fails on an observation."""
    return EntryError(
        f"{name}: the graph failed on an observation: {why}; export the policy again", "run"
    )
