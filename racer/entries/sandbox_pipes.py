"""The two pipes between a process and its sandbox, read and written with a time limit.

`refuse_late` is called again and again while a pipe is waited for; it raises at the time limit.
"""

from __future__ import annotations

import os
import queue
import select
import subprocess
import threading
from collections.abc import Callable
from typing import Any

PIPE_POLL_S = 0.02
"""Time between two calls of `refuse_late` [s]."""
CHUNK_BYTES = 65536
QUEUED_CHUNKS = 16
"""Chunks of a reply that wait to be read at most; a sandbox that sends more waits."""


class PolledPipes:
    """Pipes of a process whose readiness the system tells, as on Linux and macOS.

    Args:
        process: The process; its standard input and output are pipes without a buffer.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._files = process.stdin, process.stdout
        self._to, self._from = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._to, False)

    def write(self, content: bytes, refuse_late: Callable[[], None]) -> None:
        """Write all bytes; raise BrokenPipeError if the process has ended."""
        left = memoryview(content)
        while left:
            self._wait(self._to, select.POLLOUT, refuse_late)
            try:
                left = left[os.write(self._to, left) :]
            except BlockingIOError:
                continue

    def read(self, size: int, refuse_late: Callable[[], None]) -> bytes:
        """Return the next `size` bytes; fewer if the process has ended."""
        content = b""
        while len(content) < size:
            self._wait(self._from, select.POLLIN, refuse_late)
            part = os.read(self._from, size - len(content))
            if not part:
                break
            content += part
        return content

    def close(self) -> None:
        """Close both pipes, once the process has ended."""
        for file in self._files:
            file.close()

    def _wait(self, pipe: int, event: int, refuse_late: Callable[[], None]) -> None:
        waiting = select.poll()
        waiting.register(pipe, event)
        while not waiting.poll(1000.0 * PIPE_POLL_S):
            refuse_late()


class ThreadedPipes:
    """Pipes of a process where a pipe cannot be polled, as on Windows: a thread waits for each.

    Args:
        process: The process; its standard input and output are pipes without a buffer.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._to, self._from = process.stdin, process.stdout
        self._requests: queue.Queue[bytes | None] = queue.Queue()
        self._written: queue.Queue[bool] = queue.Queue()
        self._replies: queue.Queue[bytes] = queue.Queue(QUEUED_CHUNKS)
        self._rest = b""
        self._is_closed = False
        tasks = self._keep_writing, self._keep_reading
        self._threads = [threading.Thread(target=task, daemon=True) for task in tasks]
        for thread in self._threads:
            thread.start()

    def write(self, content: bytes, refuse_late: Callable[[], None]) -> None:
        """Write all bytes; raise BrokenPipeError if the process has ended."""
        self._requests.put(content)
        if not _get(self._written, refuse_late):
            raise BrokenPipeError

    def read(self, size: int, refuse_late: Callable[[], None]) -> bytes:
        """Return the next `size` bytes; fewer if the process has ended."""
        while len(self._rest) < size:
            part = _get(self._replies, refuse_late)
            if not part:
                break
            self._rest += part
        content, self._rest = self._rest[:size], self._rest[size:]
        return content

    def close(self) -> None:
        """Close both pipes, once the process has ended."""
        self._is_closed = True
        self._requests.put(None)
        for thread in self._threads:
            thread.join()
        self._to.close()
        self._from.close()

    def _keep_writing(self) -> None:
        while (content := self._requests.get()) is not None:
            try:
                left = memoryview(content)
                while left:
                    left = left[os.write(self._to.fileno(), left) :]
                self._written.put(True)
            except OSError:
                self._written.put(False)

    def _keep_reading(self) -> None:
        part = b"-"
        while part and not self._is_closed:
            try:
                part = os.read(self._from.fileno(), CHUNK_BYTES)
            except OSError:
                part = b""
            self._offer(part)

    def _offer(self, part: bytes) -> None:
        while not self._is_closed:
            try:
                self._replies.put(part, timeout=PIPE_POLL_S)
                return
            except queue.Full:
                continue


def _get(answers: queue.Queue[Any], refuse_late: Callable[[], None]) -> Any:
    while True:
        try:
            return answers.get(timeout=PIPE_POLL_S)
        except queue.Empty:
            refuse_late()


SandboxPipes = PolledPipes if hasattr(select, "poll") else ThreadedPipes
"""The pipes that this system can have."""
