"""The program of the sandbox process; it is run as a file and imports nothing of racer.

On Linux it isolates itself before it receives a graph: it imports what it needs, gives up network,
files and new processes, and limits its memory and processor time. It replies through two pipes.
Messages are a length and that many raw bytes; neither side unpickles anything.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np

NAMESPACES = "namespaces"
"""Isolation by Linux namespaces: no network, no files and no privileges, besides the limits."""
LIMITS_ONLY = "limits only"
"""Isolation by resource limits alone: on memory, processor time and open files."""
DEADLINES_ONLY = "deadlines only"
"""No isolation, on systems other than Linux: the process is only ended when it is late."""
STRENGTHS = (NAMESPACES, LIMITS_ONLY, DEADLINES_ONLY)
LENGTH_FORMAT = struct.Struct("<I")
"""Length of the message that follows [bytes]."""
REPLY_FORMAT = struct.Struct("<cI")
"""Kind of a reply, and length of its content [bytes]."""
READY, ACTION, WRONG, MEMORY, GRAPH, RUN = b"o", b"a", b"w", b"m", b"g", b"r"
"""Kinds of a reply: ready, an action, an array of a wrong shape or dtype, and three errors: out of
memory, a graph that cannot be loaded, and a graph that failed on an observation."""

FATAL_LOG_SEVERITY = 4
"""onnxruntime's log severity `fatal`; other problems are reported as exceptions anyway."""
NO_WEIGHTS_DIR = os.devnull
"""Folder in which a graph may look for external weights: a file, below which nothing can be."""

# New namespaces for mounts, host name, IPC, users and network (linux/sched.h: CLONE_NEWNS,
# CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET).
_APART = 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x40000000
_PRIVATE_EVERYWHERE = 0x4000 | 0x40000  # linux/mount.h: MS_REC | MS_PRIVATE
_READ_ONLY_AND_BARE = 0x1 | 0x2 | 0x4 | 0x8  # MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
_DIE_WITH_PARENT, _NO_NEW_PRIVILEGES = 1, 38  # linux/prctl.h: PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS
_CAPABILITIES_VERSION = 0x20080522  # linux/capability.h


