"""The environment that a policy trains in, in this process or in worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError
from racer.training.cluster_workers import ClusterWorkers
from racer.training.config import RunConfig
from racer.training.vec_env import CarsVecEnv
from racer.training.workers import WorkerPool, worker_count

if TYPE_CHECKING:
    from racer.cluster.ray_cluster import RayCluster


def make_training_env(
    config: RunConfig, is_logged: bool, cluster: RayCluster | None = None
) -> CarsVecEnv:
    """Return the environment of all cars that train: in this process, in others, or on nodes.

    Args:
        config: The run's config.
        is_logged: Whether DeepRacer's logs are written, for which the cars must be in this process.
        cluster: The cluster on whose nodes the cars are driven; None for this machine.

    Raises:
        RacerError: A track or the reward cannot be used, logs are to be written with workers, or
            the cluster has too few cores.
    """
    fields = config.env
    gamma = config.hyperparameters.gamma if config.normalize_reward else None
    if cluster is not None:
        if is_logged:
            raise ConfigError(
                "--deepracer-logs needs the cars in this process; leave out --cluster"
            )
        return CarsVecEnv(ClusterWorkers(config, cluster), gamma)
    count = worker_count(config.workers, config.num_envs)
    if is_logged and count > 1:
        if config.workers != "auto":
            raise ConfigError(f"workers {count}: --deepracer-logs needs --workers 1 or auto")
        count = 1
    if count == 1:
        return CarsVecEnv(RacerVectorEnv(config.num_envs, **fields), gamma)
    return CarsVecEnv(WorkerPool(config.num_envs, count, fields), gamma)


def start_deepracer_log(
    folder: Path, config: RunConfig, env: CarsVecEnv, steps: int
) -> DeepRacerTrainingLog:
    """Start DeepRacer's logs: return a log to which every control step of the cars is added.

    Args:
        folder: The run's folder.
        config: The run's config.
        env: The environment, whose cars are in this process.
        steps: Control steps trained before, over all cars.
    """
    assert isinstance(env.cars, RacerVectorEnv)
    log = DeepRacerTrainingLog(folder, config, env.cars, steps)
    env.log_to(log.add)
    return log
