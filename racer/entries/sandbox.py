"""Runs an entry's graph in an isolated process, and kills it when it exceeds its limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from racer.entries import sandbox_worker
from racer.entries.io_spec import IOSpec
from racer.entries.onnx_check import check_graph
from racer.entries.onnx_policy import load_error, run_error
from racer.entries.package import Entry
from racer.entries.sandbox_pipes import PolledPipes, SandboxPipes, ThreadedPipes
from racer.errors import EntryError
from racer.sensors import Observations

if TYPE_CHECKING:
    from typing_extensions import Self

SANDBOX_MEMORY_BYTES = 640_000_000
"""Memory for a graph and its computation, beyond the libraries; ten times the largest package."""
START, LOAD, CALL = 8.0, 3.0, 1.0
"""Processor time allowed for starting the process, loading a graph and computing one action [s].

An action is due every 1/15 s; `racer.entries.entry_check` refuses policies that are slower.
"""
WALL_CLOCK_FACTOR = 8.0
"""Wall-clock limit as a multiple of the processor-time limit, since the machine may be busy."""
SANDBOX_CPU_LIMIT_S = 3600
"""Total processor time of one sandbox [s], in case its parent dies without killing it."""
MAX_REPLY_BYTES = 1000
"""Maximum size of a reply beyond the graph's outputs, for error messages."""
MAX_BATCH = 64
"""Observations that are sent to the process at once."""

WORKER_SCRIPT = Path(sandbox_worker.__file__)
_CPU_OF_PROCESS = 2  # Linux's clock id of a process's processor time; see clock_getcpuclockid(3)
_KEPT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
"""Environment variables that the sandbox inherits; without them libraries may not be found."""


