"""A reward file as compiled code for all cars at once, and the proof that it pays the same."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

from racer.assets.atomic import write_atomically
from racer.assets.caches import is_writable, user_cache
from racer.errors import RewardError
from racer.reward.compiler import python_numbers
from racer.reward.compiler.python_numbers import FIRST_REASON, library_addresses
from racer.reward.compiler.translation import Reason, RewardTranslation, Slot
from racer.reward.compiler.types import (
    BOOL,
    BOOLS,
    FLOAT,
    INT,
    INTS,
    NONE,
    NPBOOL,
    NPFLOAT,
    NPINT,
    NUM,
    NotCompiled,
    Optional_,
    Scalar,
    Tup,
    Type,
)
from racer.reward.param_cases import case_facts, param_cases
from racer.reward.params import ParamArrays, ParamsBuilder, StepFacts
from racer.reward.reward_file import CALLS_TIMEOUT_S, FUNCTION_NAME, RewardSource
from racer.reward.timeout import TimeoutExceeded
from racer.track import Track

MAX_LEFT_TO_PYTHON = 0.2
"""A file of which a larger share of the proof's steps is left to Python is not compiled."""

MAX_KEPT = 256
"""A step that has more values in its texts is left to Python."""

ROUNDS_OF_A_TRACK = 4
"""How often the states of a single track are drawn for the proof; of several tracks less often."""


@dataclass
class CompilationProof:
    """The result of comparing a compiled reward with its Python file.

    Attributes:
        states: Number of states.
        left: Number of them that were left to Python.
        reasons: How often each reason left a state to Python.
    """

    states: int = 0
    left: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)

    def foremost(self) -> NotCompiled:
        """Return the reason that left most states to Python, one with a line if there is one."""
        ordered = [reason for reason, _ in self.reasons.most_common()]
        reason = next((one for one in ordered if one.line), ordered[0])
        return NotCompiled(reason.what, reason.line)


