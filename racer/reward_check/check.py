"""The check of a reward file: run it in many states, and probe it for reward hacking."""

from __future__ import annotations

import ast
import io
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from racer.errors import RewardError
from racer.race import Ending
from racer.reward.compiled_reward import compile_reward
from racer.reward.compiler.types import NotCompiled
from racer.reward.param_cases import ParamCase, case_params, param_cases
from racer.reward.reward_file import FUNCTION_NAME, RewardSource
from racer.reward.timeout import TimeoutExceeded
from racer.reward_check.probes import rewards_of_tape, run_probes
from racer.track import Track

SLOW_CALL_S = 1e-3
"""A longer call [s] costs more than a car's share of physics and camera."""


@dataclass(frozen=True)
class RewardFinding:
    """One problem that the check found.

    Attributes:
        kind: The kind of problem.
        message: The problem, with file and line where known.
    """

    kind: Literal["unknown key", "error", "slow", "prints", "constant", "converted", "trick"]
    message: str


@dataclass
class RewardReport:
    """The result of a reward check.

    Attributes:
        path: The file.
        sha256: Digest of its bytes.
        tracks: Names of the tracks.
        cases: Number of combinations of track, direction and kind of race.
        calls: Number of calls.
        call_us: Median time of a call [us].
        least: Smallest reward of all states.
        most: Largest reward of all states.
        clean_lap: Return of an honest lap; None if it could not be driven or rewarded.
        tricks: Return of each reward hacking probe.
        compiled: Whether it is compiled for many cars; it pays the same either way.
        in_python: Why it is not, or which steps of it are not; empty if all are compiled.
        findings: The problems found.
    """

    path: str
    sha256: str
    tracks: list[str]
    cases: int = 0
    calls: int = 0
    call_us: float = 0.0
    least: float = 0.0
    most: float = 0.0
    clean_lap: float | None = None
    tricks: dict[str, float] = field(default_factory=dict)
    compiled: bool = False
    in_python: str = ""
    findings: list[RewardFinding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as documented for `--json`, in plain values."""
        return asdict(self)

    def as_lines(self) -> list[str]:
        """Return the report as lines of text, warnings first."""
        lines = [f"warning, {finding.kind}: {finding.message}" for finding in self.findings]
        calls = f"{self.calls} calls on {', '.join(self.tracks)}, {self.call_us:.1f} us each"
        lines.append(f"{self.path}: {calls}, rewards from {self.least:.4g} to {self.most:.4g}")
        if self.clean_lap is not None:
            tricks = ", ".join(f"{name} {earned:.4g}" for name, earned in self.tricks.items())
            lines.append(f"a clean lap of {self.tracks[0]} earns {self.clean_lap:.4g}; {tricks}")
        if self.compiled:
            rest = f"; in Python: {self.in_python}" if self.in_python else ""
            lines.append(f"compiled for many cars, the same to the bit{rest}")
        else:
            lines.append(f"called as Python for every car, not compiled: {self.in_python}")
        return lines if self.findings else [*lines, "nothing wrong was found"]


def check_reward(source: RewardSource, tracks: list[Track]) -> RewardReport:
    """Call a reward in states of every kind of race, and probe it for reward hacking.

    Args:
        source: The reward file.
        tracks: The tracks; the probes are driven on the first.

    Returns:
        The report.

    Raises:
        RewardError: The reward fails in every kind of race; the message names the line.
    """
    report = RewardReport(str(source.path), source.sha256, [track.name for track in tracks])
    every = param_cases(tracks)
    printed = io.StringIO()
    with redirect_stdout(printed):
        report.findings += _unknown_keys(source, set(case_params(every[0])[0]))
        _drive_through(source, every, report)
        _try_tricks(source, tracks[0], report)
        _try_compiling(source, tracks, report)
    if source.converted:
        said = f"{source.path}: it returned {source.converted[0]}, which is taken as a number, as "
        said += "DeepRacer does; return float(...) to be sure of what is meant"
        report.findings.append(RewardFinding("converted", said))
    if printed.tell():
        line = printed.getvalue().partition("\n")[0]
        report.findings.append(
            RewardFinding(
                "prints", f"it prints while it is called; with many cars that is slow: {line!r}"
            )
        )
    return report


def _drive_through(source: RewardSource, every: list[ParamCase], report: RewardReport) -> None:
    """Call the reward in the states of each case, and report which cases fail."""
    failures: dict[str, list[ParamCase]] = {}
    paid, spent = [], []
    for case in every:
        try:
            function = source.functions(1)[0]
            for params in case_params(case):
                with source.watched():
                    began = time.perf_counter()
                    paid.append(source.call(function, params))
                    spent.append(time.perf_counter() - began)
        except RewardError as problem:
            if isinstance(problem.__cause__, TimeoutExceeded):
                raise  # It would hang as long in each of the other cases.
            failures.setdefault(str(problem), []).append(case)
    if sum(map(len, failures.values())) == len(every):
        message, where = next(iter(failures.items()))
        raise RewardError(f"{message}\n  on {where[0]}, and no race can use this file")
    report.cases, report.calls = len(every), len(spent)
    report.call_us = float(np.median(spent) * 1e6)
    report.least, report.most = min(paid), max(paid)
    for message, where in failures.items():
        places = f"{where[0]}" + (f" and {len(where) - 1} more" if len(where) > 1 else "")
        report.findings.append(RewardFinding("error", f"{message}\n  on {places}"))
    if report.call_us > SLOW_CALL_S * 1e6:
        said = f"{source.path}: a call takes {report.call_us / 1000:.1f} ms; training waits for it"
        report.findings.append(RewardFinding("slow", said))
    if report.least == report.most:
        said = f"{source.path}: it pays {report.least:g} whatever the car does"
        report.findings.append(RewardFinding("constant", said))


def _try_tricks(source: RewardSource, track: Track, report: RewardReport) -> None:
    """Compare the return of each probe with that of an honest lap."""
    honest, tried = run_probes(track)
    if honest.ending != Ending.LAPS_COMPLETE:
        return
    try:
        report.clean_lap = sum(rewards_of_tape(source, honest.params))
        report.tricks = {
            name: sum(rewards_of_tape(source, tape.params)) for name, tape in tried.items()
        }
    except RewardError:
        return  # The case without objects has reported it already.
    for name, earned in report.tricks.items():
        if earned >= report.clean_lap:
            said = f"{name} earns {earned:.4g} and a clean lap {report.clean_lap:.4g}"
            report.findings.append(RewardFinding("trick", f"{source.path}: {said} on {track.name}"))


def _try_compiling(source: RewardSource, tracks: list[Track], report: RewardReport) -> None:
    """Note whether the reward is compiled, and what stops it or is left to Python."""
    try:
        _, proof = compile_reward(source, tracks)
    except NotCompiled as problem:
        report.in_python = _reason_in(source, problem.what, problem.line)
        return
    report.compiled = True
    if proof.reasons:
        shown = [_reason_in(source, one.what, one.line) for one in proof.reasons]
        share = f"{100 * proof.left / proof.states:.1f} % of the steps"
        report.in_python = f"{share}, {', '.join(shown)}"


def _reason_in(source: RewardSource, what: str, line: int | None) -> str:
    return f"{source.path}:{line}: {what}" if line else what


def _unknown_keys(source: RewardSource, known: set[str]) -> list[RewardFinding]:
    """Return a finding for each key that the file reads and that params never have."""
    tree = ast.parse(source.content)
    asked, own = {}, set(known)
    names = {"params"} | {
        node.args.args[0].arg
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == FUNCTION_NAME and node.args.args
    }
    for key, line, is_stored in _keys(tree, names):
        if is_stored:
            own.add(key)
        else:
            asked.setdefault(key, line)
    found = []
    for key, line in asked.items():
        if key not in own:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            said = f"{source.path}:{line}: params has no key {key!r}; {hint}"
            found.append(RewardFinding("unknown key", said))
    return found


def _keys(tree: ast.AST, names: set[str]) -> Iterator[tuple[str, int, bool]]:
    """Yield each `params["key"]` and `params.get("key")`: key, line, and whether it is stored."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            owner, key = node.value, node.slice
            is_stored = not isinstance(node.ctx, ast.Load)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            owner, key, is_stored = node.func.value, node.args[0], False
        else:
            continue
        if not (isinstance(owner, ast.Name) and owner.id in names):
            continue
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, key.lineno, is_stored
