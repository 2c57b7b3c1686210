"""What a training says while it runs, where no terminal shows a progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console

from racer.errors import RunError
from racer.evaluation import LapResult


class TrainingLog:
    """Lines with their time, appended to files, and printed where the console is no terminal.

    A line that cannot be written is dropped: a training does not end of it.

    Args:
        paths: The files.
        console: Where lines are printed, without their time.

    Raises:
        RunError: A file cannot be written.
    """

    def __init__(self, paths: Sequence[Path], console: Console) -> None:
        self._paths, self._console = paths, console
        for path in paths:
            refuse_unwritable(path)

    def say(self, text: str) -> None:
        """Add a line to the files and, where it is no terminal, to the console."""
        self.keep(text)
        if not has_bar(self._console):
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def keep(self, text: str) -> None:
        """Add a line to the files alone."""
        line = f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}\n"
        for path in self._paths:
            with suppress(OSError), path.open("a", encoding="utf-8") as file:
                file.write(line)


def refuse_unwritable(path: Path) -> None:
    """Make a file to append to, where it is not there.

    Raises:
        RunError: It cannot be written.
    """
    try:
        path.open("a").close()
    except OSError as problem:
        raise RunError(f"{path}: cannot be written: {problem.strerror}") from problem


def has_bar(console: Console) -> bool:
    """Whether a console can show a progress bar: a terminal, or a notebook's cell."""
    return console.is_terminal or console.is_jupyter


def progress_line(
    steps: int, total: int, steps_per_s: float, result: LapResult, seconds_left: float
) -> str:
    """A training's progress and its last evaluation in one line."""
    parts = [
        f"{steps:,} of {total:,} steps",
        f"{steps_per_s:,.0f} steps/s",
        f"{result.laps_completed} of {result.laps} laps",
    ]
    if result.best_lap_s is not None:
        parts.append(f"best lap {result.best_lap_s:.2f} s")
    if result.x_limit is not None:
        parts.append(f"{result.x_limit:.2f} x the limit")
    return ", ".join([*parts, f"{format_duration(seconds_left)} left"])


def format_duration(seconds: float) -> str:
    """A duration for a person, such as `1 h 02 min`, `4 min 10 s` or `35 s`."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
