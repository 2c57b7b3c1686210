"""Output of several processes to one terminal or file: in whole lines, and without write errors."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from filelock import lock_descriptor, unlock_descriptor

LOCK_POLL_S = 0.001
"""Time between two tries to lock an output that another process writes to [s]."""


@contextmanager
def shared_output() -> Iterator[None]:
    """Inside the `with` block, make `sys.stdout` and `sys.stderr` write whole lines only.

    Otherwise a line that a reward prints could be split by a line of another process, wherever a
    buffer happens to be full. On a terminal, text is written immediately, because a progress bar
    needs it. Text that cannot be written, because the terminal is closed or a pipe has no reader,
    is dropped, so that the training continues. Streams without a file descriptor, such as those of
    a notebook, are not changed.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _shared(sys.stdout), _shared(sys.stderr)
    try:
        yield
    finally:
        for now, then in zip((sys.stdout, sys.stderr), before):
            if now is not then:
                now.close()
        sys.stdout, sys.stderr = before


def _shared(stream: Any) -> Any:
    try:
        stream.flush()
        raw = _SharedStream(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return stream
    buffer = io.BufferedWriter(raw, 1)
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, write_through=True)


class _SharedStream(io.RawIOBase):
    """A stream that writes to a file descriptor which other processes write to, too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._rest = descriptor, b""
        self._is_terminal = os.isatty(descriptor)
        self._lock: int | None = None
        # The lock needs an open file of this process's own: the descriptor's open file is shared
        # with the other processes, so a lock on it would not exclude them. Only Linux opens it
        # anew; elsewhere a line is one write, which the system splits only if it is very long.
        with suppress(OSError):
            self._lock = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, content: Any) -> int:
        content = bytes(content)
        lines, end, rest = content.rpartition(b"\n")
        if self._is_terminal:
            self._put(content)
        elif end:
            self._put(self._rest + lines + end)
            self._rest = rest
        else:
            self._rest += content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            if self._rest:
                self._put(self._rest + b"\n")
            if self._lock is not None:
                os.close(self._lock)
        super().close()

    def _put(self, content: bytes) -> None:
        if self._lock is not None:
            lock_descriptor(self._lock, poll_interval=LOCK_POLL_S)
        try:
            with suppress(OSError):
                while content:
                    content = content[os.write(self._descriptor, content) :]
        finally:
            if self._lock is not None:
                unlock_descriptor(self._lock)
