"""The input and output arrays that a manifest requires of a policy, and the checks against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from racer.entries.package import Manifest
from racer.errors import EntryError
from racer.networks.network_config import (
    ACTION_OUTPUT,
    HIDDEN_STATE_INPUT,
    HIDDEN_STATE_OUTPUT,
    OBSERVATION_INPUT,
)
from racer.sensors import Observations

Arrays = Sequence[tuple[str, tuple[Any, ...], str]]
"""Name, shape and dtype of each input or output of a graph; a dynamic size is a string."""
ArraySpec = tuple[tuple[int, ...], str]
"""Shape and dtype of an array."""


@dataclass(frozen=True)
class IOSpec:
    """Specification of a policy's input arrays and of its outputs.

    Attributes:
        name: The entry's name, for error messages.
        inputs: Shape and dtype of each input by its name; a hidden state is the last.
        outputs: Shape and dtype of each output by its name; the action is the first.
        space: The action space.
    """

    name: str
    inputs: dict[str, ArraySpec]
    outputs: dict[str, ArraySpec]
    space: spaces.Box | spaces.Discrete

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> IOSpec:
        """Return the arrays that a manifest's sensors and actions require."""
        sensors = manifest.sensor
        names = [sensor.name for sensor in sensors] if len(sensors) > 1 else [OBSERVATION_INPUT]
        inputs = {
            name: ((1, *sensor.space.shape), str(sensor.space.dtype))
            for name, sensor in zip(names, sensors)
        }
        space = manifest.actions.space()
        action = ((1,), "int64") if isinstance(space, spaces.Discrete) else ((1, 2), "float32")
        outputs: dict[str, ArraySpec] = {ACTION_OUTPUT: action}
        if size := manifest.hidden_state_size:
            inputs[HIDDEN_STATE_INPUT] = outputs[HIDDEN_STATE_OUTPUT] = ((1, size), "float32")
        return cls(manifest.name, inputs, outputs, space)

    @property
    def hidden_state_size(self) -> int:
        """Numbers that the policy remembers from step to step; 0 for none."""
        (_, size), _ = self.inputs.get(HIDDEN_STATE_INPUT, ((1, 0), ""))
        return size

    def first_hidden_state(self) -> np.ndarray:
        """Return the hidden state at the start of a race, zeros (1, `hidden_state_size`)."""
        return np.zeros((1, self.hidden_state_size), np.float32)

    def check(self, side: str, arrays: Arrays) -> None:
        """Check that a graph has exactly these inputs or these outputs.

        Args:
            side: `input` or `output`.
            arrays: The graph's inputs or outputs.

        Raises:
            EntryError: With the code `dynamic_shape` if a size is not fixed, or else `signature`
                if a name, shape or dtype differs.
        """
        required = self.inputs if side == "input" else self.outputs
        if sorted(arrays, key=str) == sorted(((n, *a) for n, a in required.items()), key=str):
            return
        got = ", ".join(f"{n!r:.40} {describe_array(s, t)}" for n, s, t in arrays[:4]) or "none"
        wanted = ", ".join(f"{n!r} {describe_array(*array)}" for n, array in required.items())
        is_dynamic = any(isinstance(size, str) for _, shape, _ in arrays for size in shape)
        raise EntryError(
            f"{self.name}: the graph's {side} is {got}; the manifest asks for {wanted}: "
            f"{_remedy(side, arrays, required)}",
            "dynamic_shape" if is_dynamic else "signature",
        )

    def input_arrays(
        self, observation: Observations, hidden_state: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return an observation as a dict of arrays by the names of the graph's inputs.

        Args:
            observation: The sensors' arrays.
            hidden_state: What a recurrent policy remembers, (1, `hidden_state_size`).

        Raises:
            ValueError: If a name, shape or dtype is not that of the manifest's sensors.
        """
        arrays = observation if isinstance(observation, dict) else {OBSERVATION_INPUT: observation}
        got = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
        seen = {name: array for name, array in self.inputs.items() if name != HIDDEN_STATE_INPUT}
        if got != seen:
            raise ValueError(f"{_listed(got)}; {self.name} sees {_listed(seen)}")
        return arrays | ({HIDDEN_STATE_INPUT: hidden_state} if self.hidden_state_size else {})

    def check_hidden_state(self, hidden_state: np.ndarray) -> np.ndarray:
        """Return the next hidden state unchanged if it has the size of the first and is finite.

        Raises:
            EntryError: With the code `run` if it does not.
        """
        shape, dtype = self.outputs[HIDDEN_STATE_OUTPUT]
        if (hidden_state.shape, hidden_state.dtype.name) != (shape, dtype):
            got = describe_array(hidden_state.shape, hidden_state.dtype.name)
        elif np.isfinite(hidden_state).all():
            return hidden_state
        else:
            got = "not finite"
        raise EntryError(
            f"{self.name}: {HIDDEN_STATE_OUTPUT} is {got}; wanted are finite numbers, "
            f"{describe_array(shape, dtype)}: export the policy again",
            "run",
        )

    def check_action(self, action: np.ndarray) -> np.ndarray:
        """Return the action unchanged if it is in the action space.

        Raises:
            EntryError: With the code `action` if it is not finite or not in the space.
        """
        if (action.shape, action.dtype.name) != self.outputs[ACTION_OUTPUT]:
            raise self.action_error(describe_array(action.shape, action.dtype.name))
        if isinstance(self.space, spaces.Discrete):
            if not 0 <= action[0] < self.space.n:
                raise self.action_error(f"the index {action[0]}")
        elif not (np.abs(action) <= 1.0).all():  # false for NaN
            raise self.action_error(str(action[0].tolist()))
        return action

    def action_error(self, got: str) -> EntryError:
        """Return the error for an action that is not in the space; `got` describes the action."""
        return EntryError(
            f"{self.name}: the action is {got:.200}; wanted is {self._describe_space()}: "
            "bound the graph's output and export it again",
            "action",
        )

    def _describe_space(self) -> str:
        if isinstance(self.space, spaces.Discrete):
            return f"an index from 0 to {self.space.n - 1}"
        return "two numbers within [-1, 1]"


def _remedy(side: str, arrays: Arrays, required: dict[str, ArraySpec]) -> str:
    """Return advice for a graph whose inputs or outputs are not the required ones."""
    got, wanted = [(shape, dtype) for _, shape, dtype in arrays], list(required.values())
    if any(isinstance(size, str) for shape, _ in got for size in shape):
        return "export the policy with fixed sizes and a batch of 1, without dynamic axes"
    if sorted(got) == sorted(wanted):
        return f"export it with {side}_names={list(required)}"
    if len(got) == len(wanted) == 1:
        (shape, dtype), (wanted_shape, wanted_dtype) = got[0], wanted[0]
        if sorted(shape) == sorted(wanted_shape) and len(shape) == 4:
            inside = ["a permute"] if shape != wanted_shape else []
            inside += ["a division by 255"] if dtype != wanted_dtype else []
            return f"take the frame as the sensor gives it, with {' and '.join(inside)} inside"
        if wanted_dtype == "int64" and len(shape) == 2 and dtype.startswith("float"):
            return "end it with the index of the largest value: out.argmax(dim=1)"
    return "export the policy with the sensor and actions it was trained with"


def describe_array(shape: tuple[Any, ...], dtype: str) -> str:
    """Return an array's dtype and shape for a message, e.g. `float32 (1, 26)`.

    Shapes come from untrusted graphs, so long sizes and shapes are shortened.
    """
    sizes = ", ".join(f"{size!r:.40}" for size in shape[:8])
    return f"{dtype} ({sizes}{', ...' if len(shape) > 8 else ''})"


def _listed(arrays: dict[str, ArraySpec]) -> str:
    return ", ".join(f"{name} {describe_array(*array)}" for name, array in arrays.items()) or "none"
