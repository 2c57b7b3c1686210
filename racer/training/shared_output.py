"""Output of several processes to one place: whole lines, and no error where nobody reads them."""

from __future__ import annotations

import fcntl
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def shared_output() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` of this process write no less than a line at a time.

    Otherwise a reward's prints would be cut where a buffer is full, in the midst of another
    process's line. On a terminal text is shown at once, as a progress bar needs it. What cannot
    be written, because the terminal is closed or a pipe has no reader, is dropped: a training
    must not end of it. Streams without a descriptor, such as a notebook's, are left alone.
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
    """The writing end of a descriptor that other processes have, too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._rest = descriptor, b""
        self._is_terminal = os.isatty(descriptor)
        self._lock: int | None = None
        # An open file of this process's own: a lock on the descriptor itself would be everybody's.
        with suppress(OSError):
            self._lock = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_CLOEXEC)

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
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            with suppress(OSError):
                while content:
                    content = content[os.write(self._descriptor, content) :]
        finally:
            if self._lock is not None:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
