"""Saves checkpoints, resumes from them, and ends a training early."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.training.callbacks.clock import TrainingClock
from racer.training.callbacks.evaluate import EvaluateCallback
from racer.training.callbacks.log import LogCallback
from racer.training.checkpoint_content import chunk_seed, pack_checkpoint
from racer.training.config import RunConfig
from racer.training.learner import reset_lstm_states
from racer.training.run_dir import Ended, Run
from racer.training.workers import stop_signal_handlers

STOP_CHECK_S = 0.5
"""Wall-clock time between two looks whether `Run.request_stop` was called [s]."""

PAUSE_CHECK_S = 0.2
"""Wall-clock time between two looks whether a paused training may go on [s]."""


class SaveCallback(BaseCallback):
    """Saves checkpoints, restores the state of a resumed training, and ends a training early.

    A training is a sequence of chunks. A chunk ends with an evaluation and a whole checkpoint. Then
    every car is reset, so that no state of a car has to be saved, and a resumed training is bit
    for bit the same as an uninterrupted one.

    Args:
        config: The run's config.
        run: The run's folder.
        clock: The training's time.
        log: Statistics of the training episodes.
        evaluate: The evaluations.
        deepracer_log: The log of the training episodes for DeepRacer's tools; None for none.

    Attributes:
        is_stopping: Whether the training ends at its next step. Set it to stop the training.
        is_out_of_time: Whether the training ends because the config's minutes have passed.
        is_stopped_by_callback: Whether the training ends because a caller's callback asked for it.
        is_in_rollout: Whether a rollout has begun and not ended.
    """

    def __init__(
        self,
        config: RunConfig,
        run: Run,
        clock: TrainingClock,
        log: LogCallback,
        evaluate: EvaluateCallback,
        deepracer_log: DeepRacerTrainingLog | None,
    ) -> None:
        super().__init__()
        self._config, self._run, self._clock = config, run, clock
        self._log, self._evaluate, self._deepracer_log = log, evaluate, deepracer_log
        self.is_stopping = self.is_out_of_time = self.is_stopped_by_callback = False
        self.is_in_rollout = False
        self._reward_scale: list[float] = []
        self._next_stop_check = 0.0

    @property
    def ended(self) -> Ended:
        """How the training ended, once it has."""
        if self.is_stopped_by_callback:
            return "stopped by callback"
        if self.is_out_of_time:
            return "out of time"
        return "stopped" if self.is_stopping else "finished"

    def stop_by_callback(self) -> None:
        """End the training for a caller's callback, unless it is ending already."""
        if not self.is_stopping:
            self.is_stopping = self.is_stopped_by_callback = True

    def save(self, is_whole: bool) -> None:
        """Write a checkpoint of the learner and of the training's progress.

        Args:
            is_whole: Whether it ends a chunk, so that the training can be resumed from it.

        Raises:
            OSError: The checkpoint cannot be written.
        """
        env: Any = self.training_env
        scale = env.scale
        progress = {
            **({"simulator": "device"} if env.simulator == "device" else {}),
            **self._evaluate.state(),
            **self._log.state(),
            "spent": self._clock.spent,
            "seconds": self._clock.seconds,
            "scale": [float(scale.mean), float(scale.var), float(scale.count)],
        }
        record = self._evaluate.best_record
        best = record["checkpoint"] if record else None
        content = pack_checkpoint(self.model, progress, is_whole)
        keep = self._config.evaluation.kept_count
        self._run.saved.save(content, self.num_timesteps, is_whole, best, keep)

    def resume(self, progress: dict[str, Any]) -> None:
        """Continue from the progress that a checkpoint holds.

        The scale of the rewards is restored when Stable-Baselines3 begins to train.
        """
        self._evaluate.resume(progress)
        self._log.resume(progress)
        self._clock.resume(progress["spent"], progress["seconds"])
        self._reward_scale = progress["scale"]

    def start_chunk(self) -> None:
        """Reset every car, with seeds derived from the run's seed and the steps so far."""
        env, steps = self.training_env, self.num_timesteps
        env.seed(chunk_seed(self._config.seed, steps))
        self.model._last_obs = env.reset()  # pyright: ignore[reportAttributeAccessIssue]
        self.model._last_episode_starts = np.ones(env.num_envs, dtype=bool)  # pyright: ignore
        reset_lstm_states(self.model)
        if self._deepracer_log:
            self._deepracer_log.cut()

    def _on_training_start(self) -> None:
        if self._reward_scale:
            scale = self.training_env.scale  # pyright: ignore[reportAttributeAccessIssue]
            scale.mean, scale.var, scale.count = self._reward_scale

    def _on_rollout_start(self) -> None:
        is_late = self._clock.seconds > 60.0 * self._config.minutes
        if is_late and not self.is_stopped_by_callback:
            self.is_out_of_time = self.is_stopping = True
        self.is_in_rollout = True

    def _on_step(self) -> bool:
        if (now := time.monotonic()) >= self._next_stop_check:
            self._next_stop_check = now + STOP_CHECK_S
            if self._run.is_requested("pause"):
                self._pause()
            self.is_stopping = self.is_stopping or self._run.is_stop_requested()
        return not self.is_stopping

    def _pause(self) -> None:
        """Wait until the training may go on or is to stop."""
        self._log.lines.say(f"paused after {self.num_timesteps:,} steps")
        with self._clock.standing():
            while self._run.is_requested("pause") and not self.is_stopping:
                if self._run.is_stop_requested():
                    break
                time.sleep(PAUSE_CHECK_S)
        if not self.is_stopping and not self._run.is_stop_requested():
            self._log.lines.say("going on")

    def _on_rollout_end(self) -> None:
        self.is_in_rollout = False


@contextmanager
def stop_on_signals(callback: SaveCallback) -> Iterator[None]:
    """Inside the `with` block, let `STOP_SIGNALS` end the training at its next step.

    A second SIGINT or SIGTERM ends the process immediately. In other threads than the main thread,
    where Python cannot set signal handlers, nothing is changed.

    Args:
        callback: The callback that ends the training.
    """

    def request_stop(number: int, frame: object) -> None:
        callback.is_stopping = True
        for one in before:
            # A closed terminal may send SIGHUP twice, which must not end the process immediately.
            again = signal.SIG_IGN if one.name == "SIGHUP" else signal.SIG_DFL
            signal.signal(one, again)

    before = stop_signal_handlers()
    try:
        for one in before:
            signal.signal(one, request_stop)
    except ValueError:
        before.clear()
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
