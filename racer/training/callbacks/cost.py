"""What a training costs, in the run's record."""

from __future__ import annotations

import time

from stable_baselines3.common.callbacks import BaseCallback

from racer.cluster.cost import Cost
from racer.training.cluster_workers import ClusterWorkers
from racer.training.run_dir import Run
from racer.training.training_env import TrainingEnv
from racer.training.workers import WorkerPool

RECORD_PERIOD_S = 30.0
"""Shortest time between two records of a training that goes on [s]."""


class CostCallback(BaseCallback):
    """Records the time, cores and GPU of a training in `run.json`, added to those of earlier parts.

    A core is held by each worker; by each thread of torch, or the learner, in this process; and
    the workers of this machine take turns with the learner, so the larger number of both counts.
    A record is written from time to time, so that a killed process loses seconds of it.

    Args:
        run: The run's folder.
        env: The environment of the cars.
        price_per_core_hour: Price of a core for an hour; None if unknown.
    """

    def __init__(self, run: Run, env: TrainingEnv, price_per_core_hour: float | None) -> None:
        super().__init__()
        self._run, self._env, self._price = run, env, price_per_core_hour
        self._began = self._recorded = 0.0
        self._before = Cost(0.0, 0.0)

    def _on_training_start(self) -> None:
        self._began = self._recorded = time.perf_counter()
        self._before = self._run.cost() or self._before

    def _on_rollout_start(self) -> None:
        if time.perf_counter() - self._recorded >= RECORD_PERIOD_S:
            self._record()

    def _on_step(self) -> bool:
        return True

    def finish(self) -> None:
        """Record the whole cost at the end of the training, however it ended.

        Raises:
            OSError: `run.json` cannot be written.
        """
        if self._began:
            self._record()

    def _record(self) -> None:
        import torch

        self._recorded = time.perf_counter()
        seconds, cars = self._recorded - self._began, self._env.cars
        own = torch.get_num_threads()
        if isinstance(cars, ClusterWorkers):
            cores = own + cars.count
        else:
            cores = max(own, cars.count if isinstance(cars, WorkerPool) else 1)
        gpus = 1 if self.model.device.type == "cuda" else 0
        part = Cost(seconds, cores * seconds, gpus * seconds, self._price)
        self._run.record_cost(self._before.plus(part))
