"""Load and start Bullet without its output on the terminal. No other module imports pybullet."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from racer.errors import RacerError

_CONNECTING = threading.Lock()
"""Held while a client connects: a second thread would save the silenced descriptors of the first
and restore those."""


@contextmanager
def _silenced(*descriptors: int) -> Iterator[None]:
    """Hide what pybullet's C code prints on file descriptors."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(fd, os.dup(fd)) for fd in descriptors]
    try:
        with open(os.devnull, "w") as nowhere:
            for fd, _ in kept:
                os.dup2(nowhere.fileno(), fd)
            yield
    finally:
        ctypes.CDLL(None).fflush(None)
        for fd, copy in kept:
            os.dup2(copy, fd)
            os.close(copy)


with _silenced(1, 2):
    import pybullet as bullet


def connect(gui: bool) -> int:
    """Return the id of a new Bullet client, with or without its own window.

    Raises:
        RacerError: Bullet refuses.
    """
    # If the display refuses, Bullet prints why on stderr and ends the process: stderr stays.
    with _CONNECTING, _silenced(1):
        client = bullet.connect(bullet.GUI if gui else bullet.DIRECT)
    if client < 0:
        raise RacerError("Bullet could not start; is another GUI open, or is there no display?")
    return client
