"""Turns calls by which a reward file would end this process into exceptions."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

ENDING_CALLS = ("_exit", "abort", "execv", "execve")
"""Functions of `os` that end or replace the process; `os.execl` and the like call `execv` or
`execve`."""


class ProcessExit(SystemExit):
    """Raised instead of ending the process."""


class ExitsRaised(AbstractContextManager[None]):
    """A context that raises `ProcessExit` when its block calls one of `ENDING_CALLS`.

    A process that the block forks may still end itself. Each control step runs in one, so it is no
    generator, which would take twice as long.
    """

    def __enter__(self) -> None:
        global _process
        _process = os.getpid()
        names = os.__dict__
        self._before = {name: names[name] for name in ENDING_CALLS}
        names.update(_REFUSALS)

    def __exit__(self, *raised: object) -> None:
        # If they were replaced already on entry, another thread's block restores them.
        if self._before["_exit"] is not _REFUSALS["_exit"]:
            os.__dict__.update(self._before)


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
