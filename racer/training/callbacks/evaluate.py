"""The evaluation of the deterministic policy while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from racer.car.spec import car_named
from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.evaluation import Driver, LapResult, evaluate_drivers, make_race_rules
from racer.laptime import committed_limit
from racer.networks.policy_network import TorchPolicy
from racer.randomisation import NO_RANDOMISATION
from racer.reward.reward_file import RewardSource
from racer.track import load_track
from racer.training.callbacks.user import Evaluation
from racer.training.checkpoint_content import lap_result_from_dict
from racer.training.config import RunConfig
from racer.training.lap_video import write_lap_video
from racer.training.learner import deterministic_actor
from racer.training.run_dir import Run
from racer.training.run_history import evaluation_progress
from racer.training.trajectories import rewards_of_race, save_trajectory


class EvaluatedRaces(NamedTuple):
    """The races of one evaluation.

    Attributes:
        results: The races, in the order of `RunConfig.evaluation_races`.
        rewards: The reward of each control step of the first race, (T,); all NaN if the reward
            function raises in one of them.
        is_best: Whether the evaluation is better than all before it.
    """

    results: list[LapResult]
    rewards: np.ndarray
    is_best: bool


class EvaluateCallback(BaseCallback):
    """Evaluates the deterministic policy, saves lines and videos, and tracks the best checkpoint.

    `TrainingCallbacks` calls its methods, because evaluating, saving and logging alternate.

    Args:
        config: The run's config.
        run: The run's folder.
        reward: The run's reward function.
        deepracer_log: The log for DeepRacer's tools; None for none.

    Attributes:
        best: The first race of the best evaluation so far; None before the first.
        best_record: The same as `best.json` holds it.
        records: All evaluations so far, as `evaluations.jsonl` holds them.
        track: The track of the first race, in the direction in which it is driven.
        next_steps: Control steps over all cars after which the next evaluation is due.
    """

    def __init__(
        self,
        config: RunConfig,
        run: Run,
        reward: RewardSource,
        deepracer_log: DeepRacerTrainingLog | None,
    ) -> None:
        super().__init__()
        self._config, self._run, self._reward = config, run, reward
        self._deepracer_log = deepracer_log
        self.best: LapResult | None = None
        self.best_record: dict[str, Any] | None = None
        self._best_key: tuple[float, ...] = ()
        self.records: list[dict[str, Any]] = []
        self._is_reversed = config.race.direction == "reverse"
        track = load_track(config.evaluation_tracks[0])
        self.track = track.reversed() if self._is_reversed else track
        self.next_steps = config.evaluation.eval_freq

    @property
    def steps(self) -> int:
        """Control steps trained before the last evaluation, over all cars."""
        return self.records[-1]["steps"]

    def state(self) -> dict[str, Any]:
        """Return the state to save in a checkpoint, as plain values."""
        return {"evaluations": self.records, "best": self.best_record, "next": self.next_steps}

    def resume(self, progress: dict[str, Any]) -> None:
        """Restore the state from the progress in a checkpoint."""
        self.records, self.best_record = progress["evaluations"], progress["best"]
        self.next_steps = progress["next"]
        if record := self.best_record:
            car = car_named(self._config.car)
            kept = (record["result"], *record.get("others", ()))
            results = [
                lap_result_from_dict(one, committed_limit(load_track(track), car))
                for one, (track, _) in zip(kept, self._config.evaluation_races)
            ]
            self.best, self._best_key = results[0], ranking_key(results)

    def is_due(self) -> bool:
        """Return whether an evaluation is due by `evaluation.eval_freq`; then schedule the next.

        None is due just after one, as when a finished run is trained further.
        """
        if self.num_timesteps < self.next_steps:
            return False
        self.next_steps += self._config.evaluation.eval_freq
        return not (self.records and self.steps == self.num_timesteps)

    def race_policy(self) -> EvaluatedRaces:
        """Evaluate the policy, save the driven line, and keep the evaluation if it is the best.

        Raises:
            OSError: The line cannot be written.
        """
        results = self._race()
        result = results[0]
        found = result.as_dict()
        others = {"others": [one.as_dict() for one in results[1:]]} if results[1:] else {}
        self.records.append({"steps": self.num_timesteps, **found, **others})
        is_best = ranking_key(results) > self._best_key
        if is_best:
            self.best, self._best_key = result, ranking_key(results)
            file = f"step-{self.num_timesteps}.pt"
            self.best_record = {"checkpoint": file, "result": found, **others}
        rewards = rewards_of_race(
            result, self.track, self._config.car, self._reward, self._is_reversed
        )
        save_trajectory(self._run.line(self.num_timesteps), result, rewards)
        if self._deepracer_log:
            self._deepracer_log.evaluation(result, rewards)
        return EvaluatedRaces(results, rewards, is_best)

    def write_records(self, races: EvaluatedRaces) -> None:
        """Add a line to `evaluations.jsonl` and, if it is the best, write `best.json`.

        The checkpoint must have been saved, because `best.json` names it.

        Raises:
            OSError: A file cannot be written.
        """
        self._run.log("evaluations", self.records[-1:])
        if races.is_best and self.best_record:
            self._run.mark_best(self.best_record)

    def write_video(self, result: LapResult) -> None:
        """Write the video of a race's first lap, if `evaluation.video_freq` asks for it."""
        every = self._config.evaluation.video_freq
        if not every or len(self.records) % every:
            return
        write_lap_video(self._run, self._config, result, self.num_timesteps)

    def summarize(self, races: EvaluatedRaces) -> Evaluation:
        """Return an evaluation in the form in which the caller's callbacks get it."""
        return Evaluation(
            run=self._run,
            steps=self.num_timesteps,
            total_steps=self._config.total_timesteps,
            results=tuple(races.results),
            progress=evaluation_progress(races.results[0].as_dict(), self.track.length),
            mean_reward=float(np.sum(races.rewards)),
            is_best=races.is_best,
        )

    def _on_step(self) -> bool:
        return True

    def _race(self) -> list[LapResult]:
        """Return the policy's races, in the order of `RunConfig.evaluation_races`."""
        config, rules, race = self._config, self._config.evaluation, self._config.race
        policy = self.model.policy
        policy.set_training_mode(False)
        actor = deterministic_actor(config, self.model)
        # A recurrent policy remembers what its car saw, so each race has its own.
        drivers = [
            Driver(TorchPolicy(actor, policy.device), config.sensor, config.actions)
            for _ in range(rules.races)
        ]
        like = make_race_rules(rules.laps, race.off_track_penalty, rules.time_limit, like=race)
        draws = config.randomisation if rules.randomised else NO_RANDOMISATION
        by_track = [
            evaluate_drivers(drivers, track, like, config.seed, config.car, randomisation=draws)
            for track in config.evaluation_tracks
        ]
        return [of_track[k] for k in range(rules.races) for of_track in by_track]


def ranking_key(results: Sequence[LapResult]) -> tuple[float, ...]:
    """Return a key that sorts evaluations on the same tracks, the best last.

    The criteria are, in this order: more completed laps; fewer resets, and less time, in the
    complete races; more distance in the other races.
    """
    done = [one for one in results if one.total_time_s is not None]
    return (
        sum(one.laps_completed for one in results),
        -sum(one.resets for one in done),
        -sum(one.total_time_s or 0.0 for one in done),
        sum(one.distance for one in results if one.total_time_s is None),
    )
