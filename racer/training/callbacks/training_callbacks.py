"""All callbacks of a training as one, and the order of what happens at an evaluation."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from stable_baselines3.common.callbacks import CallbackList

from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.reward.reward_file import RewardSource
from racer.training.callbacks.clock import TrainingClock
from racer.training.callbacks.evaluate import EvaluateCallback
from racer.training.callbacks.live import LiveCallback
from racer.training.callbacks.log import LogCallback
from racer.training.callbacks.normalize import NormalizeCallback
from racer.training.callbacks.progress import ProgressBarCallback
from racer.training.callbacks.save import SaveCallback
from racer.training.callbacks.user import EvaluationCallback, UserCallbacks
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.training_log import TrainingLog


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the state of all global random generators after the `with` block."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        torch.set_rng_state(kept[2])
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)


class TrainingCallbacks(CallbackList):
    """Normalizes, logs, evaluates, saves and shows a training's progress.

    Args:
        config: The run's config.
        run: The run's folder.
        reward: The run's reward function.
        console: Where the progress is shown.
        functions: The caller's functions, called with each evaluation.
        deepracer_log: The log for DeepRacer's tools; None for none.
        log_path: A second file for the lines of the training log, which the run's `log.txt` gets.

    Attributes:
        clock: The training's time.
        log: Scalars, log lines and episode records.
        evaluate: The evaluations and the best of them.
        save: Checkpoints, and the reason for which the training ends.
        user: The caller's functions.

    Raises:
        RunError: A log file cannot be written.
    """

    def __init__(
        self,
        config: RunConfig,
        run: Run,
        reward: RewardSource,
        console: Console,
        functions: Sequence[EvaluationCallback] = (),
        deepracer_log: DeepRacerTrainingLog | None = None,
        log_path: Path | None = None,
    ) -> None:
        lines = TrainingLog([run.folder / "log.txt", *([log_path] if log_path else [])], console)
        self._run, self.clock = run, TrainingClock()
        self.user = UserCallbacks(functions)
        self.log = LogCallback(config, run, self.clock, lines)
        self.evaluate = EvaluateCallback(config, run, reward, deepracer_log)
        self.save = SaveCallback(config, run, self.clock, self.log, self.evaluate, deepracer_log)
        progress = ProgressBarCallback(config, console, self.clock, self.log, self.evaluate)
        watched = LiveCallback(config, run)
        super().__init__(
            [NormalizeCallback(), self.log, self.evaluate, watched, self.save, progress]
        )

    def resume(self, progress: dict[str, Any]) -> None:
        """Continue from the progress that a checkpoint holds."""
        self.save.resume(progress)

    def save_pretrained(self) -> None:
        """Evaluate and save a policy before the first step of its training.

        Raises:
            OSError: A file cannot be written.
        """
        with self.clock.evaluating():
            races = self.evaluate.race_policy()
        self.save.save(is_whole=True)
        self.evaluate.write_records(races)
        self.log.on_evaluation(races, self.evaluate.track)

    def finish(self) -> None:
        """Evaluate and save the final policy, unless the last evaluation ended the training.

        Raises:
            OSError: A file cannot be written.
        """
        if self.save.is_stopped_by_callback:
            return
        # One of Stable-Baselines3's callbacks that stops the training does so within a rollout.
        if self.save.is_in_rollout:
            self.save.stop_by_callback()
        self._evaluate_and_save(is_whole=not self.save.is_stopping)

    def fail(self, problem: BaseException) -> None:
        """Save a checkpoint after an exception, and record the exception in `run.json` and the log.

        A file that cannot be written is skipped, because the exception may be a full disk, and so
        is a checkpoint that cannot be read from the device, as after an error of CUDA.

        Args:
            problem: The exception.
        """
        self.on_training_end()
        with contextlib.suppress(OSError, RuntimeError):
            self.save.save(is_whole=False)
        with contextlib.suppress(OSError):
            self._run.mark_ended("failed", str(problem) or type(problem).__name__)
        self.log.lines.keep(f"failed: {problem or type(problem).__name__}")

    def _on_training_start(self) -> None:
        self.clock.start()
        super()._on_training_start()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            self.clock.end_learning()
        if self.evaluate.is_due():
            self._run.clear_request("evaluate")
            if not self._evaluate_and_save(is_whole=True):
                self.save.stop_by_callback()
            self.save.start_chunk()
        elif self._run.is_requested("evaluate"):
            self._run.clear_request("evaluate")
            with generators_kept():
                if not self._evaluate_and_save(is_whole=False):
                    self.save.stop_by_callback()
        super()._on_rollout_start()
        self.clock.start_rollout()

    def _on_rollout_end(self) -> None:
        self.clock.end_rollout()
        super()._on_rollout_end()

    def _evaluate_and_save(self, is_whole: bool) -> bool:
        """Evaluate the policy, save a checkpoint, log both, and call the caller's functions.

        Args:
            is_whole: Whether a chunk ends here, so that the training can be resumed from here.

        Returns:
            Whether the training continues: False if one of the caller's functions returned False.
        """
        if not is_whole:
            # Save before the evaluation, which takes a while: the process may be killed meanwhile.
            self.save.save(is_whole)
        with self.clock.evaluating():
            races = self.evaluate.race_policy()
            if is_whole:
                self.save.save(is_whole)
            self.evaluate.write_records(races)
            self.log.on_evaluation(races, self.evaluate.track)
            self.evaluate.write_video(races.results[0])
        self.log.write_progress(races.results[0])
        return self.user.on_evaluation(self.evaluate.summarize(races))
