"""Commands of `racer` that the studio runs as processes of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from racer.errors import StudioError

RACER = (sys.executable, "-m", "racer.cli")
"""The words that start the command line with this Python."""
STOPPED_EXIT_CODES = (0, 3)
"""Exit codes of a training that ended well: it is done, or it was stopped and is saved."""


class TrainingCommands:
    """Starts trainings that outlive the studio, and remembers what those that failed said."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._started: dict[Path, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self._failures: dict[Path, str] = {}

    def train(self, config: Path, folder: Path, parent: Path | None = None) -> None:
        """Start `racer train` for a new run.

        Args:
            config: The config's file.
            folder: The new run's folder.
            parent: The run with whose weights it begins; None for new weights.

        Raises:
            StudioError: The studio has just started one for this folder.
        """
        words = ["train", str(config), "--run", str(folder), "--quiet"]
        self._start(folder, [*words, *(["--from", str(parent)] if parent else [])])

    def resume(self, folder: Path, total_timesteps: int | None = None) -> None:
        """Start `racer train --resume` for a run.

        Args:
            folder: The run's folder.
            total_timesteps: The new total of control steps; None for the config's.

        Raises:
            StudioError: The studio has just started one for this run.
        """
        words = ["train", "--resume", str(folder), "--quiet"]
        if total_timesteps is not None:
            words += ["--total-timesteps", str(total_timesteps)]
        self._start(folder, words)

    def _start(self, folder: Path, words: Sequence[str]) -> None:
        """Start a command that trains the run in a folder."""
        with self._starting:
            if self.is_alive(folder):
                raise StudioError(f"{folder}: a training of this run has been started already")
            errors = tempfile.TemporaryFile()  # noqa: SIM115 - read once the process has ended
            # In a session of its own, so that Ctrl-C ends the studio and not the training.
            process = subprocess.Popen(
                [*RACER, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            self._failures.pop(folder, None)
            self._started[folder] = process, errors

    def is_alive(self, folder: Path) -> bool:
        """Return whether a training that the studio started for a run is still there."""
        if folder not in self._started:
            return False
        process, errors = self._started[folder]
        if (code := process.poll()) is None:
            return True
        if self._started.pop(folder, None):
            with errors:
                errors.seek(0)
                said = errors.read().decode("utf-8", errors="replace").strip()
            if code not in STOPPED_EXIT_CODES:
                said = said.removeprefix("racer: ") or f"it ended with code {code}"
                self._failures[folder] = said
        return False

    def failure(self, folder: Path) -> str:
        """Return what the last training that was started for a run said if it failed; else ""."""
        return "" if self.is_alive(folder) else self._failures.get(folder, "")


def run_command(words: Sequence[str]) -> str:
    """Run a command of `racer`, wait for its end, and return what it said.

    Raises:
        StudioError: It failed; the message is the command's own.
    """
    done = subprocess.run([*RACER, *words], stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        said = done.stderr.decode("utf-8", errors="replace").strip().removeprefix("racer: ")
        raise StudioError(said or f"racer {words[0]} ended with code {done.returncode}")
    return done.stdout.decode("utf-8", errors="replace").strip()
