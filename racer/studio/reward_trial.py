"""A reward file tried while it is being written, in a process that may hang or die."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from racer.studio import commands

TRIAL_DEADLINE_S = 30.0
"""Wall-clock time after which a trial is ended [s]; the check itself gives up on a call before."""


@dataclass(frozen=True)
class RewardRemark:
    """Something that is wrong, or suspicious, in a reward file.

    Attributes:
        text: What it is, without the file's path.
        line: Its line, from 1; None if it has none.
        is_error: Whether the file cannot be used.
    """

    text: str
    line: int | None
    is_error: bool


@dataclass(frozen=True)
class RewardVerdict:
    """The result of `racer reward check` on one track.

    Attributes:
        remarks: What is wrong, errors or warnings.
        report: The report, as `racer reward check --json` prints it; None if the file cannot be
            used.
    """

    remarks: tuple[RewardRemark, ...]
    report: dict[str, Any] | None

    @property
    def is_usable(self) -> bool:
        """Whether a training can use the file."""
        return not any(one.is_error for one in self.remarks)


class RewardTrial:
    """Runs one command on a reward file at a time; a newer one ends the one before."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    async def check(self, path: Path, track: str) -> RewardVerdict | None:
        """Return what `racer reward check` says; None if a newer trial began meanwhile.

        Args:
            path: The reward file.
            track: The track.
        """
        words = ["reward", "check", str(path), "--track", track, "--json"]
        done = await self._run(words)
        return None if done is None else verdict_of(path, *done)

    async def picture(
        self, path: Path, track: str, kind: str, is_reversed: bool
    ) -> bytes | str | None:
        """Return the PNG that `racer reward explain` draws, or why it cannot.

        None if a newer trial began meanwhile.

        Args:
            path: The reward file.
            track: The track.
            kind: The kind of race.
            is_reversed: Whether the track is driven against its own direction.
        """
        with TemporaryDirectory(prefix="racer-studio-") as folder:
            drawn = Path(folder) / "reward.png"
            words = ["reward", "explain", str(path), "--track", track, "--out", str(drawn)]
            words += ["--kind", kind, *(["--reverse"] if is_reversed else [])]
            if (done := await self._run(words)) is None:
                return None
            code, _, said = done
            return _without_path(said, path) if code else drawn.read_bytes()

    def end(self) -> None:
        """End the trial that is running, and all that it started."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                if sys.platform == "win32":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    async def _run(self, words: Sequence[str]) -> tuple[int, str, str] | None:
        """Return the exit code, output and errors of a command; None if a newer one ended it."""
        self.end()
        process = self._process = subprocess.Popen(
            [*commands.RACER, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        said = asyncio.to_thread(process.communicate)
        try:
            out, errors = await asyncio.wait_for(
                asyncio.shield(asyncio.ensure_future(said)), TRIAL_DEADLINE_S
            )
        except asyncio.TimeoutError:
            if self._process is process:
                self.end()
            return 2, "", f"still running after {TRIAL_DEADLINE_S:g} s; a loop that does not end?"
        if self._process is not process:
            return None
        return process.returncode, _text_of(out), _text_of(errors)


def verdict_of(path: Path, code: int, printed: str, errors: str) -> RewardVerdict:
    """Return what a command `racer reward check --json` found.

    Args:
        path: The reward file.
        code: The exit code.
        printed: What it printed.
        errors: What it printed as errors.
    """
    if code:
        said = errors.removeprefix("racer: ") or f"racer reward check ended with code {code}"
        return RewardVerdict((_remark(said, path, is_error=True),), None)
    report = json.loads(printed)
    found = report["findings"]
    return RewardVerdict(
        tuple(_remark(one["message"], path, one["kind"] == "error") for one in found), report
    )


def _text_of(output: bytes) -> str:
    return output.decode("utf-8", errors="replace").strip()


def _remark(message: str, path: Path, is_error: bool) -> RewardRemark:
    found = re.search(rf"{re.escape(str(path))}:(\d+): ", message)
    line = int(found.group(1)) if found else None
    return RewardRemark(_without_path(message, path), line, is_error)


def _without_path(message: str, path: Path) -> str:
    """Return a message in which lines are named without the file."""
    text = re.sub(rf"{re.escape(str(path))}:(\d+): ", r"line \1: ", message)
    return text.replace(f"{path}: ", "").removeprefix("racer: ")
