"""A user's reward file: found, compiled once, run once a car, and its errors given a line."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import itertools
import json
import linecache
import os
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from racer import assets
from racer.errors import RewardError
from racer.reward.neighbour_modules import NeighbourModules, forget_modules
from racer.reward.process_exits import exits_raised
from racer.reward.reward_memory import restore_memory, take_memory
from racer.reward.timeout import TimeoutExceeded, timeout_after

FUNCTION_NAME = "reward_function"
MAX_ABS_REWARD = 1e5
"""Largest absolute reward; beyond it DeepRacer, too, takes a reward for a mistake."""
CALLS_TIMEOUT_S = 10.0
"""So long may one control step's calls take for all cars together [s]."""
LOADING_TIMEOUT_S = 60.0
"""So long may a file take to be run for all cars [s]; what it imports may be large."""
NUMBER_TYPES = (int, float, np.integer, np.floating, np.bool_)
SHIPPED_REWARDS = "configs/rewards"
FILES_RECORD = "files.json"
"""Beside a reward that a run keeps together with its files: their SHA-256 by their names."""

RewardFunction = Callable[[dict[str, Any]], Any]

_numbers = itertools.count()


class RewardSource:
    """A reward file as it was read.

    Attributes:
        path: Where it was read from.
        content: Its bytes.
        sha256: Digest of its bytes, in hexadecimal.
        converted: What it returned that is not a number but that `float` takes, as DeepRacer does.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        """Compile a file's content; `read` also tries it out.

        Raises:
            RewardError: It is not Python; the message names the line.
        """
        self.path, self.content, self._file = path, content, str(path.absolute())
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.converted: list[str] = []
        self._siblings = NeighbourModules(path.absolute().parent)
        self._runs: dict[int, tuple[RewardFunction, list[str]]] = {}
        self._home = _home(path)
        try:
            self._lines = importlib.util.decode_source(content).splitlines()
            self._code: CodeType = compile(content, str(path), "exec", dont_inherit=True)
        except SyntaxError as problem:
            source = (problem.text or "").strip()
            what = f"{type(problem).__name__}: {problem.msg}"
            raise RewardError(_at(path, problem.lineno, what, source)) from problem
        except ValueError as problem:
            raise RewardError(f"{path}: not valid Python: {problem}") from problem

    @classmethod
    def find(cls, name: str) -> RewardSource:
        """The reward that a person means: a path, or a shipped file's name such as `progress`.

        Raises:
            RewardError: There is no such file, or `read` refuses it.
        """
        folder = assets.assets_root() / SHIPPED_REWARDS
        for path in (Path(name), assets.assets_root() / name, folder / name, folder / f"{name}.py"):
            if path.is_file():
                return cls.read(path)
        shipped = ", ".join(sorted(path.stem for path in folder.glob("*.py"))) or "none"
        raise RewardError(
            f"no file {name!r}, and {SHIPPED_REWARDS}/ has no such name; shipped there: {shipped}"
        )

    @classmethod
    def read(cls, path: Path | str) -> RewardSource:
        """The file at `path`, compiled and run once to see that it defines `reward_function`.

        Raises:
            RewardError: It cannot be read, is not Python, raises, or has no such function.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise RewardError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
        source = cls(path, content)
        source.functions(1)
        return source

    def functions(self, n: int) -> list[RewardFunction]:
        """Several `reward_function`s, each from its own run of the file, so none shares state.

        Each run is a module of its own in `sys.modules`, where dataclasses and pickle look for
        it, for as long as this source lives.

        Raises:
            RewardError: The file raises or hangs while it runs, or has no such function.
        """
        with self.watched(LOADING_TIMEOUT_S):
            return [self._run() for _ in range(n)]

    def call(self, function: RewardFunction, params: dict[str, Any]) -> float:
        """What `function`, one of `functions`, pays for `params`.

        Raises:
            RewardError: It raises, or returns anything but a finite number within 1e5 of 0.
        """
        try:
            reward = function(params)
        except (Exception, SystemExit) as problem:
            raise self._raised(problem, params) from problem
        if type(reward) is float and -MAX_ABS_REWARD <= reward <= MAX_ABS_REWARD:
            return reward
        number = _number(reward)
        if number is None or not -MAX_ABS_REWARD <= number <= MAX_ABS_REWARD:
            raise self._refused(function, reward)
        if not isinstance(reward, NUMBER_TYPES) and not self.converted:
            self.converted.append(f"{reward!r:.60} ({type(reward).__name__})")
        return number

    def remembered(self, function: RewardFunction) -> bytes:
        """Return what `function`, one of `functions`, remembers; see `racer.reward.reward_memory`.

        Raises:
            RewardError: It keeps something that cannot be saved.
        """
        try:
            return take_memory(self._runs[id(function)][1])
        except ValueError as problem:
            what = "it cannot be copied with the environment; make it inside the function"
            raise RewardError(f"{self.path}: {problem}; {what}") from problem

    def remember(self, function: RewardFunction, memory: bytes) -> RewardFunction:
        """Let `function`, one of `functions`, remember what another one did.

        Returns:
            The function from now on: another one where it is an object with a memory of its own.
        """
        names = self._runs.pop(id(function))[1]
        restore_memory(names, memory)
        function = getattr(sys.modules[names[0]], FUNCTION_NAME)
        self._runs[id(function)] = function, names
        return function

    @contextmanager
    def watched(self, seconds: float = CALLS_TIMEOUT_S) -> Iterator[None]:
        """A deadline for the calls inside; it works in the main thread, see `deadline`.

        A call of the file's that would end the process is an error of the file. Files that a run
        keeps are found by relative paths, too: their folder is the current one inside.

        Raises:
            RewardError: They still run after so many seconds; the message names the line.
        """
        try:
            with timeout_after(seconds), exits_raised(), self._at_home():
                yield
        except TimeoutExceeded as problem:
            what = f"still running after {seconds:g} s; a loop that does not end?"
            raise self._error(*self._place(problem), what) from problem

    def _run(self) -> RewardFunction:
        module = ModuleType(f"{FUNCTION_NAME}_{next(_numbers)}")
        module.__file__ = self._file
        sys.modules[module.__name__] = module
        names = self._siblings.adopt(module)
        weakref.finalize(self, forget_modules, names).atexit = False
        try:
            exec(self._code, module.__dict__)
        except (Exception, SystemExit) as problem:
            raise self._raised(problem, {}) from problem
        function = getattr(module, FUNCTION_NAME, None)
        if not callable(function):
            got = (
                f"{FUNCTION_NAME} = {function!r:.100}"
                if hasattr(module, FUNCTION_NAME)
                else "there is none"
            )
            raise RewardError(f"{self.path}: must define `def {FUNCTION_NAME}(params):`; {got}")
        self._runs[id(function)] = function, names
        return function

    def _raised(self, problem: BaseException, params: dict[str, Any]) -> RewardError:
        what = f"{type(problem).__name__}: {problem}{_hint(problem, params)}"
        if isinstance(problem, SyntaxError) and problem.filename in self._siblings.paths:
            what = f"{type(problem).__name__}: {problem.msg}"
            return self._error(problem.filename, problem.lineno, what)
        return self._error(*self._place(problem), what)

    def _place(self, problem: BaseException) -> tuple[str, int | None]:
        """The innermost line of the user's files that led to an exception."""
        users = {str(self.path), *self._siblings.paths}
        frames = traceback.extract_tb(problem.__traceback__)
        mine = [(frame.filename, frame.lineno) for frame in frames if frame.filename in users]
        return mine[-1] if mine else (str(self.path), None)

    def _refused(self, function: RewardFunction, reward: Any) -> RewardError:
        code = _code(function)
        line = code.co_firstlineno if code and code.co_filename == str(self.path) else None
        what = f"{FUNCTION_NAME} returned {reward!r:.100} ({type(reward).__name__})"
        wanted = (
            f"it must return a finite number from {-MAX_ABS_REWARD:.0f} to {MAX_ABS_REWARD:.0f}"
        )
        return self._error(str(self.path), line, f"{what}; {wanted}")

    def _error(self, path: str, line: int | None, message: str) -> RewardError:
        shown, lines = self.path, self._lines
        if path != str(self.path):  # A sibling, named as a person would: beside the reward.
            shown = self.path.parent / os.path.relpath(path, self.path.absolute().parent)
            lines = linecache.getlines(path)
        source = lines[line - 1].strip() if line and line <= len(lines) else ""
        return RewardError(_at(shown, line, message, source))

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        if not self._home:
            yield
            return
        before = os.getcwd()
        os.chdir(self._home)
        try:
            yield
        finally:
            os.chdir(before)