def open_session(graph: bytes) -> Any:
    """Return an onnxruntime session that computes deterministically on one core.

    Raises:
        Exception: If onnxruntime cannot load the graph; its errors have no common base below
            this one.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = FATAL_LOG_SEVERITY
    # Makes sums of 8-bit products exact on every processor; by default, one that lacks VNNI adds
    # them up in 16 bits, which saturate.
    options.add_session_config_entry("session.x64quantprecision", "1")
    # By default, a graph loaded from bytes may read external weights below the working directory.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", NO_WEIGHTS_DIR
    )
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def first_line(problem: Exception) -> str:
    """Return the first line of an error's text, or its type's name; 300 characters at most."""
    return (str(problem).splitlines() or [type(problem).__name__])[0][:300]


def serve_policy() -> None:
    """Isolate this process, then answer requests until the parent closes the pipe."""
    sys.path[:] = sys.argv[1:]
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # so that a library's print cannot be mistaken for a reply
    is_apart = enter_namespaces()
    import numpy  # noqa: F401  # before the file system is hidden
    import onnxruntime  # noqa: F401

    setup = json.loads(_read(requests))
    strength = _isolate(is_apart, setup) if sys.platform == "linux" else DEADLINES_ONLY
    _reply(replies, READY, strength.encode())
    try:
        session = open_session(_read(requests))
    except Exception as problem:
        _reply(replies, *_error_reply(GRAPH, problem))
        return
    _reply(replies, READY, b"")
    while True:
        _reply(replies, *_act(session, _read(requests), setup))


def _act(session: Any, content: bytes, setup: dict[str, Any]) -> tuple[bytes, bytes]:
    """Run the graph on each of the observations, and return the kind and content of the reply."""
    import numpy as np

    wanted, acted, at = setup["outputs"], [], 0
    while at < len(content):
        inputs = {}
        for name, dtype, shape in setup["inputs"]:
            count = int(np.prod(shape))
            inputs[name] = np.frombuffer(content, dtype, count, at).reshape(shape)
            at += inputs[name].nbytes
        try:
            outputs = session.run([name for name, _, _ in wanted], inputs)
        except Exception as problem:
            return _error_reply(RUN, problem)
        kind, reply = _outputs_reply(outputs, wanted)
        if kind != ACTION:
            return kind, reply
        acted.append(reply)
    return ACTION, b"".join(acted)


def _outputs_reply(outputs: list[np.ndarray], wanted: list[Any]) -> tuple[bytes, bytes]:
    """Return the kind and content of the reply: the action, then what a policy remembers."""
    for number, (array, (name, dtype, shape)) in enumerate(zip(outputs, wanted)):
        if [array.dtype.name, list(array.shape)] != [dtype, shape]:
            got = f"{array.dtype.name} {array.shape}"[:300]
            return (RUN, f"{name} is {got}".encode()) if number else (WRONG, got.encode())
    return ACTION, b"".join(array.tobytes() for array in outputs)


def _error_reply(kind: bytes, problem: Exception) -> tuple[bytes, bytes]:
    """Return the kind and content of an error reply; `MEMORY` where an allocation failed."""
    text = first_line(problem)
    signs = ("bad_alloc", "bad allocation", "Failed to allocate", "Unable to allocate")
    is_memory = isinstance(problem, MemoryError) or any(sign in str(problem) for sign in signs)
    return MEMORY if is_memory else kind, text.encode()


def _read(requests: BinaryIO) -> bytes:
    """Return the next message; exit if the pipe was closed."""
    head = requests.read(LENGTH_FORMAT.size)
    if len(head) < LENGTH_FORMAT.size:
        os._exit(0)
    (size,) = LENGTH_FORMAT.unpack(head)
    content = requests.read(size)
    if len(content) < size:
        os._exit(0)
    return content


def _reply(replies: Any, kind: bytes, content: bytes) -> None:
    try:
        replies.write(REPLY_FORMAT.pack(kind, len(content)) + content)
    except BrokenPipeError:
        os._exit(0)


def _isolate(is_apart: bool, setup: dict[str, Any]) -> str:
    """Hide all files if the process is in namespaces, set the limits, and return the strength."""
    import resource  # noqa: F401  # before the file system is hidden; Windows has no such module

    mapped = _mapped_bytes()
    is_isolated = is_apart and _hide_files()
    _set_limits(mapped + setup["memory"], setup["cpu_s"])
    is_isolated = _drop_privileges() and is_isolated
    return NAMESPACES if is_isolated else LIMITS_ONLY


def enter_namespaces() -> bool:
    """Enter new user, network and mount namespaces; return whether this system allowed it."""
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    try:
        if _libc().unshare(_APART):
            return False
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {user} 1"),
            ("gid_map", f"0 {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except (OSError, AttributeError):
        return False
    return True


def _hide_files() -> bool:
    """Change the root to an empty, read-only folder; return whether that worked."""
    libc = _libc()
    if libc.mount(None, b"/", None, ctypes.c_ulong(_PRIVATE_EVERYWHERE), None):
        return False
    # The mount is visible to this process alone, and disappears with it.
    if libc.mount(b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(_READ_ONLY_AND_BARE), b"size=4k"):
        return False
    try:
        os.chroot("/tmp")
        os.chdir("/")
    except OSError:
        return False
    return True


def _mapped_bytes() -> int:
    """Return the bytes mapped before a graph is loaded, most of them by the libraries."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * mmap.PAGESIZE


def _set_limits(memory: int, cpu_s: int) -> None:
    """Limit memory and processor time, and forbid new files, sockets, core dumps and processes."""
    import resource

    limits = {"AS": memory, "CPU": cpu_s, "FSIZE": 0, "CORE": 0, "NPROC": 0, "NOFILE": 0}
    for name, limit in limits.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
        except (OSError, ValueError, AttributeError):  # a system without that limit
            continue


def _drop_privileges() -> bool:
    """Drop all capabilities for good, and die with the parent; return whether that worked."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    libc = _libc()
    error = libc.capset(ctypes.byref(Header(_CAPABILITIES_VERSION, 0)), (ctypes.c_uint32 * 6)())
    error |= libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    # Elsewhere the closed pipe ends the process.
    libc.prctl(_DIE_WITH_PARENT, int(signal.SIGKILL), 0, 0, 0)
    return error == 0


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    serve_policy()