class SandboxedGraph:
    """A graph in a sandbox process; use it in a `with` statement.

    On Linux the process has no network and no files, limited memory and processor time, and a
    deadline for each action; elsewhere only the deadline, and a warning is printed. It ends with
    this process, with `close`, and at the first error.

    Attributes:
        name: The entry's name.
        strength: `namespaces` if the process is isolated from network and files by Linux
            namespaces, `limits only` if this Linux does not allow that, or `deadlines only` on
            another system.

    Args:
        graph: The ONNX graph, which `check_graph` must have passed.
        signature: Its inputs and outputs.
        memory: Memory for the graph and its computation [bytes].

    Raises:
        EntryError: With the code `graph` if onnxruntime cannot load the graph, `hang`, `crash` or
            `memory` if loading fails in that way, and `box` if the sandbox cannot be created.
    """

    def __init__(self, graph: bytes, signature: IOSpec, memory: int = SANDBOX_MEMORY_BYTES) -> None:
        self.name, self._signature = signature.name, signature
        self._reply_bytes = sum(
            int(np.prod(shape)) * np.dtype(dtype).itemsize
            for shape, dtype in signature.outputs.values()
        )
        self._process = _start()
        self._pipes = SandboxPipes(self._process)
        self.close = weakref.finalize(self, _end, self._process, self._pipes)
        """End the process; calling it again does nothing."""
        try:
            self.strength = self._prepare(memory)
            self._send(graph, LOAD, "loading the graph")
            kind, content = self._receive()
            if kind != sandbox_worker.READY:
                self._fail(kind, content)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def run_batch(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return the graph's outputs for n observations, of which each is computed by itself.

        Args:
            inputs: Each of the graph's inputs by its name, (n, ...).

        Returns:
            Each output, (n, ...), in the order of the signature; the values are not checked.

        Raises:
            EntryError: With the code `run` or `action` if the graph fails or an output has another
                shape, `hang`, `crash` or `memory`. The sandbox is closed then.
            ValueError: If the sandbox is closed.
        """
        if not self.close.alive:
            raise ValueError(f"{self.name}: the sandbox is closed; make a new one")
        arrays = [inputs[name] for name in self._signature.inputs]
        found = []
        try:
            for first in range(0, len(arrays[0]), MAX_BATCH):
                rows = [array[first : first + MAX_BATCH] for array in arrays]
                found.append(self._run_rows(rows))
        except EntryError:
            self.close()
            raise
        return [np.concatenate(parts) for parts in zip(*found)]

    def _run_rows(self, rows: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for k observations: of each input k rows."""
        count = len(rows[0])
        content = b"".join(one[k : k + 1].tobytes() for k in range(count) for one in rows)
        doing = "an observation" if count == 1 else "observations"
        self._send(content, CALL * count, doing)
        kind, content = self._receive(count)
        if kind != sandbox_worker.ACTION:
            self._fail(kind, content)
        if len(content) != count * self._reply_bytes:
            self._crash("sent an invalid reply")
        size = self._reply_bytes
        each = [self._arrays(content[k * size : (k + 1) * size]) for k in range(count)]
        return [np.concatenate(parts) for parts in zip(*each)]

    def _arrays(self, content: bytes) -> list[np.ndarray]:
        """Return the outputs for one observation, the action first."""
        arrays, at = [], 0
        for shape, dtype in self._signature.outputs.values():
            arrays.append(np.frombuffer(content, dtype, int(np.prod(shape)), at).reshape(shape))
            at += arrays[-1].nbytes
        return arrays

    @property
    def cpu_s(self) -> float:
        """Processor time that the sandbox process has used [s].

        On a system without such a clock it is the wall-clock time instead.
        """
        try:
            return time.clock_gettime((~self._process.pid << 3) | _CPU_OF_PROCESS)
        except (OSError, AttributeError):
            return time.monotonic()

    def _prepare(self, memory: int) -> str:
        """Send the process its set-up, and return the isolation that it achieved."""
        setup = {
            "inputs": [[n, dtype, shape] for n, (shape, dtype) in self._signature.inputs.items()],
            "outputs": [[n, dtype, shape] for n, (shape, dtype) in self._signature.outputs.items()],
            "memory": memory,
            "cpu_s": SANDBOX_CPU_LIMIT_S,
        }
        try:
            self._send(json.dumps(setup).encode(), START, "starting")
            kind, content = self._receive()
        except EntryError as problem:
            raise _sandbox_error(f"its process did not start: {problem}") from problem
        strength = content.decode(errors="replace")
        if kind != sandbox_worker.READY or strength not in sandbox_worker.STRENGTHS:
            raise _sandbox_error(f"its process replied {strength!r:.80}")
        if strength == sandbox_worker.DEADLINES_ONLY:
            _warn_of_deadlines_only()
        return strength

    def _send(self, content: bytes, seconds: float, doing: str) -> None:
        """Write a message and start its deadline.

        Args:
            content: The message.
            seconds: Processor time allowed for the message and its reply [s].
            doing: What the process is asked to do, for error messages.
        """
        self._until = time.monotonic() + WALL_CLOCK_FACTOR * seconds
        self._cpu_until = self.cpu_s + seconds
        self._doing = doing
        try:
            for part in (sandbox_worker.LENGTH_FORMAT.pack(len(content)), content):
                self._pipes.write(part, self._refuse_late)
        except BrokenPipeError:
            self._crash("ended")

    def _receive(self, count: int = 0) -> tuple[bytes, bytes]:
        """Return the kind and content of a reply, neither of which may be trusted.

        Args:
            count: Observations that the reply is about.
        """
        kind, size = sandbox_worker.REPLY_FORMAT.unpack(
            self._read(sandbox_worker.REPLY_FORMAT.size)
        )
        if size > MAX_REPLY_BYTES + count * self._reply_bytes:
            self._crash("sent an invalid reply")
        return kind, self._read(size)

    def _read(self, size: int) -> bytes:
        """Return the next `size` bytes from the process."""
        content = self._pipes.read(size, self._refuse_late)
        if len(content) < size:
            self._crash("ended")
        return content

    def _refuse_late(self) -> None:
        """Raise EntryError with the code `hang` after the deadline."""
        if self.cpu_s > self._cpu_until or time.monotonic() > self._until:
            raise EntryError(
                f"{self.name}: over {self._doing}, the policy did not answer in time and was "
                "stopped; train a smaller network",
                "hang",
            )

    def _fail(self, kind: bytes, content: bytes) -> NoReturn:
        """Raise the error that a reply of the process reports."""
        text = content.decode(errors="replace")
        why = "".join(letter if letter.isprintable() else "?" for letter in text)[:300]
        if kind == sandbox_worker.GRAPH:
            raise load_error(self.name, why)
        if kind == sandbox_worker.RUN:
            raise run_error(self.name, why)
        if kind == sandbox_worker.WRONG:
            raise self._signature.action_error(why)
        if kind == sandbox_worker.MEMORY:
            raise EntryError(
                f"{self.name}: over {self._doing}, the policy asked for more memory than it may "
                f"have: {why}; train a smaller network",
                "memory",
            )
        self._crash("sent an invalid reply")

    def _crash(self, event: str) -> NoReturn:
        raise EntryError(
            f"{self.name}: over {self._doing}, the policy's process {event}; "
            "export the policy again",
            "crash",
        )


class SandboxedPolicy(SandboxedGraph):
    """A policy like `OnnxPolicy`, but run in a sandbox process; see `SandboxedGraph`.

    Attributes:
        hidden_state_size: Numbers that it remembers from step to step; 0 for none. They are kept
            in this process.

    Args:
        entry: An entry from `read_entry`.
        memory: Memory for the graph and its computation [bytes].

    Raises:
        EntryError: As `check_graph` and `SandboxedGraph`.
    """

    def __init__(self, entry: Entry, memory: int = SANDBOX_MEMORY_BYTES) -> None:
        signature = check_graph(entry)
        self.hidden_state_size = signature.hidden_state_size
        self._hidden_state = signature.first_hidden_state()
        super().__init__(entry.policy, signature, memory)

    def reset(self) -> None:
        """Forget what was seen, as at the start of a race."""
        self._hidden_state = self._signature.first_hidden_state()

    def __call__(self, observation: Observations) -> np.ndarray:
        """Return the action for one observation; see `OnnxPolicy`.

        Raises:
            EntryError: As `OnnxPolicy`, and with the code `hang`, `crash` or `memory`. The
                sandbox is closed then.
            ValueError: If the observation does not match the manifest's sensors, or the sandbox
                is closed.
        """
        inputs = self._signature.input_arrays(observation, self._hidden_state)
        try:
            action, *remembered = self.run_batch(inputs)
            if remembered:
                self._hidden_state = self._signature.check_hidden_state(remembered[0])
            return self._signature.check_action(action)
        except EntryError:
            self.close()
            raise


def _start() -> subprocess.Popen[bytes]:
    """Start the worker, which shares only two pipes and the import path with this process."""
    path = [folder for folder in sys.path if os.path.isabs(folder)]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        return subprocess.Popen(
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
        raise _sandbox_error(str(problem)) from problem


def _end(process: subprocess.Popen[bytes], pipes: PolledPipes | ThreadedPipes) -> None:
    process.kill()
    process.wait()
    pipes.close()


@lru_cache(maxsize=1)
def _warn_of_deadlines_only() -> None:
    """Print the warning once in a process."""
    print(
        "racer: warning: outside Linux the sandbox only stops a policy that is late, and keeps it "
        "from no file and no network; run entries of people you trust only",
        file=sys.stderr,
    )


def _sandbox_error(why: str) -> EntryError:
    return EntryError(
        f"the sandbox for a policy cannot be created on this machine: {why}; try again when it is "
        "less busy, or check that it may start processes",
        "box",
    )
