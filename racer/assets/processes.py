"""What systems offer processes in different ways: cores, memory, and an end with the parent."""

from __future__ import annotations

import os
import threading
from multiprocessing import connection, parent_process


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


def end_with_parent() -> None:
    """Let this process, which `multiprocessing` started, end as soon as its parent has ended."""
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
