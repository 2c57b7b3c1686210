"""What systems offer processes in different ways: cores, memory, and an end with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from multiprocessing import connection, parent_process

PR_SET_PDEATHSIG = 1
"""The option of Linux's prctl that sends this process a signal when its parent dies."""


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # macOS and Windows do not tell
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_memory_bytes() -> int | None:
    """Return the size of this machine's memory; None where the system does not tell, as Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return None


def end_with_parent(parent: int) -> None:
    """Let this process end as soon as its parent has ended.

    Args:
        parent: The parent's process id; if it is another's by now, this process ends at once.
    """
    if sys.platform == "linux":
        # The kernel also ends a process that a call into C holds up, which a thread cannot.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # The parent ended before the call of prctl.
        return

    def follow() -> None:
        if (started_by := parent_process()) is not None:
            connection.wait([started_by.sentinel])
        else:
            while os.getppid() == parent:
                time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
