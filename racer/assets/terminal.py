"""The terminal as it is: commands to paste, no colour, a poor encoding, a reader who goes away."""

from __future__ import annotations

import io
import os
import select
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from racer.assets.notebook import has_widgets

if TYPE_CHECKING:
    from rich.console import Console


def make_console(**options: Any) -> Console:
    """Return a rich console that writes no escapes for colour and weight where NO_COLOR is set.

    rich itself leaves the weight in. A reader who goes away is a BrokenPipeError, as with `print`.
    In a notebook without ipywidgets, which rich's progress bars need, it writes plain lines.
    """
    import rich.console

    class Plain(rich.console.Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    if os.environ.get("NO_COLOR"):
        options["color_system"] = None
    made = Plain(**options)
    if made.is_jupyter and not has_widgets():
        # A kernel sets FORCE_COLOR, by which rich takes a cell for a terminal.
        options |= {"force_jupyter": False, "force_terminal": False}
        made = Plain(**options)
    return made


def shell_command(*words: str | Path) -> str:
    """A racer command as it can be pasted into a shell.

    A path that begins with a dash, which would read as an option, begins with `./` instead.
    """
    safe = (f"./{one}" if isinstance(one, Path) and str(one)[:1] == "-" else one for one in words)
    return shlex.join(["racer", *map(str, safe)])


def write_any_text() -> None:
    """Let standard output and error take every character: what they cannot encode is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def has_no_reader(stream: Any) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    watched = select.poll()
    watched.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def discard_output(stream: Any) -> None:
    """Lead a stream whose reader went away into nowhere; what it still holds goes there too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
