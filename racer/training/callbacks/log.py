"""The records of a training: TensorBoard's scalars, log lines and episode records."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure, Image, TensorBoardOutputFormat

from racer.car.spec import car_named
from racer.evaluation import LapResult
from racer.laptime import committed_limit
from racer.race import Ending
from racer.rendering.line_plots import plot_driven_line
from racer.sensors import observation_of_car
from racer.track import Track, load_track
from racer.training.callbacks.clock import TrainingClock
from racer.training.callbacks.evaluate import EvaluatedRaces
from racer.training.checkpoint_content import episode_of, plain_episode
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.training_log import TrainingLog, progress_line

RATE_WINDOW_EPISODES = 100
"""Number of the latest episodes that means and rates are taken over."""


class LogCallback(BaseCallback):
    """Writes TensorBoard's scalars, the training's log lines and `episodes.jsonl`.

    After each rollout it writes the statistics of the training episodes (`drive/...`, `time/...`),
    after each evaluation those of the evaluated races (`judge/...`, `eval/...`).

    Args:
        config: The run's config.
        run: The run's folder.
        clock: The training's time.
        lines: The training log.

    Attributes:
        lines: The training log.
        best_lap_s: The fastest lap of all training episodes so far [s]; infinite before the first.
        limit: The minimum lap time of the car on the track, if the cars train on a single track and
            forwards; otherwise None.
    """

    def __init__(
        self, config: RunConfig, run: Run, clock: TrainingClock, lines: TrainingLog
    ) -> None:
        super().__init__()
        self._config, self._run, self._clock, self.lines = config, run, clock, lines
        self.best_lap_s = float("inf")
        self._episodes: deque[dict[str, Any]] = deque(maxlen=RATE_WINDOW_EPISODES)
        self._unwritten: list[dict[str, Any]] = []
        tracks = [load_track(track) for track in config.track]
        is_known = len(tracks) == 1 and config.race.direction == "forward"
        # Only the limit of a flying lap is used, because episodes may start anywhere on the track.
        self.limit = committed_limit(tracks[0], car_named(config.car)) if is_known else None

    @property
    def completion_rate(self) -> float:
        """Share of the latest episodes that completed all their laps, 0 to 1."""
        done = [episode["ending"] == Ending.LAPS_COMPLETE for episode in self._episodes]
        return float(np.mean(done)) if done else 0.0

    def state(self) -> dict[str, Any]:
        """Return the state to save in a checkpoint, as plain values."""
        episodes = [plain_episode(one) for one in self._episodes]
        return {"episodes": episodes, "best_lap": self.best_lap_s}

    def resume(self, progress: dict[str, Any]) -> None:
        """Restore the state from the progress in a checkpoint."""
        self._episodes.extend(episode_of(one) for one in progress["episodes"])
        self.best_lap_s = progress["best_lap"]

    def on_evaluation(self, races: EvaluatedRaces, track: Track) -> None:
        """Record an evaluation's scalars and pictures for TensorBoard.

        Args:
            races: The evaluated races.
            track: The track of the first race, in the direction in which it is driven.
        """
        result = races.results[0]
        self._record_first_race(result)
        self._record_pictures(result, track)
        self._record_return(result, races.rewards)
        self._record_other_races(races.results[1 : len(self._config.evaluation_tracks)])

    def write_progress(self, result: LapResult) -> None:
        """Add a line to the training log.

        Args:
            result: The first race of the evaluation that has just ended.
        """
        steps, total = self.num_timesteps, self._config.total_timesteps
        seconds = self._clock.seconds
        steps_left_s = seconds * (total - steps) / max(steps, 1)
        left = min(steps_left_s, 60.0 * self._config.minutes - seconds)
        self.lines.say(progress_line(min(steps, total), total, steps / seconds, result, left))

    def _on_training_start(self) -> None:
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                text = (self._run.folder / "config.yaml").read_text()
                output.writer.add_text("config", f"```\n{text}\n```")

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                episode = info["episode"]
                self._episodes.append(episode)
                self._unwritten.append(_episode_record(self.num_timesteps, episode))
                self.best_lap_s = float(np.fmin(self.best_lap_s, episode["lap_time_s"]))
        return True

    def _on_rollout_end(self) -> None:
        self._run.log("episodes", self._unwritten)
        self._unwritten = []
        if self._episodes:
            self._record_episodes()
        seconds = self._clock.seconds
        self.logger.record("time/steps_per_s", self.num_timesteps / seconds)
        for name, spent in self._clock.spent.items():
            self.logger.record(f"time/share_{name}", spent / max(seconds, 1e-9))

    def _record_episodes(self) -> None:
        record, episodes = self.logger.record, list(self._episodes)
        endings = [episode["ending"] for episode in episodes]
        laps = [e["lap_time_s"] for e in episodes if np.isfinite(e["lap_time_s"])]
        record("drive/completion", self.completion_rate)
        for ending in (Ending.OFF_TRACK, Ending.CRASHED):
            share = float(np.mean([e == ending for e in endings]))
            record(f"drive/{ending.name.lower()}_rate", share)
        record("drive/progress", float(np.mean([e["progress"] for e in episodes])))
        record("drive/reward", float(np.mean([e["r"] for e in episodes])))
        if laps:
            record("drive/lap_time_s", float(np.mean(laps)))
            record("drive/best_lap_s", self.best_lap_s)
        if laps and self.limit:
            record("drive/x_limit", float(np.mean(laps)) / self.limit.flying)

    def _record_first_race(self, result: LapResult) -> None:
        record = self.logger.record
        record("judge/laps_completed", result.laps_completed)
        record("judge/off_tracks", result.off_tracks)
        record("judge/collisions", result.collisions)
        if result.best_lap_s is not None:
            record("judge/best_lap_s", result.best_lap_s)
        if result.total_time_s is not None:
            record("judge/total_time_s", result.total_time_s)
        if result.x_limit is not None:
            record("judge/x_limit", result.x_limit)

    def _record_pictures(self, result: LapResult, track: Track) -> None:
        """Record the driven line, and the current images of the first training car's cameras.

        Args:
            result: The first race.
            track: Its track, in the direction in which it is driven.
        """
        record = self.logger.record
        title = f"{self.num_timesteps:,} steps: {result.laps_completed}/{result.laps} laps"
        title += f", {result.x_limit:.2f} x the limit" if result.x_limit else ""
        figure = plot_driven_line(track, result.xy, result.speed, title)
        record("judge/driven_line", Figure(figure, close=False), exclude="stdout")
        env = self.training_env
        seen = observation_of_car(env.observations, 0)  # pyright: ignore[reportAttributeAccessIssue]
        for name, one in seen.items() if isinstance(seen, dict) else [("camera", seen)]:
            if one.ndim == 3:
                # The newest frame of a frame stack.
                record(f"judge/{name}", Image(one[..., -1:], "HWC"), exclude="stdout")

    def _record_return(self, result: LapResult, rewards: np.ndarray) -> None:
        """Record the race as one episode, with the names that SB3's EvalCallback uses.

        Args:
            result: The first race.
            rewards: The reward of each control step, (T,).
        """
        if np.isfinite(rewards).all():
            self.logger.record("eval/mean_reward", float(np.sum(rewards)))
        self.logger.record("eval/mean_ep_length", len(result.time))

    def _record_other_races(self, results: Sequence[LapResult]) -> None:
        for result in results:
            share = result.laps_completed / result.laps
            self.logger.record(f"judge_{result.track}/completion", share)
            self.logger.record(f"judge_{result.track}/resets", result.resets)
            if result.x_limit is not None:
                self.logger.record(f"judge_{result.track}/x_limit", result.x_limit)


def _episode_record(steps: int, episode: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an episode in `episodes.jsonl`, about 130 bytes.

    Args:
        steps: Control steps trained before the episode ended, over all cars.
        episode: The episode's record; see `racer.training.episodes.EpisodeRunner`.
    """
    lap = episode["lap_time_s"]
    return {
        "steps": steps,
        "reward": round(episode["r"], 3),
        "length": episode["l"],
        "progress": round(episode["progress"], 2),
        "ending": episode["ending"].name.lower(),
        "lap_time_s": round(lap, 3) if np.isfinite(lap) else None,
        "track": episode["track"],
        "xy": [round(value, 2) for value in episode["xy"]],
    }