def _home(path: Path) -> Path | None:
    """The folder that relative paths of a reward start from, where a run keeps its files."""
    try:
        kept = json.loads((path.parent / FILES_RECORD).read_bytes())
        return path.absolute().parent if path.name in kept else None
    except (OSError, ValueError, TypeError):
        return None


def _number(reward: Any) -> float | None:
    """What `float` makes of a reward, of an array of one element too; None where nothing."""
    try:
        return float(reward.item() if isinstance(reward, np.ndarray) else reward)
    except (TypeError, ValueError, OverflowError):
        return None


def _code(function: Any) -> CodeType | None:
    """What a function, a partial, a decorated function or a callable object runs."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    return getattr(function, "__code__", None)


def _hint(problem: BaseException, params: dict[str, Any]) -> str:
    """What the params have where a key or an index is not there; may be nothing."""
    if isinstance(problem, KeyError) and problem.args and problem.args[0] not in params:
        near = get_close_matches(str(problem.args[0]), params, 1)
        return f"; did you mean {near[0]!r}?" if near else ""
    if isinstance(problem, IndexError) and "waypoints" in params:
        last, objects = len(params["waypoints"]) - 1, len(params["objects_location"])
        return f"; this track's waypoints are 0 to {last}, and objects on the road: {objects}"
    return ""


def _at(path: Path, line: int | None, message: str, source: str) -> str:
    where = f"{path}:{line}" if line else str(path)
    return f"{where}: {message}" + (f"\n    {source}" if source else "")
