"""The cars that a policy trains in, in this process or in workers."""

from __future__ import annotations

from pathlib import Path

from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError
from racer.training.config import RunConfig
from racer.training.vec_env import CarsVecEnv
from racer.training.workers import WorkerPool, worker_count


def make_training_env(config: RunConfig, is_logged: bool) -> CarsVecEnv:
    """Return the cars to train, in this process or in workers.

    Args:
        config: The run.
        is_logged: Whether DeepRacer's logs are written, which needs the cars in this process.

    Raises:
        RacerError: They cannot be made.
    """
    count = worker_count(config.workers, config.num_envs)
    if is_logged and count > 1:
        if config.workers != "auto":
            raise ConfigError(f"workers {count}: --deepracer-logs wants --workers 1, or auto")
        count = 1
    fields = config.env
    gamma = config.ppo.gamma if config.ppo.normalize_reward else None
    if count == 1:
        return CarsVecEnv(RacerVectorEnv(config.num_envs, **fields), gamma)
    return CarsVecEnv(WorkerPool(config.num_envs, count, fields), gamma)


def start_deepracer_log(
    folder: Path, config: RunConfig, env: CarsVecEnv, steps: int
) -> DeepRacerTrainingLog:
    """Return a log that gets every control step of the cars from now on.

    Args:
        folder: The run's folder.
        config: The run.
        env: The cars, in this process.
        steps: Control steps trained before, over all cars.
    """
    assert isinstance(env.cars, RacerVectorEnv)
    log = DeepRacerTrainingLog(folder, config, env.cars, steps)
    env.log_to(log.add)
    return log
