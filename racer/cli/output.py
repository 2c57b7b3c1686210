"""Output of the commands: lines for a person, JSON for a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from racer.assets.terminal import make_console as make_console
from racer.assets.terminal import shell_command as shell_command
from racer.errors import RacerError

if TYPE_CHECKING:
    from racer.evaluation import LapResult


def result_line(result: LapResult) -> str:
    """Return a race in one line: laps, times and faults."""
    return result.summary


def say_aside(line: str) -> None:
    """Print a line beside the output of a command, on stderr."""
    make_console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def confirm(what: str, is_agreed: bool) -> None:
    """Ask on the terminal whether to do something, and return if the answer is yes.

    Args:
        what: What would be done, such as `write over run.mp4`.
        is_agreed: Whether `--yes` was given; then nothing is asked.

    Raises:
        RacerError: The answer is not yes, or there is no terminal to ask on.
    """
    if is_agreed:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise RacerError(f"there is no terminal to ask on; add --yes to {what}")
    print(f"{what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RacerError("nothing was done")


def print_json(value: Any) -> None:
    """Print a value as JSON; raise ValueError if it has a NaN or an infinity."""
    import json

    print(json.dumps(value, indent=2, allow_nan=False))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal, and nothing elsewhere.

    Args:
        what: What makes progress, shown before the bar.

    Yields:
        A function that is called with the numbers of steps done and of all steps.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    shown = make_console(stderr=True)
    with Progress(*columns, console=shown, disable=not shown.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, all: bar.update(task, completed=done, total=all)


def open_browser(url: str) -> None:
    """Open a page in the user's browser in a second; do nothing where there is no desktop.

    Without a desktop, Python would open a browser in this terminal.
    """
    import os
    import threading
    import webbrowser

    has_desktop = sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    if has_desktop:
        opening = threading.Timer(1.0, webbrowser.open, (url,))
        opening.daemon = True
        opening.start()
