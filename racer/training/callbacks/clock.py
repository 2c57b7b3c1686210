"""The wall-clock time of a training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class TrainingClock:
    """Measures the wall-clock time of a training, over all its parts, and of each activity.

    Attributes:
        spent: Seconds spent on `rollout`, `learning` and `evaluation` so far.
    """

    def __init__(self) -> None:
        self.spent = {"rollout": 0.0, "learning": 0.0, "evaluation": 0.0}
        self._seconds_before = 0.0
        self._began = self._mark = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds that the training has run, over all its parts."""
        return time.perf_counter() - self._began

    def resume(self, spent: dict[str, float], seconds: float) -> None:
        """Continue from the times of a checkpoint, once `start` is called.

        Args:
            spent: `spent` as it was then.
            seconds: `seconds` as they were then.
        """
        self.spent, self._seconds_before = spent, seconds

    def start(self) -> None:
        """Begin to count, when Stable-Baselines3 begins to train."""
        self._mark = time.perf_counter()
        self._began = self._mark - self._seconds_before

    def end_learning(self) -> None:
        """Count the time since the end of the last rollout as learning."""
        self.spent["learning"] += time.perf_counter() - self._mark

    def start_rollout(self) -> None:
        """Begin to count the time of a rollout."""
        self._mark = time.perf_counter()

    def end_rollout(self) -> None:
        """Count the time since `start_rollout` as rollout, and begin to count the learning's."""
        now = time.perf_counter()
        self.spent["rollout"] += now - self._mark
        self._mark = now

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Count the time inside the `with` block as nothing at all."""
        began = time.perf_counter()
        yield
        waited = time.perf_counter() - began
        self._began += waited
        self._mark += waited

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Count the time inside the `with` block as evaluation."""
        began = time.perf_counter()
        yield
        self.spent["evaluation"] += time.perf_counter() - began
