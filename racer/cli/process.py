"""The `racer` command as a process, which does not wait for threads that a reward left."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Sequence

from racer.assets.library_logs import keep_libraries_quiet
from racer.cli import main

THREAD_GRACE_S = 1.0
"""Time that threads have to end after the command [s]."""


def command_line(argv: Sequence[str] | None = None) -> None:
    """Run the command, and end the process without waiting for threads that a reward left.

    Args:
        argv: Arguments of the command; by default those of the process.
    """
    keep_libraries_quiet()
    code: int | str | None = 0
    try:
        main(argv)
    except SystemExit as ended:
        code = ended.code
    left = threads_left()
    if not left:
        sys.exit(code)
    names = ", ".join(sorted({thread.name for thread in left}))
    print(f"racer: ended without waiting for a thread that still runs: {names}", file=sys.stderr)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 1)


def threads_left() -> list[threading.Thread]:
    """Return the threads that Python waits for and that do not end within `THREAD_GRACE_S`.

    Only a reward can leave such threads; racer itself ends its own.
    """
    main_thread = threading.main_thread()
    waited_for = [one for one in threading.enumerate() if one is not main_thread]
    left = [one for one in waited_for if not one.daemon]
    until = time.monotonic() + THREAD_GRACE_S
    for thread in left:
        thread.join(max(0.0, until - time.monotonic()))
    return [one for one in left if one.is_alive()]
