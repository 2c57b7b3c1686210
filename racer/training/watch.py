"""What a person sees while a policy learns, and what is kept of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure, Image, TensorBoardOutputFormat

from racer.car.spec import car_named
from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.evaluation import LapResult, evaluate_alone, make_race_rules
from racer.laptime import committed_limit
from racer.networks.modules import NormalizeObs
from racer.networks.network_config import OBSERVATION_INPUT
from racer.race import Ending
from racer.rendering.line_plots import plot_driven_line
from racer.rendering.race_video import write_race_video
from racer.reward.reward_file import RewardSource
from racer.sensors import observation_of_car
from racer.track import load_track
from racer.training.callbacks import Evaluation, EvaluationCallback
from racer.training.checkpoint_content import (
    chunk_seed,
    episode_of,
    pack_checkpoint,
    plain_episode,
    restored_episode_infos,
)
from racer.training.config import RunConfig
from racer.training.ppo import SensorFeaturesExtractor, TorchPolicy, deterministic_actor
from racer.training.run_dir import Ended, Run
from racer.training.training_log import TrainingLog, has_bar, progress_line
from racer.training.trajectories import rewards_of_race, save_trajectory
from racer.world import CONTROL_RATE_HZ

RATE_WINDOW_EPISODES = 100
"""Episodes over which rates are taken."""
VIDEO_WITHOUT_LAP_S = 10.0
"""So much of a race without a lap is filmed [s]."""
VIDEO_SIZE_PX = (640, 360)
"""Small and at 15 pictures a second, as an evaluation shall not take much of the time."""


class Watch(BaseCallback):
    """Counts, shows, evaluates and saves; ends training when asked to stop or out of time.

    Attributes:
        stop: Set it to end training at the next step.
        spent: Seconds of `rollout`, `learning` and `evaluation` so far.
        is_out_of_time: Whether the config's minutes ended it.
        is_called_off: Whether a callback ended it.
        callbacks: Called after each evaluation; see `Evaluation`.
        raised: What one of them raised.
        log: Where a line an evaluation goes.
        best: The best evaluation so far, on the first track of those that are judged.
        evaluations: What each evaluation found, as `evaluations.jsonl` holds it.
    """

    def __init__(
        self,
        config: RunConfig,
        run: Run,
        reward: RewardSource,
        console: Console,
        trace: DeepRacerTrainingLog | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__()
        self.log = TrainingLog([run.folder / "log.txt", *([log] if log else [])], console)
        self.config, self.run, self.reward, self.trace = config, run, reward, trace
        self._ended: list[dict[str, Any]] = []
        self.stop = self.is_out_of_time = self.is_called_off = False
        self.callbacks: list[EvaluationCallback] = []
        self.raised: Exception | None = None
        self._is_in_rollout = False
        self.best: LapResult | None = None
        self._best_merit: tuple[float, ...] = ()
        self.evaluations: list[dict[str, Any]] = []
        self._best_record: dict[str, Any] | None = None
        self._before = 0.0
        self._scale: list[float] = []
        self._episodes: deque[dict[str, Any]] = deque(maxlen=RATE_WINDOW_EPISODES)
        self._best_lap = float("inf")
        # Episodes start anywhere, so the flying lap is their only bound.
        roads = [load_track(track) for track in config.track]
        is_known = len(roads) == 1 and config.race.direction == "forward"
        self._limit = committed_limit(roads[0], car_named(config.car)) if is_known else None
        judged = load_track(config.evaluation_tracks[0])
        self._line = judged.reversed() if _is_reversed(config) else judged
        self._next = config.evaluation.eval_freq
        self.spent = {"rollout": 0.0, "learning": 0.0, "evaluation": 0.0}
        self._began = self._mark = time.perf_counter()
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
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                text = (self.run.folder / "config.yaml").read_text()
                output.writer.add_text("config", f"```\n{text}\n```")
        if self._scale:
            scale = self.training_env.scale  # pyright: ignore[reportAttributeAccessIssue]
            scale.mean, scale.var, scale.count = self._scale
        self._mark = time.perf_counter()
        self._began = self._mark - self._before
        self._task = self._bar.add_task("", total=self.config.total_timesteps, news="")
        self._bar.start()

    def _on_rollout_start(self) -> None:
        now = time.perf_counter()
        if self.num_timesteps:
            self.spent["learning"] += now - self._mark
        if self.num_timesteps >= self._next:
            self._next += self.config.evaluation.eval_freq
            if not self.evaluate() and not self.stop:
                self.stop = self.is_called_off = True
            self._begin_chunk()
        is_late = time.perf_counter() - self._began > 60.0 * self.config.minutes
        if is_late and not self.is_called_off:
            self.is_out_of_time = self.stop = True
        self._is_in_rollout = True
        self._mark = time.perf_counter()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes.append(info["episode"])
                self._ended.append(_story(self.num_timesteps, info["episode"]))
                self._best_lap = float(np.fmin(self._best_lap, info["episode"]["lap_time_s"]))
        return not self.stop

    def _on_rollout_end(self) -> None:
        self._is_in_rollout = False
        now = time.perf_counter()
        self.spent["rollout"] += now - self._mark
        self._mark = now
        self._standardise()
        self.run.log("episodes", self._ended)
        self._ended = []
        rate = self.num_timesteps / (now - self._began)
        self._record(rate, now)
        done = min(self.num_timesteps, self.config.total_timesteps)
        self._bar.update(self._task, completed=done, news=self._news(rate))

    def _standardise(self) -> None:
        """Let the network's own scaling of numbers take in what the cars saw in this rollout."""
        features = self.model.policy.features_extractor
        assert isinstance(features, SensorFeaturesExtractor)
        seen = self.model.rollout_buffer.observations  # pyright: ignore[reportAttributeAccessIssue]
        given = seen if isinstance(seen, dict) else {OBSERVATION_INPUT: seen}
        for name, part in features.parts.items():
            for layer in part.modules():
                if isinstance(layer, NormalizeObs):
                    values = given[name].reshape(-1, given[name].shape[-1])
                    layer.take_in(torch.as_tensor(values, device=self.model.device))

    def _news(self, rate: float) -> str:
        """At most 56 characters, so that the bar fits a terminal of 80."""
        news = f"{rate / 1000:.1f}k steps/s, {self._completion():.0%} laps"
        if np.isfinite(self._best_lap):
            news += f", best {self._best_lap:.2f} s"
            news += f" {self._best_lap / self._limit.flying:.2f}x" if self._limit else ""
        if self.best is not None:
            news += f", judged {self.best.laps_completed}/{self.best.laps}"
        return news

    def _completion(self) -> float:
        done = [episode["ending"] == Ending.LAPS_COMPLETE for episode in self._episodes]
        return float(np.mean(done)) if done else 0.0

    def _record(self, rate: float, now: float) -> None:
        record = self.logger.record
        if self._episodes:
            episodes = list(self._episodes)
            endings = [episode["ending"] for episode in episodes]
            laps = [e["lap_time_s"] for e in episodes if np.isfinite(e["lap_time_s"])]
            record("drive/completion", self._completion())
            for ending in (Ending.OFF_TRACK, Ending.CRASHED):
                share = float(np.mean([e == ending for e in endings]))
                record(f"drive/{ending.name.lower()}_rate", share)
            record("drive/progress", float(np.mean([e["progress"] for e in episodes])))
            record("drive/reward", float(np.mean([e["r"] for e in episodes])))
            if laps:
                record("drive/lap_time_s", float(np.mean(laps)))
                record("drive/best_lap_s", self._best_lap)
            if laps and self._limit:
                record("drive/x_limit", float(np.mean(laps)) / self._limit.flying)
        record("time/steps_per_s", rate)
        for name, spent in self.spent.items():
            record(f"time/share_{name}", spent / max(now - self._began, 1e-9))

    def _begin_chunk(self) -> None:
        """Start every car anew, from a seed of this step's: so no state of theirs is saved."""
        env, steps = self.training_env, self.num_timesteps
        env.seed(chunk_seed(self.config.seed, steps))
        self.model._last_obs = env.reset()  # pyright: ignore[reportAttributeAccessIssue]
        self.model._last_episode_starts = np.ones(env.num_envs, dtype=bool)  # pyright: ignore
        if self.trace:
            self.trace.cut()

    def go_on(self, progress: dict[str, Any]) -> None:
        """Take up where `progress`, as a checkpoint holds it, left off."""
        self.evaluations, self._best_record = progress["evaluations"], progress["best"]
        if record := self._best_record:
            car = car_named(self.config.car)
            kept = (record["result"], *record.get("others", ()))
            results = [
                restored_episode_infos(one, committed_limit(load_track(track), car))
                for one, track in zip(kept, self.config.evaluation_tracks)
            ]
            self.best, self._best_merit = results[0], merit(results)
        self._episodes.extend(episode_of(one) for one in progress["episodes"])
        self._best_lap, self._next = progress["best_lap"], progress["next"]
        self.spent, self._before = progress["spent"], progress["seconds"]
        self._scale = progress["scale"]

    def save(self, is_whole: bool) -> str:
        """Write a checkpoint, and say the name of its file.

        Args:
            is_whole: Whether it ends a chunk, so that the run can go on from it.

        Raises:
            OSError: It cannot be written.
        """
        scale = self.training_env.scale  # pyright: ignore[reportAttributeAccessIssue]
        progress = {
            "evaluations": self.evaluations,
            "best": self._best_record,
            "episodes": [plain_episode(one) for one in self._episodes],
            "best_lap": self._best_lap,
            "next": self._next,
            "spent": self.spent,
            "seconds": time.perf_counter() - self._began,
            "scale": [float(scale.mean), float(scale.var), float(scale.count)],
        }
        best = self._best_record["checkpoint"] if self._best_record else None
        content = pack_checkpoint(self.model, progress)  # pyright: ignore[reportArgumentType]
        keep = self.config.evaluation.keep
        return self.run.saved.save(content, self.num_timesteps, is_whole, best, keep).file

    @property
    def ended(self) -> Ended:
        """How the training ended, once it did."""
        if self.is_called_off:
            return "stopped by callback"
        if self.is_out_of_time:
            return "out of time"
        return "stopped" if self.stop else "finished"

    @property
    def judged_steps(self) -> int:
        """Steps before the last evaluation; in the end, all that count."""
        return self.evaluations[-1]["steps"]

    def conclude(self) -> None:
        """Evaluate what was learnt last, unless it was an evaluation that ended the training."""
        if self.is_called_off:
            return
        # A callback of Stable-Baselines3's stops in the midst of a rollout.
        if self._is_in_rollout and not self.stop:
            self.stop = self.is_called_off = True
        self.evaluate(is_whole=not self.stop)

    def evaluate(self, is_whole: bool = True) -> bool:
        """Let the judge see the deterministic policy; save it, and mark it if it is the best.

        Args:
            is_whole: Whether a chunk ends here.

        Returns:
            Whether the training shall go on: False where one of the callbacks said so.
        """
        if not is_whole:
            self.save(is_whole)  # The judge takes its time, and whoever stopped us may not.
        began = time.perf_counter()
        results = self._judge()
        result = results[0]
        found = result.as_dict()
        others = {"others": [one.as_dict() for one in results[1:]]} if results[1:] else {}
        self.evaluations.append({"steps": self.num_timesteps, **found, **others})
        is_best = merit(results) > self._best_merit
        if is_best:
            self.best, self._best_merit = result, merit(results)
            file = f"step-{self.num_timesteps}.pt"
            self._best_record = {"checkpoint": file, "result": found, **others}
        paid = self._keep_line(result)
        if is_whole:
            self.save(is_whole)
        self.run.log("evaluations", self.evaluations[-1:])
        if is_best and self._best_record:
            self.run.mark_best(self._best_record)
        self._show(result)
        self._record_return(result, paid)
        self._show_others(results[1:])
        every = self.config.evaluation.video_freq
        if every and len(self.evaluations) % every == 0:
            self._film(result)
        self.spent["evaluation"] += time.perf_counter() - began
        self.log.say(self._progress(result))
        return self._tell(results, float(np.sum(paid)), is_best)

    def _tell(self, results: list[LapResult], mean_reward: float, is_best: bool) -> bool:
        """Call the callbacks, all of them, and say whether the training shall go on."""
        first = results[0]
        share = max(first.laps_completed, first.distance / self._line.length) / first.laps
        evaluation = Evaluation(
            run=self.run,
            steps=self.num_timesteps,
            total_steps=self.config.total_timesteps,
            results=tuple(results),
            progress=100.0 * min(max(share, 0.0), 1.0),
            mean_reward=mean_reward,
            is_best=is_best,
        )
        try:
            answers = [callback(evaluation) for callback in self.callbacks]
        except Exception as problem:
            self.raised = problem
            raise
        # None, which a function without a return gives, lets it go on.
        return not any(isinstance(one, (bool, np.bool_)) and not one for one in answers)

    def _progress(self, result: LapResult) -> str:
        """A line about an evaluation."""
        steps, total = self.num_timesteps, self.config.total_timesteps
        spent = time.perf_counter() - self._began
        left = min(spent * (total - steps) / max(steps, 1), 60.0 * self.config.minutes - spent)
        return progress_line(min(steps, total), total, steps / spent, result, left)

    def _judge(self) -> list[LapResult]:
        """One race on each track that is judged."""
        rules, race = self.config.evaluation, self.config.race
        policy = self.model.policy
        policy.set_training_mode(False)
        driver = TorchPolicy(deterministic_actor(self.config, self.model), policy.device)  # pyright: ignore[reportArgumentType]
        return [
            evaluate_alone(
                driver,
                self.config.sensor,
                self.config.actions,
                track,
                make_race_rules(rules.laps, race.off_track_penalty, rules.time_limit, like=race),
                self.config.seed,
                self.config.car,
            )
            for track in self.config.evaluation_tracks
        ]

    def _keep_line(self, result: LapResult) -> np.ndarray:
        """Keep the driven line, and return what the reward pays for each of its steps, (T,)."""
        is_reversed = _is_reversed(self.config)
        paid = rewards_of_race(result, self._line, self.config.car, self.reward, is_reversed)
        save_trajectory(self.run.line(self.num_timesteps), result, paid)
        if self.trace:
            self.trace.evaluation(result, paid)
        return paid

    def _show(self, result: LapResult) -> None:
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
        title = f"{self.num_timesteps:,} steps: {result.laps_completed}/{result.laps} laps"
        title += f", {result.x_limit:.2f} x the limit" if result.x_limit else ""
        figure = plot_driven_line(self._line, result.xy, result.speed, title)
        record("judge/driven_line", Figure(figure, close=False), exclude="stdout")
        env = self.training_env
        seen = observation_of_car(env.observations, 0)  # pyright: ignore[reportAttributeAccessIssue]
        for name, one in seen.items() if isinstance(seen, dict) else [("camera", seen)]:
            if one.ndim == 3:
                record(f"judge/{name}", Image(one[..., -1:], "HWC"), exclude="stdout")

    def _record_return(self, result: LapResult, paid: np.ndarray) -> None:
        """Record the race as one episode, by the names of Stable-Baselines3's EvalCallback."""
        if np.isfinite(paid).all():
            self.logger.record("eval/mean_reward", float(np.sum(paid)))
        self.logger.record("eval/mean_ep_length", len(result.time))

    def _film(self, result: LapResult) -> None:
        """Film the first lap, or what there is of it, as `videos/step-N.mp4`."""
        write_race_video(
            self.run.folder / "videos" / f"step-{self.num_timesteps}.mp4",
            load_track(self.config.evaluation_tracks[0]),
            [result],
            self.config.race.model_copy(update={"laps": result.laps}),
            [self.run.folder.name],
            sensor=self.config.sensor,
            car=self.config.car,
            size=VIDEO_SIZE_PX,
            rate=CONTROL_RATE_HZ,
            until=result.lap_times_s[0] if result.lap_times_s else VIDEO_WITHOUT_LAP_S,
        )

    def _show_others(self, results: list[LapResult]) -> None:
        for result in results:
            share = result.laps_completed / result.laps
            self.logger.record(f"judge_{result.track}/completion", share)
            self.logger.record(f"judge_{result.track}/resets", result.resets)
            if result.x_limit is not None:
                self.logger.record(f"judge_{result.track}/x_limit", result.x_limit)

    def _on_training_end(self) -> None:
        self._bar.stop()


def _is_reversed(config: RunConfig) -> bool:
    return config.race.direction == "reverse"


def _story(steps: int, episode: dict[str, Any]) -> dict[str, Any]:
    """A line of `episodes.jsonl`: some 130 bytes."""
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


def merit(results: Sequence[LapResult]) -> tuple[float, ...]:
    """Orders results on the same tracks: most laps; fewest faults, then fastest, of complete ones;
    else furthest.
    """
    done = [one for one in results if one.total_time_s is not None]
    return (
        sum(one.laps_completed for one in results),
        -sum(one.resets for one in done),
        -sum(one.total_time_s or 0.0 for one in done),
        sum(one.distance for one in results if one.total_time_s is None),
    )
