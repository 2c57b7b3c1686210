"""The log of a training: lines in files, and on a console that cannot show a progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console

from racer.errors import RunError
from racer.evaluation import LapResult


class TrainingLog:
    """Appends lines with date and time to files, and prints them if there is no progress bar.

    A line that cannot be written is dropped, so that the training continues.

    Args:
        paths: The files.
        console: Where lines are printed, without date and time, unless it shows a progress bar.

    Raises:
        RunError: A file cannot be written.
    """

    def __init__(self, paths: Sequence[Path], console: Console) -> None:
        self._paths, self._console = paths, console
        for path in paths:
            refuse_unwritable(path)

    def say(self, text: str) -> None:
        """Append a line to the files, and print it unless the console shows a progress bar."""
        self.keep(text)
        if not has_bar(self._console):
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def keep(self, text: str) -> None:
        """Append a line to the files only."""
        line = f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}\n"
        for path in self._paths:
            with suppress(OSError), path.open("a", encoding="utf-8") as file:
                file.write(line)


def refuse_unwritable(path: Path) -> None:
    """Raise RunError if a file cannot be appended to; create it if it does not exist.

    Raises:
        RunError: The file cannot be written.
    """
    try:
        path.open("a").close()
    except OSError as problem:
        raise RunError(f"{path}: cannot be written: {problem.strerror}") from problem


def has_bar(console: Console) -> bool:
    """Return whether a console can show a progress bar: a terminal, or a notebook's cell."""
    return console.is_terminal or console.is_jupyter


def progress_line(
    steps: int, total: int, steps_per_s: float, result: LapResult, seconds_left: float
) -> str:
    """Return a training's progress and its last evaluation in one line.

    Args:
        steps: Control steps trained so far, over all cars.
        total: Control steps of the whole training.
        steps_per_s: Control steps per second.
        result: The first race of the last evaluation.
        seconds_left: Estimated wall-clock time until the training ends [s].
    """
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
    """Return a duration in words, such as `1 h 02 min`, `4 min 10 s` or `35 s`."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
