"""The progress bar of a training, in a terminal or a notebook."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column
from stable_baselines3.common.callbacks import BaseCallback

from racer.training.callbacks.clock import TrainingClock
from racer.training.callbacks.evaluate import EvaluateCallback
from racer.training.callbacks.log import LogCallback
from racer.training.config import RunConfig
from racer.training.training_log import has_bar


class ProgressBarCallback(BaseCallback):
    """Shows a progress bar, updated after each rollout, on a console that can show one.

    Elsewhere nothing is shown; `LogCallback` prints a line for each evaluation instead.

    Args:
        config: The run.
        console: Where the bar is shown.
        clock: The training's time.
        log: Statistics of the training episodes.
        evaluate: The best evaluation.
    """

    def __init__(
        self,
        config: RunConfig,
        console: Console,
        clock: TrainingClock,
        log: LogCallback,
        evaluate: EvaluateCallback,
    ) -> None:
        super().__init__()
        self._total_steps, self._clock = config.total_timesteps, clock
        self._log, self._evaluate = log, evaluate
        self._bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[news]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            disable=not has_bar(console),
        )

    def _on_training_start(self) -> None:
        self._task = self._bar.add_task("", total=self._total_steps, news="")
        self._bar.start()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        completed = min(self.num_timesteps, self._total_steps)
        self._bar.update(self._task, completed=completed, news=self._news())

    def _on_training_end(self) -> None:
        self._bar.stop()

    def _news(self) -> str:
        """Return the text beside the bar, at most 56 characters, to fit a terminal of 80."""
        rate = self.num_timesteps / self._clock.seconds
        log, best = self._log, self._evaluate.best
        news = f"{rate / 1000:.1f}k steps/s, {log.completion_rate:.0%} laps"
        if np.isfinite(log.best_lap_s):
            news += f", best {log.best_lap_s:.2f} s"
            news += f" {log.best_lap_s / log.limit.flying:.2f}x" if log.limit else ""
        if best is not None:
            news += f", eval {best.laps_completed}/{best.laps}"
        return news
