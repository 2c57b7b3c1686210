"""Shows what the cars do now while somebody watches."""

from __future__ import annotations

import contextlib
import time

from stable_baselines3.common.callbacks import BaseCallback

from racer.training.config import RunConfig
from racer.training.live_frames import LiveFrameWriter
from racer.training.run_dir import Run

WATCH_CHECK_S = 0.5
"""Wall-clock time between two looks whether somebody watches [s]."""


class LiveCallback(BaseCallback):
    """Writes frames of the cars into the run's folder while somebody watches.

    It changes nothing that the training uses. A frame that cannot be written is left out.

    Args:
        config: The run's config.
        run: The run's folder.
    """

    def __init__(self, config: RunConfig, run: Run) -> None:
        super().__init__()
        self._frames = LiveFrameWriter(run.folder, config)
        self._is_watched, self._next_look = False, 0.0

    def _on_step(self) -> bool:
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + WATCH_CHECK_S
            self._is_watched = self._frames.is_watched()
        if self._is_watched and self._frames.is_due():
            env = self.training_env
            with contextlib.suppress(OSError):
                self._frames.write(
                    env.poses,  # pyright: ignore[reportAttributeAccessIssue]
                    env.observations,  # pyright: ignore[reportAttributeAccessIssue]
                    self.num_timesteps,
                )
        return True

    def _on_training_end(self) -> None:
        self._frames.close()
