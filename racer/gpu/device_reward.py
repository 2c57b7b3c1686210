"""A reward file on a device, and the proof that it pays what its Python file pays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import product
from typing import Any

import numpy as np

from racer.errors import RewardError
from racer.gpu.native_reward import NativeReward, NativeTranslation
from racer.gpu.native_types import TOO_LONG
from racer.gpu.runtime import load_warp
from racer.reward.compiled_reward import ROUNDS_OF_A_TRACK, CompiledReward, PythonSteps
from racer.reward.compiler.types import NotCompiled
from racer.reward.param_cases import STATES_PER_CASE, case_facts, param_cases
from racer.reward.params import ParamArrays, ParamsBuilder, StepFacts
from racer.reward.reward_file import RewardSource
from racer.track import Track

PROOF_TOLERANCE = 1e-6
"""How far a reward on a device may be from the Python file's, absolutely or as a share."""
MIN_CAPACITY = 32
"""The most items of a list while a reward is proven, where the tracks' waypoints are fewer."""
LEAST_CAPACITY = 8
"""The most items of a list afterwards, where none has had more than half as many."""


class DeviceReward:
    """A reward file that pays n cars on a device.

    It is the translation that numba compiles, written in C++. It was compared with the Python file
    in all states of `param_cases`. What the file prints is not printed.

    Args:
        source: The reward file.
        tracks: The tracks on which it pays.
        n: Number of cars.
        device: The Warp device.

    Attributes:
        native: The reward in C++.
        memory: What the file remembers of each car, Warp array (n, size) float64.
        largest_difference: The largest difference to the Python file that the proof has found.
        states: How many states it has compared.

    Raises:
        RewardError: The file cannot be paid on a device; with the reason, and the line where known.
    """

    def __init__(self, source: RewardSource, tracks: Sequence[Track], n: int, device: Any) -> None:

        self._source, self._device = source, device
        self.largest_difference, self.states = 0.0, 0
        try:
            self._compiled = CompiledReward(source)
            first = PythonSteps(source, self._compiled).first
            self._first = first if len(first) else np.zeros(1)
            self._prove(list(tracks))
        except NotCompiled as problem:
            raise RewardError(
                f"{source.path.name} cannot be paid on a device: {problem}; train on the processor "
                "(simulator: host), or choose a reward without it"
            ) from problem
        warp = load_warp()
        memory = np.tile(self._first, (n, 1))
        self._initial = warp.array(memory, dtype=warp.float64, device=device)
        self.memory = warp.array(memory, dtype=warp.float64, device=device)
        self._longest = warp.zeros(n, dtype=warp.int32, device=device)

    def _build(self, capacity: int) -> None:
        """Write the reward with room for `capacity` items in a list, and make its kernel."""
        from racer.gpu.reward_kernels import pay_kernel

        self.native = NativeTranslation(self._compiled.code, capacity).translate()
        self._pay_cars = pay_kernel(self.native)
        self._tables = device_tables(self.native, self._device)

    def renew(self) -> None:
        """Let every car's reward forget what it remembers of earlier episodes."""
        load_warp().copy(self.memory, self._initial)

    def pay(self, line: Any, rewards: Any, status: Any, params: Any, problems: Any) -> None:
        """Pay all cars by launching a kernel.

        Args:
            line: The line of each car, Warp array (n,) int32.
            rewards: Filled with the rewards, Warp array (n,) float64.
            status: Filled with the failure of each car, 0 without one, Warp array (n,) int32.
            params: What the reward gets, a `DeviceParams`.
            problems: Its second number counts failures, its third is one of them.
        """
        own = self.memory, rewards, status, self._longest
        told = [1, line, *own, params, self._tables, problems]
        load_warp().launch(self._pay_cars, len(self._longest), told, device=self._device)

    def reason(self, failure: int) -> str:
        """Return words for a failure."""
        if failure == TOO_LONG:
            return "a list of more items than there is room for on a device"
        found = self._compiled.reason(failure)
        return f"line {found.line}: {found.what}" if found.line else found.what

    def _prove(self, tracks: list[Track]) -> None:
        """Compare the rewards on the device with the Python file's.

        The lists get more room until every item has some, and then have it for twice as many as any
        has had: each thread that a GPU can run at once has lists of its own, and a driver keeps the
        memory of the largest.

        Raises:
            NotCompiled: The device pays another value, or leaves a state to Python.
        """
        seeds = range(max(1, ROUNDS_OF_A_TRACK // len(tracks)))
        cases = [(case, seed) for case, seed in product(param_cases(tracks), seeds)]
        told = [case_facts(case, seed) for case, seed in cases]
        params = device_params(
            [builder.centre for builder, _ in told],
            joined_arrays([builder.arrays(facts) for builder, facts in told]),
            self._device,
        )
        capacity, most = LEAST_CAPACITY, list_capacity(tracks)
        self._build(capacity)
        paid, status, longest = self._paid_in_turn(len(told), params)
        while capacity < most and (status == TOO_LONG).any():
            capacity = min(8 * capacity, most)
            self._build(capacity)
            paid, status, longest = self._paid_in_turn(len(told), params)
        enough = max(LEAST_CAPACITY, 2 * longest)
        if enough != self.native.capacity:
            self._build(enough)
            paid, status, _ = self._paid_in_turn(len(told), params)
        for (case, _), (builder, facts), own, failures in zip(cases, told, paid, status):
            self._compare(str(case), builder, facts, own, failures)

    def _paid_in_turn(self, cases: int, params: Any) -> tuple[np.ndarray, np.ndarray, int]:
        """Pay the steps of all cases.

        Args:
            cases: Number of cases.
            params: What the reward gets of their steps, one case after another.

        Returns:
            The rewards and the failures, (cases, steps) each; and the most items of a list.
        """
        warp, count = load_warp(), cases * STATES_PER_CASE
        memory = np.tile(self._first, (cases, 1))
        held = warp.array(memory, dtype=warp.float64, device=self._device)
        rewards = warp.zeros(count, dtype=warp.float64, device=self._device)
        status, longest = (
            warp.zeros(count, dtype=warp.int32, device=self._device) for _ in range(2)
        )
        line = warp.array(np.arange(cases, dtype=np.int32), device=self._device)
        problems = warp.zeros(3, dtype=warp.int32, device=self._device)
        own = held, rewards, status, longest
        given = [STATES_PER_CASE, line, *own, params, self._tables, problems]
        warp.launch(self._pay_cars, cases, given, device=self._device)
        shape = cases, STATES_PER_CASE
        found = rewards.numpy().reshape(shape), status.numpy().reshape(shape)
        return *found, int(longest.numpy().max())

    def _compare(
        self,
        case: str,
        builder: ParamsBuilder,
        facts: StepFacts,
        paid: np.ndarray,
        failures: np.ndarray,
    ) -> None:
        """Compare the steps of one case, until the file raises.

        Args:
            case: Words for it.
            builder: Builds its params.
            facts: Its states.
            paid: What the device pays, (steps,).
            failures: Its failures, (steps,).
        """
        function = self._source.functions(1)[0]
        for number, params in enumerate(builder.build_all(facts)):
            self.states += 1
            failure = int(failures[number])
            try:
                with self._source.watched(), redirect_stdout(io.StringIO()):
                    wanted = self._source.call(function, params)
            except RewardError:
                if failure:
                    return
                raise NotCompiled(f"it raises in step {number} on {case}") from None
            if failure:
                raise NotCompiled(f"{self.reason(failure)}, in step {number} on {case}")
            apart = abs(float(paid[number]) - wanted)
            if not apart <= PROOF_TOLERANCE * max(1.0, abs(wanted)):
                pays = f"it pays {paid[number]!r} and Python {wanted!r}"
                raise NotCompiled(f"{pays} in step {number} on {case}")
            self.largest_difference = max(self.largest_difference, apart)


def list_capacity(tracks: Sequence[Track]) -> int:
    """Return how many items a list has room for at first: all waypoints of the longest track."""
    return max(MIN_CAPACITY, *(len(track.centre) + 1 for track in tracks))


def device_tables(native: NativeReward, device: Any) -> Any:
    """Return a reward's constants on a device, a `ConstantTables`."""
    from racer.gpu.reward_kernels import ConstantTables

    warp, tables = load_warp(), ConstantTables()
    floats, ints, bools = native.tables
    tables.floats = warp.array(floats, dtype=warp.float64, device=device)
    tables.ints = warp.array(ints, dtype=warp.int64, device=device)
    tables.bools = warp.array(bools, dtype=warp.bool, device=device)
    return tables


def joined_arrays(arrays: list[ParamArrays]) -> ParamArrays:
    """Return the params of several groups of cars as those of one; lists are filled up with 0."""
    most = max(1, *(one.objects.shape[2] for one in arrays))
    objects = [np.pad(one.objects, _behind(one.objects, most)) for one in arrays]
    is_left = [np.pad(one.is_left, _behind(one.is_left, most)) for one in arrays]
    return ParamArrays(
        np.concatenate([one.floats for one in arrays], axis=1),
        np.concatenate([one.ints for one in arrays], axis=1),
        np.concatenate([one.bools for one in arrays], axis=1),
        np.concatenate([one.on_road for one in arrays]),
        np.concatenate(objects, axis=1),
        np.concatenate(is_left, axis=0),
    )


def _behind(values: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Return the padding that makes the last axis `most` long."""
    return [(0, 0)] * (values.ndim - 1) + [(0, most - values.shape[-1])]


def device_params(centres: Sequence[np.ndarray], arrays: ParamArrays, device: Any) -> Any:
    """Return params on a device, a `DeviceParams`.

    Args:
        centres: The waypoints of each line: x and y [m], (2, N).
        arrays: The params.
        device: The Warp device.
    """
    from racer.gpu.reward_kernels import DeviceParams

    warp, params = load_warp(), DeviceParams()
    counts = np.array([one.shape[1] for one in centres])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    points = np.concatenate(centres, axis=1)
    for name, values, dtype in (
        ("points", points, warp.float64),
        ("way_first", first.astype(np.int32), warp.int32),
        ("way_count", counts.astype(np.int32), warp.int32),
        ("floats", arrays.floats, warp.float64),
        ("ints", arrays.ints, warp.int64),
        ("bools", arrays.bools, warp.bool),
        ("on_road", arrays.on_road.astype(np.int32), warp.int32),
        ("objects", arrays.objects, warp.float64),
        ("is_left", arrays.is_left, warp.bool),
    ):
        held = np.ascontiguousarray(values)
        setattr(params, name, warp.array(held, dtype=dtype, device=device))
    return params
