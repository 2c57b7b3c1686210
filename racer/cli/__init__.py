"""The `racer` command: parses the command line and calls one function."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from racer.assets.extras import extra_of, how_to_install
from racer.assets.terminal import discard_output, has_no_reader, write_any_text
from racer.errors import RacerError

BROKEN_PIPE_EXIT_CODE = 141
"""Exit code if the reader of the output closes the pipe: 128 + SIGPIPE, as shells report it."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exit with code 2 and one message for an error that the user can fix.

    Args:
        argv: The words after `racer`; those of this process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    is_debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    write_any_text()
    try:
        _run(words)
    except KeyboardInterrupt:
        _end("stopped", 130)
    except (RacerError, OSError, UnicodeError, ModuleNotFoundError) as problem:
        is_ours = isinstance(problem, ModuleNotFoundError) and not extra_of(problem.name or "")
        if is_debug or is_ours:
            raise
        _end(_sentence(problem), 2)


def _run(words: list[str]) -> None:
    """Run the command, and exit without a message if nobody reads its output."""
    from racer.cli.app import run

    try:
        run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        left = [stream for stream in (sys.stdout, sys.stderr) if has_no_reader(stream)]
        if not left:
            raise  # the broken pipe is not one of this process's outputs
        for stream in left:
            discard_output(stream)
        sys.exit(BROKEN_PIPE_EXIT_CODE)


def _end(why: str, code: int) -> NoReturn:
    try:
        print(f"racer: {why}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        discard_output(sys.stderr)
    sys.exit(code)


def _sentence(problem: Exception) -> str:
    """Return an error message for the user, also for errors that are not racer's own."""
    if isinstance(problem, RacerError):
        return str(problem)
    if isinstance(problem, ModuleNotFoundError):
        extra = extra_of(problem.name or "") or ""
        return f"{problem.name} is not installed; {how_to_install(extra)}"
    if isinstance(problem, UnicodeError):
        return f"a name or a file contains characters that cannot be written or read: {problem}"
    if not isinstance(problem, OSError) or problem.strerror is None:
        return str(problem) or type(problem).__name__
    where = str(problem.filename2 or problem.filename or "")
    where = where if len(where) < 200 else f"{where[:200]}..."
    return f"{where}: {problem.strerror}" if where else problem.strerror