class CompiledReward:
    """A reward file, translated and compiled by numba.

    What the file remembers of a car is a row of floats; `read` and `write` convert it from and to
    the variables of a run of the file.

    Args:
        source: The reward file.

    Attributes:
        reasons: What is left to Python.
        prints: Whether it may print in a step that it pays.

    Raises:
        NotCompiled: It cannot be translated; with the line, where one is to blame.
        RewardError: The file raises when it is run.
    """

    def __init__(self, source: RewardSource) -> None:
        self._source = source
        self._function = source.functions(1)[0]
        module = source.module_of(self._function)
        made = RewardTranslation(module, source.content, FUNCTION_NAME).generate()
        self._slots, self.reasons, self._sites = made.slots, made.reasons, made.sites
        self.code, self.prints = made.source, bool(made.sites)
        self._kept, self._counts = np.zeros((0, 0)), np.zeros(0, dtype=np.int64)
        self._size = sum(slot.size for slot in made.slots)
        if sys.version_info[:2] not in python_numbers.FOLLOWED_PYTHONS:
            version = ".".join(map(str, sys.version_info[:2]))
            raise NotCompiled(f"the arithmetic of Python {version} was not compared yet")
        try:
            self._addresses = library_addresses()
        except (OSError, ValueError, AttributeError) as problem:
            raise NotCompiled(f"the C library cannot be asked: {problem}") from problem

    @cached_property
    def _pay(self) -> Any:
        return _loaded(self.code).pay

    def read(self, module: ModuleType) -> np.ndarray:
        """Return the variables of a run of the file, (size,).

        Raises:
            NotCompiled: A variable has a value of a type that was not foreseen.
        """
        row = np.zeros(self._size)
        for slot in self._slots:
            holder, (way, name) = _holder(module, slot), slot.path[-1]
            at = slot.offset
            is_there = name in holder if way == "item" else hasattr(holder, name)
            if slot.may_lack:
                row[at] = float(is_there)
                at += 1
            if not is_there:
                if not slot.may_lack:
                    raise NotCompiled(f"{name} is gone")
                continue
            value = holder[name] if way == "item" else getattr(holder, name)
            floats = list(_floats(value, slot.type, name))
            row[at : at + len(floats)] = floats
        return row

    def write(self, module: ModuleType, row: np.ndarray) -> None:
        """Set the variables of a run of the file to what such a row holds."""
        for slot in self._slots:
            holder, (way, name) = _holder(module, slot), slot.path[-1]
            at = slot.offset
            is_lacking = slot.may_lack and row[at] == 0.0
            at += slot.may_lack
            if is_lacking and way == "item":
                holder.pop(name, None)
            elif is_lacking:
                vars(holder).pop(name, None)
            else:
                value, _ = _value(row.tolist(), at, slot.type)
                if way == "item":
                    holder[name] = value
                else:
                    setattr(holder, name, value)

    def pay(
        self,
        memory: np.ndarray,
        cars: np.ndarray,
        rewards: np.ndarray,
        params: ParamArrays,
        centre: np.ndarray,
        first: int = 0,
    ) -> np.ndarray:
        """Pay some cars, and return the failure of each, (k,) int; 0: it was paid.

        A car that fails is not paid, and its memory stays.

        Args:
            memory: What the file remembers of each of n cars, (n, size); it is updated.
            cars: The cars to pay, (k,).
            rewards: Where their rewards go, (n,).
            params: Their params.
            centre: The waypoints: x and y [m], (2, N).
            first: Row of the params that belongs to the first of these cars.
        """
        if self.prints and len(self._kept) < len(cars):
            self._kept = np.zeros((len(cars), MAX_KEPT))
            self._counts = np.zeros(len(cars), dtype=np.int64)
        told = first, cars, memory, self._addresses, rewards
        return self._pay(*told, self._kept, self._counts, centre, *params)

    def print_of(self, number: int) -> None:
        """Print what the file prints of a car.

        Args:
            number: Which of the cars that the last `pay` has paid.

        Raises:
            RewardError: It cannot be printed.
        """
        row, at, texts = self._kept[number, : self._counts[number]].tolist(), 0, {}
        try:
            while at < len(row):
                make, size = self._sites[int(row[at])]
                texts[self._size + at] = make(row, at, texts)
                at += size
        except Exception as problem:
            raise self._source.raised(problem, {}) from problem

    def reason(self, failure: int) -> Reason:
        """Return what a failure means."""
        if failure >= FIRST_REASON:
            return self.reasons[failure - FIRST_REASON]
        if failure == python_numbers.UNCERTAIN:
            return Reason("a value that only Python can tell", None)
        return Reason("an error that Python has to tell", None)


class PythonSteps:
    """One run of a reward file, in which the steps of all cars that are left to Python are made.

    Args:
        source: The reward file.
        compiled: Its translation.

    Attributes:
        first: What a new run of the file remembers, as `CompiledReward.read`.
        reward: The reward of the last step.
    """

    def __init__(self, source: RewardSource, compiled: CompiledReward) -> None:
        self._source, self._compiled = source, compiled
        self._begin()
        self.first = compiled.read(self._module)
        self._clean = self.memory_of(self.first)
        self.reward = 0.0

    def _begin(self) -> None:
        self._function = self._source.functions(1)[0]
        self._module = self._source.module_of(self._function)

    def call(self, row: np.ndarray, params: dict[str, Any]) -> float:
        """Return the reward of a car, and update the row of what the file remembers of it.

        Raises:
            RewardError: The function raises, or returns what is no number.
            NotCompiled: It has changed what no row holds. The run is as the function left it, and
                the reward is in `reward`.
        """
        self._compiled.write(self._module, row)
        self.reward = self._source.call(self._function, params)
        row[:] = self._compiled.read(self._module)
        if self.memory_of(self.first) != self._clean:
            self._compiled.write(self._module, row)
            raise NotCompiled("it remembers more than numbers")
        return self.reward

    def remembered(self) -> bytes:
        """Return all that the run remembers, as `RewardSource.remembered`."""
        return self._source.remembered(self._function)

    def memory_of(self, row: np.ndarray) -> bytes:
        """Return all that an instance of the file would remember whose variables a row holds."""
        self._compiled.write(self._module, row)
        return self.remembered()

    def row_of(self, memory: bytes) -> np.ndarray:
        """Return the row of what such an instance remembers.

        Raises:
            NotCompiled: It remembers what no row can hold.
        """
        self._begin()
        self._function = self._source.remember(self._function, memory)
        self._module = self._source.module_of(self._function)
        row = self._compiled.read(self._module)
        is_clean = self.memory_of(self.first) == self._clean
        self._begin()
        if not is_clean:
            raise NotCompiled("a state in which it remembers more than numbers")
        return row


