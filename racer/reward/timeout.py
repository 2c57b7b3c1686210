"""A time limit for a user's code."""

from __future__ import annotations

import ctypes
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from types import FrameType

try:
    # Python's own wrapper of it makes enums of its arguments, which takes longer than all the rest.
    from _signal import signal as _set_handler  # pyright: ignore[reportMissingImports]
except ImportError:
    from signal import signal as _set_handler

REPEAT_S = 1.0
"""Time after which `TimeoutExceeded` is raised again, in case a bare `except:` swallows it [s]."""
WATCH_PERIOD_S = 0.05
"""How often a thread looks at the clock where the system has no timer [s]."""


class TimeoutExceeded(BaseException):
    """Raised inside code that takes too long; a BaseException, so `except Exception` passes it."""


def timeout_after(seconds: float) -> AbstractContextManager[None]:
    """Return a context that raises `TimeoutExceeded` in its block after the given time.

    The process's alarm timer (`signal.setitimer`) is started on entry and stopped on exit, which
    takes about five microseconds; the code inside is not slowed down. Python checks for the signal
    between two bytecode instructions of the main thread, so the traceback ends in the line that
    hangs; a single call into C is interrupted when it returns. Where there is no such timer, as on
    Windows, a thread does the same, up to `WATCH_PERIOD_S` later.

    Outside the main thread, which alone receives signals, and if the timer is already in use, there
    is no time limit.

    Args:
        seconds: The time limit [s].
    """
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return _Alarm(seconds) if hasattr(signal, "setitimer") else _watched_for(seconds)


class _Alarm(AbstractContextManager[None]):
    """The time limit by the process's alarm timer; each control step runs in one."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._handler, self._is_set = seconds, None, False

    def __enter__(self) -> None:
        self._handler = _set_handler(signal.SIGALRM, _ring)
        others = signal.setitimer(signal.ITIMER_REAL, self._seconds, REPEAT_S)
        self._is_set = others[0] <= 0.0
        if not self._is_set:
            signal.setitimer(signal.ITIMER_REAL, *others)
            _set_handler(signal.SIGALRM, self._handler)

    def __exit__(self, *raised: object) -> None:
        if self._is_set:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            _set_handler(signal.SIGALRM, self._handler)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TimeoutExceeded


@contextmanager
def _watched_for(seconds: float) -> Iterator[None]:
    watch = _watch()
    if watch.until < math.inf:
        yield
        return
    watch.until = time.monotonic() + seconds
    try:
        yield
    finally:
        watch.until = math.inf
        watch.take_back()


class _Watch(threading.Thread):
    """A thread that raises `TimeoutExceeded` in the main thread when it is `until` [s]."""

    def __init__(self) -> None:
        super().__init__(name="racer-timeout", daemon=True)
        self.until, self._again, self._lock = math.inf, 0.0, threading.Lock()

    def run(self) -> None:
        while True:
            time.sleep(WATCH_PERIOD_S)
            with self._lock:
                now = time.monotonic()
                if now >= max(self.until, self._again):
                    self._again = now + REPEAT_S
                    _raise_in_main_thread(TimeoutExceeded)

    def take_back(self) -> None:
        """Cancel an exception that was not raised yet; `until` must be infinite."""
        with self._lock:
            self._again = 0.0
            _raise_in_main_thread(None)


@lru_cache(maxsize=1)
def _watch() -> _Watch:
    watch = _Watch()
    watch.start()
    return watch


def _raise_in_main_thread(kind: type[BaseException] | None) -> None:
    """Let the main thread raise an exception at its next bytecode instruction; None for none."""
    main = ctypes.c_ulong(threading.main_thread().ident or 0)
    raised = ctypes.py_object(kind) if kind else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(main, raised)
