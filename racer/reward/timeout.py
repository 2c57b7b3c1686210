"""A time limit for a user's code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeoutExceeded(BaseException):
    """Raised inside code that takes too long; a BaseException, so `except Exception` passes it."""


@contextmanager
def timeout_after(seconds: float) -> Iterator[None]:
    """Raise `TimeoutExceeded` in the block if it takes longer than the given time.

    The process's alarm timer (`signal.setitimer`) is started on entry and stopped on exit, which
    takes about ten microseconds; the code inside is not slowed down. Python checks for the signal
    between two bytecode instructions of the main thread, so the traceback ends in the line that
    hangs; a single call into C is interrupted when it returns. The alarm repeats every second, in
    case a bare `except:` swallows the first one.

    Outside the main thread, which alone receives signals, and if that timer is already in use,
    there is no time limit.

    Args:
        seconds: The time limit [s].
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getitimer(signal.ITIMER_REAL)[0] > 0.0:
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TimeoutExceeded