def compile_reward(
    source: RewardSource, tracks: Sequence[Track]
) -> tuple[CompiledReward, CompilationProof]:
    """Return a reward file as compiled code that pays the same in all states of `param_cases`.

    Args:
        source: The reward file.
        tracks: The tracks of the states.

    Returns:
        The compiled reward, and the proof.

    Raises:
        NotCompiled: It cannot be compiled, or pays another value; with the line where known.
        RewardError: The file raises when it is loaded.
    """
    try:
        compiled = CompiledReward(source)
        return compiled, _proof(source, compiled, tracks)
    except (NotCompiled, RewardError):
        raise
    except Exception as problem:  # A mistake of the compiler must not end a training.
        what = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        raise NotCompiled(f"its compiler failed, {what:.200}") from problem


def _proof(
    source: RewardSource, compiled: CompiledReward, tracks: Sequence[Track]
) -> CompilationProof:
    """Compare the compiled reward with its file in all states, step by step, and its memory."""
    proof = CompilationProof()
    try:
        with redirect_stdout(io.StringIO()):  # What it prints now is no part of a race.
            _compare(source, compiled, tracks, proof)
    except NotCompiled as problem:
        foremost = proof.foremost() if proof.reasons else problem
        raise foremost if foremost.line and not problem.line else problem from None
    if proof.left > MAX_LEFT_TO_PYTHON * proof.states:
        raise proof.foremost()
    return proof


