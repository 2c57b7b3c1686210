"""How the verbs speak: a sentence for a person, JSON for a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from racer.assets.terminal import make_console as make_console
from racer.assets.terminal import shell_command as shell_command
from racer.errors import BoardError

if TYPE_CHECKING:
    from racer.evaluation import LapResult


def result_line(result: LapResult) -> str:
    """A race in one line: laps, times, and what went wrong."""
    return result.summary


def confirm(what: str, is_agreed: bool) -> None:
    """Ask on the terminal whether to do something; return where the answer is yes.

    Args:
        what: What is done, such as `write over run.mp4`.
        is_agreed: Whether `--yes` was given, so that nothing is asked.

    Raises:
        BoardError: The answer is another, or there is no terminal to ask on.
    """
    if is_agreed:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise BoardError(f"there is no terminal to ask on; add --yes to {what}")
    print(f"{what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise BoardError("nothing was done")


def print_json(value: Any) -> None:
    """Print a value as JSON, which knows no NaN."""
    import json

    print(json.dumps(value, indent=2, allow_nan=False))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, and what tells it how many are done of how many; elsewhere nothing."""
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
