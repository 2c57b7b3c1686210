"""Output to terminals and pipes: colour, encodings, closed pipes, and commands to paste."""

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
    """Return a rich console that writes neither colour nor bold text if NO_COLOR is set.

    rich itself keeps bold text. A closed pipe raises BrokenPipeError, as `print` does. In a
    notebook without ipywidgets, which rich's progress bars need, the console writes plain lines.

    Args:
        **options: Keyword arguments of `rich.console.Console`.
    """
    import rich.console

    class Plain(rich.console.Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    if os.environ.get("NO_COLOR"):
        options["color_system"] = None
    made = Plain(**options)
    if made.is_jupyter and not has_widgets():
        # A kernel sets FORCE_COLOR, and rich then treats a cell as a terminal.
        options |= {"force_jupyter": False, "force_terminal": False}
        made = Plain(**options)
    return made


def shell_command(*words: str | Path) -> str:
    """Return a racer command that can be pasted into a shell.

    A path that begins with a dash gets `./` in front, so that it is not read as an option.
    """
    safe = (f"./{one}" if isinstance(one, Path) and str(one)[:1] == "-" else one for one in words)
    return shlex.join(["racer", *map(str, safe)])


def write_any_text() -> None:
    """Let standard output and error escape the characters that they cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def has_no_reader(stream: Any) -> bool:
    """Return whether a stream is a pipe whose reader has closed it; Windows does not tell."""
    if not hasattr(select, "poll"):
        return False
    watched = select.poll()
    watched.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def discard_output(stream: Any) -> None:
    """Redirect a stream, with what it has buffered, to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
