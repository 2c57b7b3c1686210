"""Runs an entry's graph in a process that can reach nothing, and ends it when it misbehaves."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from racer.entries import sandbox_worker
from racer.entries.onnx_check import check_graph
from racer.entries.onnx_policy import cannot_load, cannot_run
from racer.entries.package import Entry
from racer.errors import EntryError
from racer.networks.network_config import ACTION_OUTPUT
from racer.sensors import Observations

SANDBOX_MEMORY_BYTES = 640_000_000
"""Bytes that a graph and its work may take; ten times the largest package."""
START, LOAD, CALL = 8.0, 3.0, 1.0
"""Processor time that the process, a graph and one action may take [s]; one is due in 1/15 s."""
WALL_CLOCK_FACTOR = 8.0
"""How many times as long each may take by the clock, since others may keep the machine busy."""
SANDBOX_CPU_LIMIT_S = 3600
"""Processor time of one box [s], should nobody be left to end it."""
MAX_REPLY_BYTES = 1000
"""The most bytes of an answer; an action has 8."""

WORKER_SCRIPT = Path(sandbox_worker.__file__)
_SLICE_MS = 20
_CPU_OF_PROCESS = 2  # how Linux names the clock of a process; see clock_getcpuclockid(3)
_KEPT = ("LD_LIBRARY_PATH", "SYSTEMROOT")


class SandboxedPolicy:
    """A policy as `OnnxPolicy` is one, in a process of its own; a context manager.

    The process has no network and no files, bounded memory and processor time, and a deadline for
    each answer. It dies with this process, with `close`, and with the first thing that goes wrong.

    Attributes:
        name: The entry's name.
        strength: `namespaces` where the process is walled off from network and files, or
            `limits only` where this system cannot.

    Args:
        entry: A checked package.
        memory: Bytes that the graph and its work may take.

    Raises:
        EntryError: What `check_graph` refuses, `graph` where onnxruntime cannot load it, `hang`,
            `crash` or `memory` where loading ends that way, and `box` where there is no process.
    """

    def __init__(self, entry: Entry, memory: int = SANDBOX_MEMORY_BYTES) -> None:
        self.name = entry.manifest.name
        self._signature = check_graph(entry)
        self._process = _start()
        self.close = weakref.finalize(self, _end, self._process)
        """End the process; does nothing the second time."""
        try:
            self.strength = self._prepare(memory)
            self._send(entry.policy, LOAD, "loading the graph")
            kind, content = self._receive()
            if kind != sandbox_worker.READY:
                self._fail(kind, content)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SandboxedPolicy:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def __call__(self, observation: Observations) -> np.ndarray:
        """The action for one observation; see `OnnxPolicy`.

        Raises:
            EntryError: As `OnnxPolicy`, and `hang`, `crash` or `memory`. The box is closed then.
            ValueError: The observation is not what the manifest's sensors give, or the box is
                closed.
        """
        if not self.close.alive:
            raise ValueError(f"{self.name}: the box is closed; make another")
        given = self._signature.given(observation)
        content = b"".join(given[name].tobytes() for name in self._signature.seen)
        try:
            self._send(content, CALL, "an observation")
            kind, content = self._receive()
            if kind != sandbox_worker.ACTION:
                self._fail(kind, content)
            shape, dtype = self._signature.done
            if len(content) != np.dtype(dtype).itemsize * np.prod(shape):
                self._crash("gave an answer that is none")
            return self._signature.checked(np.frombuffer(content, dtype).reshape(shape))
        except EntryError:
            self.close()
            raise

    @property
    def cpu_s(self) -> float:
        """Processor time that the policy's process has used [s]; a clock where none tells."""
        try:
            return time.clock_gettime((~self._process.pid << 3) | _CPU_OF_PROCESS)
        except (OSError, AttributeError):
            return time.monotonic()

    def _prepare(self, memory: int) -> str:
        """Tell the process what to expect, and hear how well it could wall itself in."""
        setup = {
            "inputs": [[n, dtype, shape] for n, (shape, dtype) in self._signature.seen.items()],
            "output": ACTION_OUTPUT,
            "action": self._signature.done,
            "memory": memory,
            "cpu_s": SANDBOX_CPU_LIMIT_S,
        }
        try:
            self._send(json.dumps(setup).encode(), START, "starting")
            kind, content = self._receive()
        except EntryError as problem:
            raise _no_box(f"its process did not start: {problem}") from problem
        strength = content.decode(errors="replace")
        if kind != sandbox_worker.READY or strength not in (
            sandbox_worker.NAMESPACES,
            sandbox_worker.LIMITS_ONLY,
        ):
            raise _no_box(f"its process said {strength!r:.80}")
        return strength

    def _send(self, content: bytes, seconds: float, doing: str) -> None:
        """Write a message, which with its answer may take so long."""
        self._until = time.monotonic() + WALL_CLOCK_FACTOR * seconds
        self._cpu_until = self.cpu_s + seconds
        self._doing = doing
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        for part in (sandbox_worker.LENGTH_FORMAT.pack(len(content)), content):
            left = memoryview(part)
            while left:
                self._wait(pipe, select.POLLOUT)
                try:
                    left = left[os.write(pipe, left) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    self._crash("ended")

    def _receive(self) -> tuple[bytes, bytes]:
        """Kind and content of an answer; what comes from there is not to be trusted."""
        kind, size = sandbox_worker.REPLY_FORMAT.unpack(
            self._read(sandbox_worker.REPLY_FORMAT.size)
        )
        if size > MAX_REPLY_BYTES:
            self._crash("gave an answer that is none")
        return kind, self._read(size)

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        pipe, content = self._process.stdout.fileno(), b""
        while len(content) < size:
            self._wait(pipe, select.POLLIN)
            part = os.read(pipe, size - len(content))
            if not part:
                self._crash("ended")
            content += part
        return content

    def _wait(self, pipe: int, event: int) -> None:
        waiting = select.poll()
        waiting.register(pipe, event)
        while not waiting.poll(_SLICE_MS):
            if self.cpu_s > self._cpu_until or time.monotonic() > self._until:
                raise EntryError(
                    f"{self.name}: over {self._doing}, the policy gave no answer in time, and was "
                    "ended; train a smaller network",
                    "hang",
                )

    def _fail(self, kind: bytes, content: bytes) -> NoReturn:
        text = content.decode(errors="replace")
        why = "".join(one if one.isprintable() else "?" for one in text)[:300]
        if kind == sandbox_worker.GRAPH:
            raise cannot_load(self.name, why)
        if kind == sandbox_worker.RUN:
            raise cannot_run(self.name, why)
        if kind == sandbox_worker.WRONG:
            raise self._signature.refusal(why)
        if kind == sandbox_worker.MEMORY:
            raise EntryError(
                f"{self.name}: over {self._doing}, the policy asked for more memory than it may "
                f"have: {why}; train a smaller network",
                "memory",
            )
        self._crash("gave an answer that is none")

    def _crash(self, what: str) -> NoReturn:
        raise EntryError(
            f"{self.name}: over {self._doing}, the policy's process {what}; "
            "export the policy again",
            "crash",
        )


def _start() -> subprocess.Popen[bytes]:
    """A process that shares nothing with this one but two pipes and where packages lie."""
    path = [place for place in sys.path if os.path.isabs(place)]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(WORKER_SCRIPT), *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=kept | threads,
            cwd="/",
            start_new_session=True,
        )
    except OSError as problem:
        raise _no_box(str(problem)) from problem
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def _no_box(why: str) -> EntryError:
    return EntryError(
        f"the box for a policy cannot be made on this machine: {why}; try again when it is less "
        "busy, or check that it may start processes",
        "box",
    )
