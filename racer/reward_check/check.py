"""What is wrong with a reward file, found before it trains."""

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
from racer.reward.reward_file import FUNCTION_NAME, RewardSource
from racer.reward.timeout import TimeoutExceeded
from racer.reward_check.param_cases import ParamCase, case_params, param_cases
from racer.reward_check.probes import rewards_of_tape, run_probes
from racer.track import Track

SLOW_CALL_S = 1e-3
"""A call longer than this [s] costs more than a car's share of physics and camera."""


@dataclass(frozen=True)
class RewardFinding:
    """One thing to look at.

    Attributes:
        kind: What it is about.
        message: What was found, with file and line where it has them.
    """

    kind: Literal["unknown key", "error", "slow", "prints", "constant", "converted", "trick"]
    message: str


@dataclass
class RewardReport:
    """What a reward did while it was looked over.

    Attributes:
        path: The file.
        sha256: Digest of its bytes.
        tracks: Names of the tracks it was driven on.
        cases: How many kinds of race it was driven through.
        calls: How often it was called.
        call_us: The median time of a call [us].
        least: The smallest reward of all states.
        most: The largest.
        clean_lap: What an honest lap earns; None where none could be driven or paid.
        tricks: What each trick earns.
        findings: What is to be looked at.
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
    findings: list[RewardFinding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report as documented for `--json`; plain values only."""
        return asdict(self)

    def as_lines(self) -> list[str]:
        """The report for a person, warnings first."""
        lines = [f"warning, {finding.kind}: {finding.message}" for finding in self.findings]
        calls = f"{self.calls} calls on {', '.join(self.tracks)}, {self.call_us:.1f} us each"
        lines.append(f"{self.path}: {calls}, rewards from {self.least:.4g} to {self.most:.4g}")
        if self.clean_lap is not None:
            tricks = ", ".join(f"{name} {earned:.4g}" for name, earned in self.tricks.items())
            lines.append(f"a clean lap of {self.tracks[0]} earns {self.clean_lap:.4g}; {tricks}")
        return lines if self.findings else [*lines, "nothing wrong was found"]


def check_reward(source: RewardSource, tracks: list[Track]) -> RewardReport:
    """Drive a reward through the states of every kind of race on some tracks.

    The tricks are tried on the first track.

    Raises:
        RewardError: It cannot be used in any of them; the message names the line.
    """
    report = RewardReport(str(source.path), source.sha256, [track.name for track in tracks])
    every = param_cases(tracks)
    printed = io.StringIO()
    with redirect_stdout(printed):
        report.findings += _unknown_keys(source, set(case_params(every[0])[0]))
        _drive_through(source, every, report)
        _try_tricks(source, tracks[0], report)
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
    """Call the reward in the states of each case, and note what fails where."""
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
                raise  # It would hang in the other races, too, as long each time.
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
    """Compare what tricks earn with what an honest lap does."""
    honest, tried = run_probes(track)
    if honest.ending != Ending.LAPS_COMPLETE:
        return
    try:
        report.clean_lap = sum(rewards_of_tape(source, honest.params))
        report.tricks = {
            name: sum(rewards_of_tape(source, tape.params)) for name, tape in tried.items()
        }
    except RewardError:
        return  # Noted already: it cannot be used on an empty road.
    for name, earned in report.tricks.items():
        if earned >= report.clean_lap:
            said = f"{name} earns {earned:.4g} and a clean lap {report.clean_lap:.4g}"
            report.findings.append(RewardFinding("trick", f"{source.path}: {said} on {track.name}"))


def _unknown_keys(source: RewardSource, known: set[str]) -> list[RewardFinding]:
    """Keys that the file asks its params for and that these never have."""
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
    """Each `params["key"]` and `params.get("key")`: key, line, whether it is written to."""
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
