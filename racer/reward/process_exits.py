"""Turns calls by which a reward file would end this process into exceptions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDING_CALLS = ("_exit", "abort", "execv", "execve")
"""Functions of `os` that end or replace the process; `os.execl` and the like call `execv` or
`execve`."""


class ProcessExit(SystemExit):
    """Raised instead of ending the process."""


@contextmanager
def exits_raised() -> Iterator[None]:
    """Raise `ProcessExit` when the block calls one of `ENDING_CALLS`.

    A process that the block forks may still end itself. The overhead is about three microseconds
    a block, which matters because each control step runs in one.
    """
    global _process
    _process = os.getpid()
    names = os.__dict__
    before = {name: names[name] for name in ENDING_CALLS}
    names.update(_REFUSALS)
    try:
        yield
    finally:
        # If they were replaced already on entry, another thread's block restores them.
        if before["_exit"] is not _REFUSALS["_exit"]:
            names.update(before)


def _refusal(name: str) -> Callable[..., Any]:
    """Return a replacement for a function of `os` that raises in the process of `_process`."""
    end = getattr(os, name)

    def refuse(*args: Any) -> Any:
        if os.getpid() != _process:
            return end(*args)
        shown = ", ".join(f"{argument!r:.60}" for argument in args)
        raise ProcessExit(f"os.{name}({shown}) would end racer itself")

    return refuse


_REFUSALS = {name: _refusal(name) for name in ENDING_CALLS}
_process = os.getpid()
"""Id of the process whose ending calls are refused."""
