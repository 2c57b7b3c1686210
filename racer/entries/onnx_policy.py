"""Runs an entry's graph with onnxruntime, the same way each time and on one core."""

from __future__ import annotations

import numpy as np

from racer.entries.onnx_check import check_graph
from racer.entries.package import Entry
from racer.entries.sandbox_worker import first_line, open_session
from racer.errors import EntryError
from racer.networks.network_config import ACTION_OUTPUT
from racer.sensors import Observations


class OnnxPolicy:
    """A policy that answers one observation at a time; the same digits twice.

    It runs in this process, with its rights: `BoxedPolicy` is for a stranger's.

    Args:
        entry: A checked package.

    Raises:
        EntryError: What `check_graph` refuses, and `graph` where onnxruntime cannot load it.
    """

    def __init__(self, entry: Entry) -> None:
        self.name = entry.manifest.name
        self._signature = check_graph(entry)
        try:
            self._session = open_session(entry.policy)
        except Exception as problem:  # onnxruntime's errors have no common base below this one
            raise cannot_load(self.name, first_line(problem)) from problem

    def __call__(self, observation: Observations) -> np.ndarray:
        """The action for one observation.

        Args:
            observation: A frame (1, H, W, C) uint8, or numbers (1, k) float32; of several sensors
                a dict of them by the sensors' names.

        Returns:
            Steering and speed (1, 2) float32 within [-1, 1], or the index of a choice (1,) int64.

        Raises:
            EntryError: `run` where the graph fails, `action` where its answer is not finite or
                not in the action space.
            ValueError: The observation is not what the manifest's sensors give.
        """
        given = self._signature.given(observation)
        try:
            (action,) = self._session.run([ACTION_OUTPUT], given)
        except Exception as problem:  # onnxruntime's errors have no common base below this one
            raise cannot_run(self.name, first_line(problem)) from problem
        return self._signature.checked(action)


def cannot_load(name: str, why: str) -> EntryError:
    """The error of a graph that onnxruntime does not take."""
    return EntryError(
        f"{name}: onnxruntime cannot load the graph: {why}; export the policy again", "graph"
    )


def cannot_run(name: str, why: str) -> EntryError:
    """The error of a graph that does not take an observation."""
    return EntryError(
        f"{name}: the graph failed on an observation: {why}; export the policy again", "run"
    )
