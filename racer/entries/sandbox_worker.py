"""The process in which a boxed policy lives. Run as a file of its own, and knows nothing of racer.

It walls itself in before it is given a graph: what it needs is imported, then network, files and
new processes are out of reach, memory and processor time are bounded, and it answers through two
pipes. What travels is a length and that many raw bytes; nothing is unpickled on either side.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np

NAMESPACES = "namespaces"
"""No network, no files and no rights over the machine; and the limits."""
LIMITS_ONLY = "limits only"
"""Memory, processor time and open files are bounded, in the system that all share."""
LENGTH_FORMAT = struct.Struct("<I")
REPLY_FORMAT = struct.Struct("<cI")
"""Kind and length of what follows."""
READY, ACTION, WRONG, MEMORY, GRAPH, RUN = b"o", b"a", b"w", b"m", b"g", b"r"
"""Kinds of a reply: all is well; an action; an array that is none; and what went wrong."""

FATAL_LOG_SEVERITY = 4
"""onnxruntime's log severity `fatal`: what goes wrong comes back as an error instead."""
NO_WEIGHTS_DIR = "/dev/null"
"""Where a graph may look for weights outside itself: below a file there is no other file."""

# linux/sched.h: mounts, host name, shared memory, users, network.
_APART = 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x40000000
_PRIVATE_EVERYWHERE = 0x4000 | 0x40000  # linux/mount.h: MS_REC | MS_PRIVATE
_READ_ONLY_AND_BARE = 0x1 | 0x2 | 0x4 | 0x8  # MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
_DIE_WITH_PARENT, _NO_NEW_PRIVILEGES = 1, 38  # linux/prctl.h
_CAPABILITIES_VERSION = 0x20080522  # linux/capability.h


def open_session(graph: bytes) -> Any:
    """An onnxruntime session that computes the same digits each time, on one core.

    Raises:
        Exception: onnxruntime cannot load the graph; its errors have no common base below this.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = FATAL_LOG_SEVERITY
    # Sums of 8-bit products are exact on every processor; without this, one that lacks VNNI
    # computes them with 16 bits, which saturate.
    options.add_session_config_entry("session.x64quantprecision", "1")
    # Without this, a graph loaded from bytes reads weights below the working directory.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", NO_WEIGHTS_DIR
    )
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def first_line(problem: Exception) -> str:
    """What an error says, in a line that fits a message."""
    return (str(problem).splitlines() or [type(problem).__name__])[0][:300]


def serve_policy() -> None:
    """Wall this process in, then answer until the pipe ends."""
    sys.path[:] = sys.argv[1:]
    asks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not look like an answer
    is_apart = _leave()
    import numpy  # noqa: F401  # while there are files to import from
    import onnxruntime  # noqa: F401

    setup = json.loads(_read(asks))
    mapped = _mapped()
    is_apart = is_apart and _hide_files()
    _bound(mapped + setup["memory"], setup["cpu_s"])
    is_apart = _give_up_rights() and is_apart
    _reply(answers, READY, (NAMESPACES if is_apart else LIMITS_ONLY).encode())
    try:
        session = open_session(_read(asks))
    except Exception as problem:
        _reply(answers, *_trouble(GRAPH, problem))
        return
    _reply(answers, READY, b"")
    while True:
        _reply(answers, *_answer(session, _read(asks), setup))


def _answer(session: Any, content: bytes, setup: dict[str, Any]) -> tuple[bytes, bytes]:
    """Kind and bytes of what the graph says to one observation."""
    import numpy as np

    given, at = {}, 0
    for name, dtype, shape in setup["inputs"]:
        count = int(np.prod(shape))
        given[name] = np.frombuffer(content, dtype, count, at).reshape(shape)
        at += given[name].nbytes
    try:
        (action,) = session.run([setup["output"]], given)
    except Exception as problem:
        return _trouble(RUN, problem)
    return _packed(action, setup["action"])


def _packed(action: np.ndarray, wanted: list[Any]) -> tuple[bytes, bytes]:
    if [list(action.shape), action.dtype.name] == wanted:
        return ACTION, action.tobytes()
    return WRONG, f"{action.dtype.name} {action.shape}"[:300].encode()


def _trouble(kind: bytes, problem: Exception) -> tuple[bytes, bytes]:
    text = first_line(problem)
    signs = ("bad_alloc", "bad allocation", "Failed to allocate", "Unable to allocate")
    is_memory = isinstance(problem, MemoryError) or any(sign in str(problem) for sign in signs)
    return MEMORY if is_memory else kind, text.encode()


def _read(asks: BinaryIO) -> bytes:
    """The next message; the end of the pipe ends this process."""
    head = asks.read(LENGTH_FORMAT.size)
    if len(head) < LENGTH_FORMAT.size:
        os._exit(0)
    (size,) = LENGTH_FORMAT.unpack(head)
    content = asks.read(size)
    if len(content) < size:
        os._exit(0)
    return content


def _reply(answers: Any, kind: bytes, content: bytes) -> None:
    try:
        answers.write(REPLY_FORMAT.pack(kind, len(content)) + content)
    except BrokenPipeError:
        os._exit(0)


def _leave() -> bool:
    """Whether this process now has users, a network and mounts of its own; only Linux can."""
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
    """Whether nothing but an empty folder is left of the file system."""
    libc = _libc()
    if libc.mount(None, b"/", None, ctypes.c_ulong(_PRIVATE_EVERYWHERE), None):
        return False
    # Seen by this process alone, and gone with it.
    if libc.mount(b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(_READ_ONLY_AND_BARE), b"size=4k"):
        return False
    try:
        os.chroot("/tmp")
        os.chdir("/")
    except OSError:
        return False
    return True


def _mapped() -> int:
    """Bytes that are mapped before there is a graph, most of them by the libraries."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux
        return 2**32


def _bound(memory: int, cpu_s: int) -> None:
    """Allow no more memory and processor time, and no new file, socket, dump or process."""
    bounds = {"AS": memory, "CPU": cpu_s, "FSIZE": 0, "CORE": 0, "NPROC": 0, "NOFILE": 0}
    for name, most in bounds.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        except (OSError, ValueError, AttributeError):  # a system without that limit
            continue


def _give_up_rights() -> bool:
    """Whether what it means to be root is given up for good; and die when the parent does."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    try:
        libc = _libc()
        left = libc.capset(ctypes.byref(Header(_CAPABILITIES_VERSION, 0)), (ctypes.c_uint32 * 6)())
        left |= libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        libc.prctl(_DIE_WITH_PARENT, int(signal.SIGKILL), 0, 0, 0)
    except AttributeError:  # not Linux: the end of the pipe ends this process
        return False
    return left == 0


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    serve_policy()
