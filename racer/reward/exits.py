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

    A process that the block forks may still end itself.
    """
    before = [(name, getattr(os, name)) for name in ENDING_CALLS]
    for name, function in before:
        setattr(os, name, _refusal(name, function, os.getpid()))
    try:
        yield
    finally:
        for name, function in before:
            setattr(os, name, function)


def _refusal(name: str, function: Callable[..., Any], process: int) -> Callable[..., Any]:
    def refuse(*args: Any) -> Any:
        if os.getpid() != process:
            return function(*args)
        given = ", ".join(f"{one!r:.60}" for one in args)
        raise ProcessExit(f"os.{name}({given}) would end racer itself")

    return refuse
