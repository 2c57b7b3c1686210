"""What a caller's own code is told of a training, and how it stops one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from racer.errors import ConfigError
from racer.evaluation import LapResult
from racer.training.run_dir import Run


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a training, as its callbacks get it.

    Attributes:
        run: The run; the evaluation's checkpoint is in its folder already.
        steps: Control steps trained so far, over all cars.
        total_steps: Those of the whole training.
        results: The race of the deterministic policy on each track of `evaluation.track`.
        progress: Share of the first race's laps that was driven [percent].
        mean_reward: Return of the first race by the run's reward function, penalties' steps
            included; NaN where the function raises there.
        is_best: Whether its checkpoint is the best so far, which an export takes.
    """

    run: Run
    steps: int
    total_steps: int
    results: tuple[LapResult, ...]
    progress: float
    mean_reward: float
    is_best: bool

    @property
    def result(self) -> LapResult:
        """The race on the first track."""
        return self.results[0]

    @property
    def laps_completed(self) -> int:
        """Laps of the first race that were driven to their end."""
        return self.result.laps_completed

    @property
    def best_lap_s(self) -> float | None:
        """The fastest lap of the first race [s]; None where none was completed."""
        return self.result.best_lap_s

    @property
    def x_limit(self) -> float | None:
        """Time of the first race in multiples of the least; None where laps are missing."""
        return self.result.x_limit

    def as_dict(self) -> dict[str, float]:
        """Return the figures that are known, by their names, as an experiment tracker takes them.

        A lap time is missing until a lap was completed, and so on.
        """
        figures: dict[str, float | None] = {
            "progress": self.progress,
            "mean_reward": self.mean_reward,
            "laps_completed": self.laps_completed,
            "off_tracks": self.result.off_tracks,
            "collisions": self.result.collisions,
            "best_lap_s": self.best_lap_s,
            "total_time_s": self.result.total_time_s,
            "x_limit": self.x_limit,
        }
        return {name: float(value) for name, value in figures.items() if value is not None}


EvaluationCallback = Callable[[Evaluation], Any]
"""Called after each evaluation; it stops the training by returning False."""
Callback = EvaluationCallback | BaseCallback
"""A function, or one of Stable-Baselines3's callbacks, which is called at each step too."""


def sorted_callbacks(
    given: Callback | Sequence[Callback] | None,
) -> tuple[list[EvaluationCallback], list[BaseCallback]]:
    """Return the functions and Stable-Baselines3's callbacks among those that were given.

    Raises:
        ConfigError: One is neither.
    """
    several = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
    functions: list[EvaluationCallback] = []
    theirs: list[BaseCallback] = []
    for one in several:
        if isinstance(one, BaseCallback):
            theirs.append(one)
        elif callable(one) and not isinstance(one, type):
            functions.append(one)
        else:
            raise ConfigError(
                f"callback: got {one!r:.100}; wanted is a function of an evaluation, an instance "
                "of Stable-Baselines3's BaseCallback, or a list of them"
            )
    return functions, theirs
