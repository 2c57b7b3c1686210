"""The environment that a policy trains in: on its device, in this process, or in others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError, RacerError
from racer.training.cluster_workers import ClusterWorkers
from racer.training.config import RunConfig
from racer.training.device_vec_env import DeviceVecEnv
from racer.training.learner import pick_device
from racer.training.vec_env import CarsVecEnv
from racer.training.workers import WorkerPool, worker_count

if TYPE_CHECKING:
    from racer.cluster.ray_cluster import RayCluster

TrainingEnv = CarsVecEnv | DeviceVecEnv
"""The environment of all cars that train."""


def make_training_env(
    config: RunConfig,
    is_logged: bool,
    cluster: RayCluster | None = None,
    say: Callable[[str], None] | None = None,
) -> TrainingEnv:
    """Return the environment of all cars that train: on the learner's device, here, or on nodes.

    Args:
        config: The run's config.
        is_logged: Whether DeepRacer's logs are written, for which the cars must be in this process.
        cluster: The cluster on whose nodes the cars are driven; None for this machine.
        say: Called with a line if the learner is on a GPU and the cars are not, which says why.

    Raises:
        RacerError: A track or the reward cannot be used, logs are to be written with workers, the
            cluster has too few cores, or the config wants the cars on a device that cannot have
            them.
    """
    if is_for_device(config):
        try:
            return _device_env(config, is_logged, cluster is not None)
        except RacerError as problem:
            if config.simulator == "device":
                raise
            why = str(problem)
        env = make_host_env(config, is_logged, cluster)
        if say is not None:
            say(f"the cars are simulated on the host: {why}")
        return env
    return make_host_env(config, is_logged, cluster)


def is_for_device(config: RunConfig) -> bool:
    """Return whether the cars of a config are simulated beside the learner, if that can be."""
    if config.simulator == "auto":
        return pick_device(config.device) == "cuda"
    return config.simulator == "device"


def _device_env(config: RunConfig, is_logged: bool, is_cluster: bool) -> DeviceVecEnv:
    """Return the cars on the learner's device.

    Args:
        config: The run's config.
        is_logged: Whether DeepRacer's logs are written.
        is_cluster: Whether the cars are to be driven on a cluster.

    Raises:
        RacerError: They cannot be there.
    """
    if config.algorithm != "ppo":
        raise ConfigError(
            f"simulator device: algorithm {config.algorithm} learns on the host alone; set "
            "algorithm: ppo, or simulator: host"
        )
    if is_logged or is_cluster:
        option = "--deepracer-logs" if is_logged else "--cluster"
        raise ConfigError(f"simulator device: {option} needs the cars on the host; leave one out")
    from racer.gpu.gpu_env import GpuVectorEnv

    device = pick_device(config.device)
    cars = GpuVectorEnv(config.num_envs, device=device, seed=config.seed, **config.env)
    return DeviceVecEnv(cars, _reward_gamma(config))


def _reward_gamma(config: RunConfig) -> float | None:
    """Return the discount factor of the returns that scale rewards; None if nothing does."""
    return config.hyperparameters.gamma if config.normalize_reward else None


def make_host_env(
    config: RunConfig, is_logged: bool, cluster: RayCluster | None = None
) -> CarsVecEnv:
    """Return the cars in this process, in workers, or on nodes.

    Args:
        config: The run's config.
        is_logged: Whether DeepRacer's logs are written.
        cluster: The cluster on whose nodes the cars are driven; None for this machine.

    Raises:
        RacerError: As for `make_training_env`.
    """
    fields, gamma = config.env, _reward_gamma(config)
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
    folder: Path, config: RunConfig, env: TrainingEnv, steps: int
) -> DeepRacerTrainingLog:
    """Start DeepRacer's logs: return a log to which every control step of the cars is added.

    Args:
        folder: The run's folder.
        config: The run's config.
        env: The environment, whose cars are in this process.
        steps: Control steps trained before, over all cars.
    """
    assert isinstance(env, CarsVecEnv) and isinstance(env.cars, RacerVectorEnv)
    log = DeepRacerTrainingLog(folder, config, env.cars, steps)
    env.log_to(log.add)
    return log
