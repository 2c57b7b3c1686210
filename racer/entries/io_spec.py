"""What a policy takes and gives, as its manifest says, and what is said where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from racer.entries.package import Manifest
from racer.errors import EntryError
from racer.networks.network_config import ACTION_OUTPUT, OBSERVATION_INPUT
from racer.sensors import Observations

Arrays = Sequence[tuple[str, tuple[Any, ...], str]]
"""Name, shape and type of each input or output of a graph."""
ArraySpec = tuple[tuple[int, ...], str]
"""Shape and type of an array."""


@dataclass(frozen=True)
class IOSpec:
    """The arrays that go into a policy and the one that comes out.

    Attributes:
        name: The entry's name, for messages.
        seen: Shape and type of each input by its name.
        done: Shape and type of the action.
        space: The action space.
    """

    name: str
    seen: dict[str, ArraySpec]
    done: ArraySpec
    space: spaces.Box | spaces.Discrete

    @classmethod
    def of(cls, manifest: Manifest) -> IOSpec:
        """What a manifest asks for."""
        sensors = manifest.sensor
        names = [one.name for one in sensors] if len(sensors) > 1 else [OBSERVATION_INPUT]
        seen = {
            name: ((1, *one.space.shape), str(one.space.dtype)) for name, one in zip(names, sensors)
        }
        space = manifest.actions.space()
        done = ((1,), "int64") if isinstance(space, spaces.Discrete) else ((1, 2), "float32")
        return cls(manifest.name, seen, done, space)

    def check(self, side: str, parts: Arrays) -> None:
        """Refuse a graph whose inputs or outputs are not these.

        Args:
            side: `input` or `output`.
            parts: What the graph has there.

        Raises:
            EntryError: `dynamic_shape` where a size is not fixed, else `signature`.
        """
        wanted = self.seen if side == "input" else {ACTION_OUTPUT: self.done}
        if sorted(parts, key=str) == sorted(((n, *a) for n, a in wanted.items()), key=str):
            return
        listed = ", ".join(f"{n!r:.40} {describe_array(s, t)}" for n, s, t in parts[:4]) or "none"
        asked = ", ".join(f"{n!r} {describe_array(*array)}" for n, array in wanted.items())
        is_dynamic = any(isinstance(size, str) for _, shape, _ in parts for size in shape)
        raise EntryError(
            f"{self.name}: the graph's {side} is {listed}; the manifest asks for {asked}: "
            f"{_remedy(side, parts, wanted)}",
            "dynamic_shape" if is_dynamic else "signature",
        )

    def given(self, observation: Observations) -> dict[str, np.ndarray]:
        """An observation by the names of the graph's inputs.

        Raises:
            ValueError: It is not what the manifest's sensors give.
        """
        given = observation if isinstance(observation, dict) else {OBSERVATION_INPUT: observation}
        got = {name: (one.shape, one.dtype.name) for name, one in given.items()}
        if got != self.seen:
            raise ValueError(f"{_listed(got)}; {self.name} sees {_listed(self.seen)}")
        return given

    def checked(self, action: np.ndarray) -> np.ndarray:
        """The action, where it is one of the space.

        Raises:
            EntryError: `action` where it is not finite or not in the space.
        """
        if (action.shape, action.dtype.name) != self.done:
            raise self.refusal(describe_array(action.shape, action.dtype.name))
        if isinstance(self.space, spaces.Discrete):
            if not 0 <= action[0] < self.space.n:
                raise self.refusal(f"the index {action[0]}")
        elif not (np.abs(action) <= 1.0).all():  # NaN is not
            raise self.refusal(str(action[0].tolist()))
        return action

    def refusal(self, got: str) -> EntryError:
        """The error of an action that is not in the space."""
        return EntryError(
            f"{self.name}: the action is {got:.200}; wanted is {self._wanted()}: "
            "bound the graph's output and export it again",
            "action",
        )

    def _wanted(self) -> str:
        if isinstance(self.space, spaces.Discrete):
            return f"an index from 0 to {self.space.n - 1}"
        return "two numbers within [-1, 1]"


def _remedy(side: str, parts: Arrays, wanted: dict[str, ArraySpec]) -> str:
    """What to do about a graph whose inputs or outputs are not those that are wanted."""
    got, asked = [(shape, dtype) for _, shape, dtype in parts], list(wanted.values())
    if any(isinstance(size, str) for shape, _ in got for size in shape):
        return "export the policy with fixed sizes and a batch of 1, without dynamic axes"
    if sorted(got) == sorted(asked):
        return f"export it with {side}_names={list(wanted)}"
    if len(got) == len(asked) == 1:
        (shape, dtype), (right, kind) = got[0], asked[0]
        if sorted(shape) == sorted(right) and len(shape) == 4:
            inside = ["a permute"] if shape != right else []
            inside += ["a division by 255"] if dtype != kind else []
            return f"take the frame as the sensor gives it, with {' and '.join(inside)} inside"
        if kind == "int64" and len(shape) == 2 and dtype.startswith("float"):
            return "end it with the index of the largest value: out.argmax(dim=1)"
    return "export the policy with the sensor and actions it was trained with"


def describe_array(shape: tuple[Any, ...], dtype: str) -> str:
    """An array's type and shape for a message; a hostile size is cut short."""
    sizes = ", ".join(f"{size!r:.40}" for size in shape[:8])
    return f"{dtype} ({sizes}{', ...' if len(shape) > 8 else ''})"


def _listed(parts: dict[str, ArraySpec]) -> str:
    return ", ".join(f"{name} {describe_array(*part)}" for name, part in parts.items()) or "none"
