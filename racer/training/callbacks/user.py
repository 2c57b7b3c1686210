"""The callbacks that a caller passes to a training, and the evaluation that they get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from racer.errors import ConfigError
from racer.evaluation import LapResult
from racer.training.run_dir import Run


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a training, as a callback gets it.

    Attributes:
        run: The run; the evaluation's checkpoint is in its folder already.
        steps: Control steps trained so far, over all cars.
        total_steps: Control steps of the whole training.
        results: The races of the deterministic policy, in the order of
            `RunConfig.evaluation_races`.
        progress: Share of the first race's laps that was driven [percent].
        mean_reward: Return of the first race by the run's reward function, including the steps
            spent in penalties; NaN if the function raises there.
        is_best: Whether its checkpoint is the best so far; an export takes the best one.
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
        """Number of completed laps of the first race."""
        return self.result.laps_completed

    @property
    def best_lap_s(self) -> float | None:
        """The fastest lap of the first race [s]; None without a completed lap."""
        return self.result.best_lap_s

    @property
    def x_limit(self) -> float | None:
        """Time of the first race in multiples of the minimum lap time; None if laps are missing."""
        return self.result.x_limit

    def as_dict(self) -> dict[str, float]:
        """Return the figures that are known, by name, as an experiment tracker takes them.

        A figure that is not known yet, such as a lap time before the first lap, is left out.
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
"""A function called after each evaluation; it stops the training by returning False."""
Callback = EvaluationCallback | BaseCallback
"""A function, or one of Stable-Baselines3's callbacks, which is called at each step too."""


class UserCallbacks:
    """Calls the caller's functions after each evaluation.

    Args:
        functions: The functions.

    Attributes:
        raised: The exception that one of the functions raised; None if none did.
    """

    def __init__(self, functions: Sequence[EvaluationCallback]) -> None:
        self._functions = list(functions)
        self.raised: Exception | None = None

    def on_evaluation(self, evaluation: Evaluation) -> bool:
        """Call all functions, and return False if one of them returned False.

        Raises:
            Exception: Any exception that a function raises.
        """
        try:
            answers = [function(evaluation) for function in self._functions]
        except Exception as problem:
            self.raised = problem
            raise
        # A function without a return statement returns None, and the training continues.
        return not any(isinstance(one, (bool, np.bool_)) and not one for one in answers)


def sorted_callbacks(
    given: Callback | Sequence[Callback] | None,
) -> tuple[list[EvaluationCallback], list[BaseCallback]]:
    """Return the functions and Stable-Baselines3's callbacks as two lists.

    Args:
        given: The callbacks as the caller passed them to `racer.train`.

    Raises:
        ConfigError: One of them is neither a function nor a callback of Stable-Baselines3.
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
                f"callback: got {one!r:.100}; allowed are a function of an evaluation, an instance "
                "of Stable-Baselines3's BaseCallback, or a list of them"
            )
    return functions, theirs
