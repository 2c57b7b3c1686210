"""Finds, compiles and runs a user's reward file, once for each car, and locates its errors."""

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
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from racer import assets
from racer.errors import RewardError
from racer.reward.neighbour_modules import NeighbourModules, forget_modules
from racer.reward.process_exits import ExitsRaised
from racer.reward.reward_memory import restore_memory, take_memory
from racer.reward.timeout import TimeoutExceeded, timeout_after

FUNCTION_NAME = "reward_function"
MAX_ABS_REWARD = 1e5
"""Largest absolute reward; DeepRacer too treats a larger one as a mistake."""
CALLS_TIMEOUT_S = 10.0
"""Time limit of one control step's calls for all cars together [s]."""
LOADING_TIMEOUT_S = 60.0
"""Time limit for running a file for all cars [s]; its imports may be large."""
NUMBER_TYPES = (int, float, np.integer, np.floating, np.bool_)
SHIPPED_REWARDS = "configs/rewards"
FILES_RECORD = "files.json"
"""Name of the file beside a reward kept by a run: SHA-256 of the reward's files by their names."""

RewardFunction = Callable[[dict[str, Any]], Any]

_numbers = itertools.count()


class RewardSource:
    '''A reward file, compiled, whose function can be run separately for each car.

    Attributes:
        path: File that it was read from.
        content: Its bytes.
        sha256: SHA-256 of its bytes, in hexadecimal.
        converted: Description of the first returned value that is not a number but that `float`
            converts, as DeepRacer does; empty if there was none.

    Example:
        >>> from pathlib import Path
        >>> source = RewardSource(Path("mine.py"), b"""
        ... def reward_function(params):
        ...     return 1.0 - params["distance_from_center"] / params["track_width"]
        ... """)
        >>> (function,) = source.functions(1)
        >>> source.call(function, {"distance_from_center": 0.25, "track_width": 1.0})
        0.75
    '''

    def __init__(self, path: Path, content: bytes) -> None:
        """Compile a file's content without running it; see `read`.

        Raises:
            RewardError: If it is not valid Python; the message names the line.
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
        """Return the reward at a path, or a shipped one by its name, e.g. `progress`.

        Raises:
            RewardError: If there is no such file, or as `read`.
        """
        return cls.read(find_reward(name))

    @classmethod
    def read(cls, path: Path | str) -> RewardSource:
        """Return the reward at `path`, after running it once to check that it can be used.

        Raises:
            RewardError: If it cannot be read, is not Python, raises, or does not define
                `reward_function`.
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
        """Return n reward functions, each from a separate run of the file, so none shares state.

        Each run is a separate module in `sys.modules`, where dataclasses and pickle look for it,
        until this source is garbage collected.

        Raises:
            RewardError: If the file raises or hangs while it runs, or has no such function.
        """
        with self.watched(LOADING_TIMEOUT_S):
            return [self._run() for _ in range(n)]

    def call(self, function: RewardFunction, params: dict[str, Any]) -> float:
        """Return the reward of `function`, one of `functions`, for `params`.

        Raises:
            RewardError: If it raises, or returns anything but a number from -1e5 to 1e5.
        """
        try:
            reward = function(params)
        except (Exception, SystemExit) as problem:
            raise self.raised(problem, params) from problem
        if type(reward) is float and -MAX_ABS_REWARD <= reward <= MAX_ABS_REWARD:
            return reward
        number = _number(reward)
        if number is None or not -MAX_ABS_REWARD <= number <= MAX_ABS_REWARD:
            raise self._refused(function, reward)
        if not isinstance(reward, NUMBER_TYPES) and not self.converted:
            self.converted.append(f"{reward!r:.60} ({type(reward).__name__})")
        return number

    def raised(self, problem: BaseException, params: dict[str, Any]) -> RewardError:
        """Return the error, with its line, for an exception that the file raised.

        Args:
            problem: The exception.
            params: The params of the call.
        """
        what = f"{type(problem).__name__}: {problem}{_hint(problem, params)}"
        if isinstance(problem, SyntaxError) and problem.filename in self._siblings.paths:
            what = f"{type(problem).__name__}: {problem.msg}"
            return self._error(problem.filename, problem.lineno, what)
        return self._error(*self._place(problem), what)

    def module_of(self, function: RewardFunction) -> ModuleType:
        """Return the module of a run, given its function, one of `functions`."""
        return sys.modules[self._runs[id(function)][1][0]]

    def remembered(self, function: RewardFunction) -> bytes:
        """Return the state of `function`, one of `functions`; see `racer.reward.reward_memory`.

        Raises:
            RewardError: If a variable of the file cannot be saved.
        """
        try:
            return take_memory(self._runs[id(function)][1])
        except ValueError as problem:
            what = "it cannot be copied with the environment; make it inside the function"
            raise RewardError(f"{self.path}: {problem}; {what}") from problem

    def remember(self, function: RewardFunction, memory: bytes) -> RewardFunction:
        """Restore a state from `remembered` into the run of `function`, one of `functions`.

        Returns:
            The function to call from now on. It is another object than `function` if
            `reward_function` is a callable object that was saved with the state.
        """
        names = self._runs.pop(id(function))[1]
        restore_memory(names, memory)
        function = getattr(sys.modules[names[0]], FUNCTION_NAME)
        self._runs[id(function)] = function, names
        return function

    @contextmanager
    def watched(self, seconds: float = CALLS_TIMEOUT_S) -> Iterator[None]:
        """Run the calls inside with a time limit; in the main thread only, see `timeout_after`.

        Calls of the file that would end the process raise instead. For a reward that a run keeps
        together with its files, their folder is the current one inside, so that relative paths
        find them.

        Args:
            seconds: The time limit [s].

        Raises:
            RewardError: If the limit is exceeded; the message names the line.
        """
        try:
            home = self._at_home() if self._home else nullcontext()
            with timeout_after(seconds), ExitsRaised(), home:
                yield
        except TimeoutExceeded as problem:
            what = f"still running after {seconds:g} s; a loop that does not end?"
            raise self._error(*self._place(problem), what) from problem

    def _run(self) -> RewardFunction:
        """Run the file as a new module, and return its `reward_function`."""
        module = ModuleType(f"{FUNCTION_NAME}_{next(_numbers)}")
        module.__file__ = self._file
        sys.modules[module.__name__] = module
        names = self._siblings.adopt(module)
        weakref.finalize(self, forget_modules, names).atexit = False
        try:
            exec(self._code, module.__dict__)
        except (Exception, SystemExit) as problem:
            raise self.raised(problem, {}) from problem
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

    def _place(self, problem: BaseException) -> tuple[str, int | None]:
        """Return file and line of the innermost frame of an exception in the user's files."""
        users_files = {str(self.path), *self._siblings.paths}
        frames = traceback.extract_tb(problem.__traceback__)
        places = [(frame.filename, frame.lineno) for frame in frames]
        users = [place for place in places if place[0] in users_files]
        return users[-1] if users else (str(self.path), None)

    def _refused(self, function: RewardFunction, reward: Any) -> RewardError:
        """Return the error for a returned value that is not a number in range."""
        code = _code(function)
        line = code.co_firstlineno if code and code.co_filename == str(self.path) else None
        what = f"{FUNCTION_NAME} returned {reward!r:.100} ({type(reward).__name__})"
        wanted = (
            f"it must return a finite number from {-MAX_ABS_REWARD:.0f} to {MAX_ABS_REWARD:.0f}"
        )
        return self._error(str(self.path), line, f"{what}; {wanted}")

    def _error(self, path: str, line: int | None, message: str) -> RewardError:
        shown, lines = self.path, self._lines
        if path != str(self.path):  # A sibling; show its path relative to the reward's.
            shown = self.path.parent / os.path.relpath(path, self.path.absolute().parent)
            lines = linecache.getlines(path)
        source = lines[line - 1].strip() if line and line <= len(lines) else ""
        return RewardError(_at(shown, line, message, source))

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Make the folder of a reward that a run keeps the current folder inside."""
        assert self._home
        before = os.getcwd()
        os.chdir(self._home)
        try:
            yield
        finally:
            os.chdir(before)


def find_reward(name: str) -> Path:
    """Return the path of a reward file that is given by its path or by a shipped one's name.

    Raises:
        RewardError: There is no such file.
    """
    folder = assets.assets_root() / SHIPPED_REWARDS
    for path in (Path(name), assets.assets_root() / name, folder / name, folder / f"{name}.py"):
        if path.is_file():
            return path
    shipped = ", ".join(shipped_rewards()) or "none"
    raise RewardError(
        f"no file {name!r}, and {SHIPPED_REWARDS}/ has no such name; shipped there: {shipped}"
    )


def shipped_rewards() -> list[str]:
    """Return the sorted names of the reward files that ship with racer."""
    return sorted(path.stem for path in (assets.assets_root() / SHIPPED_REWARDS).glob("*.py"))


def _home(path: Path) -> Path | None:
    """Return the folder of a reward that a run keeps together with its files; else None."""
    try:
        kept = json.loads((path.parent / FILES_RECORD).read_bytes())
        return path.absolute().parent if path.name in kept else None
    except (OSError, ValueError, TypeError):
        return None


def _number(reward: Any) -> float | None:
    """Return a reward as a float, also from an array of one element; None if it is not one."""
    try:
        return float(reward.item() if isinstance(reward, np.ndarray) else reward)
    except (TypeError, ValueError, OverflowError):
        return None


def _code(function: Any) -> CodeType | None:
    """Return the code object behind a function, partial, decorated function or callable object."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    return getattr(function, "__code__", None)


def _hint(problem: BaseException, params: dict[str, Any]) -> str:
    """Return advice for a missing key or an index out of range; "" if there is none."""
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
