"""A user's reward file: found, compiled once, run once a car, and its errors given a line."""

from __future__ import annotations

import hashlib
import importlib.util
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from racer import assets
from racer.errors import RewardError

NAME = "reward_function"
LIMIT = 1e5
"""Largest absolute reward; beyond it DeepRacer, too, takes a reward for a mistake."""
NUMBERS = (int, float, np.integer, np.floating, np.bool_)
SHIPPED = "configs/rewards"

RewardFunction = Callable[[dict[str, Any]], Any]


class RewardSource:
    """A reward file as it was read.

    Attributes:
        path: Where it was read from.
        sha256: Digest of its bytes, in hexadecimal.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        """Compile a file's content; `read` also tries it out.

        Raises:
            RewardError: It is not Python; the message names the line.
        """
        self.path = path
        self.sha256 = hashlib.sha256(content).hexdigest()
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
        folder = assets.root() / SHIPPED
        for path in (Path(name), assets.root() / name, folder / name, folder / f"{name}.py"):
            if path.is_file():
                return cls.read(path)
        shipped = ", ".join(sorted(path.stem for path in folder.glob("*.py"))) or "none"
        raise RewardError(
            f"no file {name!r}, and {SHIPPED}/ has no such name; shipped there: {shipped}"
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

        Raises:
            RewardError: The file raises while it runs, or has no such function.
        """
        return [self._run() for _ in range(n)]

    def call(self, function: RewardFunction, params: dict[str, Any]) -> float:
        """What `function`, one of `functions`, pays for `params`.

        Raises:
            RewardError: It raises, or returns anything but a finite number within 1e5 of 0.
        """
        try:
            reward = function(params)
        except (Exception, SystemExit) as problem:
            raise self._raised(problem) from problem
        if type(reward) is float and -LIMIT <= reward <= LIMIT:
            return reward
        if isinstance(reward, NUMBERS) and -LIMIT <= reward <= LIMIT:
            return float(reward)
        raise self._refused(function, reward)

    def _run(self) -> RewardFunction:
        namespace: dict[str, Any] = {"__name__": NAME, "__file__": str(self.path)}
        try:
            exec(self._code, namespace)
        except (Exception, SystemExit) as problem:
            raise self._raised(problem) from problem
        function = namespace.get(NAME)
        if not callable(function):
            got = f"{NAME} = {function!r:.100}" if NAME in namespace else "there is none"
            raise RewardError(f"{self.path}: must define `def {NAME}(params):`; {got}")
        return function

    def _raised(self, problem: BaseException) -> RewardError:
        """The innermost line of the user's file that led to an exception."""
        frames = traceback.extract_tb(problem.__traceback__)
        mine = [frame.lineno for frame in frames if frame.filename == str(self.path)]
        return self._error(mine[-1] if mine else None, f"{type(problem).__name__}: {problem}")

    def _refused(self, function: RewardFunction, reward: Any) -> RewardError:
        code = getattr(function, "__code__", None)
        line = None
        if isinstance(code, CodeType) and code.co_filename == str(self.path):
            line = code.co_firstlineno
        what = f"{NAME} returned {reward!r:.100} ({type(reward).__name__})"
        wanted = f"it must return a finite number from {-LIMIT:.0f} to {LIMIT:.0f}"
        return self._error(line, f"{what}; {wanted}")

    def _error(self, line: int | None, message: str) -> RewardError:
        source = self._lines[line - 1].strip() if line and line <= len(self._lines) else ""
        return RewardError(_at(self.path, line, message, source))


def _at(path: Path, line: int | None, message: str, source: str) -> str:
    where = f"{path}:{line}" if line else str(path)
    return f"{where}: {message}" + (f"\n    {source}" if source else "")