def _compare(
    source: RewardSource,
    compiled: CompiledReward,
    tracks: Sequence[Track],
    proof: CompilationProof,
) -> None:
    steps = PythonSteps(source, compiled)
    seeds = range(max(1, ROUNDS_OF_A_TRACK // len(tracks)))
    for case, seed in product(param_cases(list(tracks)), seeds):
        builder, facts = case_facts(case, seed)
        _drive(source, compiled, steps, builder, facts, str(case), proof)


def _drive(
    source: RewardSource,
    compiled: CompiledReward,
    steps: PythonSteps,
    builder: ParamsBuilder,
    facts: StepFacts,
    place: str,
    proof: CompilationProof,
) -> None:
    """Compare both in the steps of one case, until the file raises."""
    car, paid = np.zeros(1, dtype=np.int64), np.zeros(1)
    function = source.functions(1)[0]
    module = source.module_of(function)
    memory = compiled.read(module)[None].copy()
    arrays = builder.arrays(facts)
    for number, params in enumerate(builder.build_all(facts)):
        proof.states += 1
        (failure,) = compiled.pay(memory, car, paid, arrays, builder.centre, number).tolist()
        own, pythons = io.StringIO(), io.StringIO()
        try:
            with source.watched(), redirect_stdout(own):
                if failure:
                    proof.left += 1
                    proof.reasons[compiled.reason(failure)] += 1
                    paid[0] = steps.call(memory[0], _copied(params))
                elif compiled.prints:
                    compiled.print_of(0)
            with source.watched(), redirect_stdout(pythons):
                wanted = source.call(function, params)
        except RewardError as problem:
            if isinstance(problem.__cause__, TimeoutExceeded):
                raise NotCompiled(f"a call of it takes more than {CALLS_TIMEOUT_S:g} s") from None
            if failure:
                return
            raise NotCompiled("it raises where its compiled code does not") from None
        if np.array([wanted]).tobytes() != paid.tobytes():
            said = f"it pays {paid[0]!r} and Python {wanted!r} in step {number} on {place}"
            raise NotCompiled(said)
        if own.getvalue() != pythons.getvalue():
            raise NotCompiled(f"it prints another text in step {number} on {place}")
        if compiled.read(module).tobytes() != memory.tobytes():
            raise NotCompiled(f"it remembers another value in step {number} on {place}")


def _copied(params: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if type(v) is list else v for key, v in params.items()}


def _holder(module: ModuleType, slot: Slot) -> Any:
    """Return the object of a run that holds a slot's variable."""
    found: Any = module
    for way, name in slot.path[:-1]:
        found = found[name] if way == "item" else getattr(found, name)
    return found


def _floats(value: Any, kind: Type, name: str) -> Iterator[float]:
    """Yield the floats that hold a value.

    Raises:
        NotCompiled: The value is of another type.
    """
    if isinstance(kind, Optional_):
        yield float(value is None)
        if value is None:
            yield from [0.0] * len(list(_floats(_example(kind.of), kind.of, name)))
        else:
            yield from _floats(value, kind.of, name)
        return
    if isinstance(kind, Tup):
        wanted = {"tuple": tuple, "list": list}[kind.form]
        if type(value) is not wanted or len(value) != len(kind.items):
            raise NotCompiled(f"{name} is {value!r:.60}")
        for one, inner in zip(value, kind.items):
            yield from _floats(one, inner, name)
        return
    if kind == NONE:
        if value is not None:
            raise NotCompiled(f"{name} is {value!r:.60}")
        return
    own = type(value)
    allowed = {
        BOOL: (bool,),
        INT: (bool, int),
        FLOAT: (float,),
        NUM: (bool, int, float),
        NPBOOL: (bool, np.bool_),
        NPINT: (np.int64,),
        NPFLOAT: (np.float64,),
    }
    assert isinstance(kind, Scalar)
    if own not in allowed[kind] or (own is int and abs(value) > python_numbers.EXACT):
        raise NotCompiled(f"{name} is {value!r:.60}")
    yield float(value)
    if kind == NUM:
        yield float(own is not float)


def _example(kind: Type) -> Any:
    """Return some value of a type."""
    if isinstance(kind, Tup):
        items = [_example(one) for one in kind.items]
        return items if kind.form == "list" else tuple(items)
    if isinstance(kind, Optional_) or kind == NONE:
        return None
    examples = {BOOL: False, INT: 0, FLOAT: 0.0, NUM: 0.0, NPBOOL: False}
    examples |= {NPINT: np.int64(0), NPFLOAT: np.float64(0.0)}
    return examples[kind]  # type: ignore


def _value(row: list[float], at: int, kind: Type) -> tuple[Any, int]:
    """Return the value that floats hold, and the offset behind them."""
    if isinstance(kind, Optional_):
        value, after = _value(row, at + 1, kind.of)
        return (None if row[at] else value), after
    if isinstance(kind, Tup):
        items = []
        for one in kind.items:
            item, at = _value(row, at, one)
            items.append(item)
        return (items if kind.form == "list" else tuple(items)), at
    if kind == NONE:
        return None, at
    if kind == NUM:
        return (int(row[at]) if row[at + 1] else row[at]), at + 2
    value = row[at]
    if kind in BOOLS:
        return bool(value), at + 1
    if kind in INTS:
        return (np.int64(value) if kind == NPINT else int(value)), at + 1
    return (np.float64(value) if kind == NPFLOAT else value), at + 1


def _loaded(code: str) -> ModuleType:
    """Return the module of some generated code, compiled machine code of which is kept on disk."""
    parts = (code.encode(), Path(python_numbers.__file__).read_bytes(), numba.__version__.encode())
    name = f"racer_reward_{hashlib.sha256(b''.join(parts)).hexdigest()[:24]}"
    folder = _cache_folder()
    if folder is None:
        module = ModuleType(name)
        exec(compile(code.replace("cache=True, ", ""), name, "exec"), vars(module))
        return module
    if name in sys.modules:
        return sys.modules[name]
    path = folder / f"{name}.py"
    if not path.exists() or path.read_bytes() != code.encode():
        write_atomically(path, code.encode())
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # numba looks there for what it has kept.
    spec.loader.exec_module(module)
    return module


def _cache_folder() -> Path | None:
    """Return the folder of generated code; None where none can be written."""
    cache = user_cache()
    if cache is None:
        return None
    folder = cache / "racer" / "rewards"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if is_writable(folder) else None
