"""Runs an entry's graph with onnxruntime, the same way each time and on one core."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from racer.errors import EntryError
from racer.policy.entry import Entry, Manifest
from racer.policy.layers import OBSERVATION
from racer.sensors import Observations

SILENT = 4
"""onnxruntime's log severity `fatal`: what goes wrong comes back as an error instead."""
NOWHERE = "/dev/null"
"""Where a graph may look for weights outside itself: below a file there is no other file."""
_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "int64": "tensor(int64)"}


class OnnxPolicy:
    """A policy that answers one observation at a time; the same digits twice.

    Args:
        entry: A checked entry.

    Raises:
        EntryError: `graph` where onnxruntime cannot load it, `signature` where the inputs or
            outputs are not the manifest's.
    """

    def __init__(self, entry: Entry) -> None:
        self.name = entry.manifest.name
        self._space = entry.manifest.actions.space()
        self._seen = _inputs(entry.manifest)
        self._done = _action(self._space)
        self._session = _load(entry.policy, self.name)
        self._check_signature()

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
        given = observation if isinstance(observation, dict) else {OBSERVATION: observation}
        got = {name: (one.shape, one.dtype.name) for name, one in given.items()}
        if got != self._seen:
            raise ValueError(f"{_listed(got)}; {self.name} sees {_listed(self._seen)}")
        try:
            (action,) = self._session.run(["action"], given)
        except Exception as problem:  # onnxruntime's errors have no common base below this one
            raise EntryError(
                f"{self.name}: the graph failed on an observation: {_first_line(problem)}; "
                "export the policy again",
                "run",
            ) from problem
        return self._checked(action)

    def _checked(self, action: Any) -> np.ndarray:
        if (action.shape, action.dtype.name) != self._done:
            got = _words(action.shape, action.dtype.name)
        elif isinstance(self._space, spaces.Discrete):
            if 0 <= action[0] < self._space.n:
                return action
            got = f"the index {action[0]}"
        else:
            if (np.abs(action) <= 1.0).all():  # NaN is not
                return action
            got = str(action[0].tolist())
        raise EntryError(
            f"{self.name}: the action is {got}; wanted is {self._wanted()}: "
            "bound the graph's output and export it again",
            "action",
        )

    def _wanted(self) -> str:
        if isinstance(self._space, spaces.Discrete):
            return f"an index from 0 to {self._space.n - 1}"
        return "two numbers within [-1, 1]"

    def _check_signature(self) -> None:
        for what, parts, wanted in (
            ("input", self._session.get_inputs(), self._seen),
            ("output", self._session.get_outputs(), {"action": self._done}),
        ):
            got = sorted((part.name, tuple(part.shape), part.type) for part in parts)
            if got != sorted(
                (name, shape, _TYPES[dtype]) for name, (shape, dtype) in wanted.items()
            ):
                listed = ", ".join(f"{n} {_words(s, t)}" for n, s, t in got[:4]) or "none"
                asked = {name: (shape, _TYPES[dtype]) for name, (shape, dtype) in wanted.items()}
                raise EntryError(
                    f"{self.name}: the graph's {what} is {listed}; the manifest asks for "
                    f"{_listed(asked)}: export the policy with the sensor and "
                    "actions it was trained with",
                    "signature",
                )


def _inputs(manifest: Manifest) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of each input by its name."""
    sensors = manifest.sensor
    names = [one.name for one in sensors] if len(sensors) > 1 else [OBSERVATION]
    return {
        name: ((1, *one.space.shape), str(one.space.dtype)) for name, one in zip(names, sensors)
    }


def _action(space: spaces.Box | spaces.Discrete) -> tuple[tuple[int, ...], str]:
    return ((1,), "int64") if isinstance(space, spaces.Discrete) else ((1, 2), "float32")


def _load(graph: bytes, name: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = SILENT
    # Without this, a graph loaded from bytes reads weights below the working directory.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", NOWHERE
    )
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # onnxruntime's errors have no common base below this one
        raise EntryError(
            f"{name}: onnxruntime cannot load the graph: {_first_line(problem)}; "
            "export the policy again",
            "graph",
        ) from problem


def _words(shape: tuple[Any, ...], dtype: str) -> str:
    return f"{dtype} ({', '.join(str(size) for size in shape)})"


def _listed(parts: dict[str, tuple[tuple[Any, ...], str]]) -> str:
    """Each input or output in words."""
    return ", ".join(f"{name} {_words(*part)}" for name, part in parts.items()) or "none"


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0][:300]
