"""A deadline for code that somebody else wrote."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeoutExceeded(BaseException):
    """Raised in the midst of what takes too long; no `except Exception` swallows it."""


@contextmanager
def timeout_after(seconds: float) -> Iterator[None]:
    """Raise `TimeoutExceeded` where the block still is after so many seconds.

    The process's alarm clock (`signal.setitimer`) is set on entry and stopped on exit: some ten
    microseconds a block, and nothing for the code inside. Python looks at it between two of its
    own instructions of the main thread, so the traceback ends in the line that hangs; a single
    call into C is interrupted where it returns. It rings again each second, in case a bare
    `except:` swallows the first.

    Outside the main thread, which alone gets signals, and where somebody else has set that
    clock, it does nothing.
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
