"""Calls by which somebody else's code would end this process, as errors of that code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDING_CALLS = ("_exit", "abort", "execv", "execve")
"""Functions of `os` after which nothing of this process is left; `os.execl` and the like call
`execv` or `execve`."""


class ProcessExit(SystemExit):
    """Raised instead of ending the process."""


@contextmanager
def exits_raised() -> Iterator[None]:
    """Raise `ProcessExit` in the block where it calls one of `ENDING_CALLS`.

    A process that the block forks may still end itself. It takes some three microseconds a block,
    as it stands around each control step.
    """
    global _process
    _process = os.getpid()
    names = os.__dict__
    before = {name: names[name] for name in ENDING_CALLS}
    names.update(_REFUSALS)
    try:
        yield
    finally:
        if before["_exit"] is not _REFUSALS["_exit"]:  # Else another thread's block restores them.
            names.update(before)


def _refusal(name: str) -> Callable[..., Any]:
    end = getattr(os, name)

    def refuse(*args: Any) -> Any:
        if os.getpid() != _process:
            return end(*args)
        given = ", ".join(f"{one!r:.60}" for one in args)
        raise ProcessExit(f"os.{name}({given}) would end racer itself")

    return refuse


_REFUSALS = {name: _refusal(name) for name in ENDING_CALLS}
_process = os.getpid()
"""The process that runs somebody else's code."""
