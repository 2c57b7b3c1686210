"""Logs a training of n cars in the layout of DeepRacer's logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from racer.deepracer.metadata import metadata_as_json
from racer.deepracer.sim_trace import (
    EPISODE_STATUS,
    EPISODES_PER_FILE,
    SimTrace,
    TraceStep,
    action_index,
    episodes_of_race,
    write_model_files,
)
from racer.envs import RacerVectorEnv
from racer.evaluation import LapResult
from racer.race import Ending
from racer.reward.params import front_offset
from racer.training.config import OnPolicyConfig, PPOConfig, RunConfig, SACConfig
from racer.world import CONTROL_RATE_HZ

LOG_DIR = "deepracer"
"""Name of the log's folder in a run's folder."""


class DeepRacerTrainingLog:
    """Buffers each car's steps until its episode ends, then writes the episode.

    Args:
        folder: The run's folder.
        config: The run's config.
        cars: The cars that train.
        steps: Control steps of the run before it was resumed; the log of a resumed run is written
            into a separate folder, `deepracer-<steps>`.
    """

    def __init__(
        self, folder: Path, config: RunConfig, cars: RacerVectorEnv, steps: int = 0
    ) -> None:
        self._folder = folder / (f"{LOG_DIR}-{steps}" if steps else LOG_DIR)
        self._actions, self._cars = config.actions, cars
        kinds = [sensor.name for sensor in config.sensor]
        metadata = metadata_as_json(config.actions, kinds, config.network.preset, config.algorithm)
        write_model_files(self._folder, metadata, hyperparameters_as_json(config))
        self._log = SimTrace(self._folder, "training")
        self._evaluations = 0
        self._ahead = front_offset(cars.car)
        self._steps: list[list[TraceStep]] = [[] for _ in range(cars.num_envs)]
        self._clock = np.zeros(cars.num_envs)

    def add(self, rewards: np.ndarray, done: np.ndarray) -> None:
        """Log a control step of all cars; call it before finished cars are reset.

        Args:
            rewards: Reward of each car, (n,).
            done: Whether each car's episode ended in this step, (n,) bool.
        """
        self._clock += 1.0 / CONTROL_RATE_HZ
        for car in range(self._cars.num_envs):
            self._steps[car].append(self._step(car, float(rewards[car]), bool(done[car])))
            if done[car]:
                self._log.episode(self._steps[car])
                self._steps[car] = []

    def cut(self) -> None:
        """Discard the unfinished episodes; call it when every car is reset."""
        self._steps = [[] for _ in range(self._cars.num_envs)]

    def _step(self, car: int, reward: float, is_done: bool) -> TraceStep:
        race = self._cars.race
        state = race.world.state
        x, y = state.xy[car].tolist()
        yaw = float(state.yaw[car])
        steering, speed = state.command[car].tolist()
        ending = race.ending[car] if is_done else race.fault[car]
        return TraceStep(
            steps=int(race.steps[car]),
            x=x + self._ahead * np.cos(yaw),
            y=y + self._ahead * np.sin(yaw),
            yaw_deg=float(np.rad2deg(yaw)),
            steering_deg=float(np.rad2deg(steering)),
            speed=speed,
            action=action_index(self._actions, steering, speed),
            reward=reward,
            is_done=is_done,
            all_wheels_on_track=bool(race.wheels_on_road[car] == 4),
            progress=float(race.progress[car]),
            closest_waypoint=int(race.place.segment[car]),
            track_length=float(race.roads.length[race.road.line[car]]),
            time=float(self._clock[car]),
            status=EPISODE_STATUS[Ending(int(ending)).name.lower()],
            crashes=int(race.collisions[car]),
        )

    def evaluation(self, result: LapResult, rewards: np.ndarray) -> None:
        """Log an evaluation of the policy, and write the metrics so far.

        Args:
            result: The evaluation's race.
            rewards: Reward of each of its control steps, (T,).
        """
        road = self._cars.race.roads.lines[self._cars.config.race.direction == "reverse"]
        log = SimTrace(self._folder, "evaluation", self._evaluations)
        for steps in episodes_of_race(result, road, self._actions, rewards, self._ahead):
            log.episode(steps)
        self._evaluations += 1
        log.close()
        self._log.close()


def hyperparameters_as_json(config: RunConfig) -> dict[str, Any]:
    """Return the content of a `hyperparameters.json`: those of a run that DeepRacer knows."""
    chosen = config.hyperparameters
    known: dict[str, Any] = {
        "batch_size": chosen.batch_size,
        "discount_factor": chosen.gamma,
        "lr": chosen.learning_rate,
        "num_episodes_between_training": EPISODES_PER_FILE,
    }
    if isinstance(chosen, SACConfig) and isinstance(chosen.ent_coef, float):
        known["sac_alpha"] = chosen.ent_coef
    if isinstance(chosen, OnPolicyConfig):
        is_huber = isinstance(chosen, PPOConfig) and chosen.value_loss == "huber"
        known |= {
            "beta_entropy": chosen.ent_coef,
            "loss_type": "huber" if is_huber else "mean squared error",
            "num_epochs": chosen.n_epochs,
        }
    return dict(sorted(known.items()))
