"""racer's environments for Stable-Baselines3: all cars in one world, behind one VecEnv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from racer.assets.extras import how_to_install
from racer.envs import RacerEnv, RacerVectorEnv
from racer.errors import ConfigError, RacerError
from racer.registration import ARGUMENTS

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

UNSUPPORTED_ARGUMENTS = (
    "start_index",
    "wrapper_class",
    "wrapper_kwargs",
    "vec_env_cls",
    "vec_env_kwargs",
)
"""Arguments of SB3's `make_vec_env` for separate environments, one for each car."""


def make_vec_env(
    env_id: str | EnvSpec | type[RacerEnv],
    n_envs: int = 1,
    seed: int | None = None,
    monitor_dir: str | None = None,
    env_kwargs: dict[str, Any] | None = None,
    monitor_kwargs: dict[str, Any] | None = None,
    **config: Any,
) -> VecEnv:
    """Return n cars as a VecEnv: a faster replacement of Stable-Baselines3's `make_vec_env`.

    The cars share one world and one process, and each drives exactly as it would alone: the
    observations, rewards, dones and infos are those of SB3's own `make_vec_env` with the same seed.
    Images have the shape (C, H, W), as SB3's CNNs need them.

    Args:
        env_id: One of racer's ids such as `racer/TimeTrial-v0`, also as `racer:racer/TimeTrial-v0`;
            an `EnvSpec` of one; or the class `RacerEnv`.
        n_envs: Number of cars.
        seed: Car i gets the seed `seed + i` at the first reset; None draws a seed from NumPy's
            global generator, as SB3 does.
        monitor_dir: A folder for a `monitor.csv` with a line for each episode of all cars; None for
            none.
        env_kwargs: Arguments of `RacerVectorEnv` as a dict: the fields of `EnvConfig`,
            `max_episode_steps`, and `render_mode`, by default `rgb_array`.
        monitor_kwargs: Arguments of the `VecMonitor` that writes `monitor.csv`, such as
            `info_keywords`.
        **config: Further arguments of `RacerVectorEnv`, as keywords instead of in `env_kwargs`.

    Returns:
        The VecEnv; if `monitor_dir` is given, it is wrapped in a `VecMonitor`.

    Raises:
        RacerError: An id or a value cannot be used, or Stable-Baselines3 is not installed.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from racer.sb3 import make_vec_env
        >>> env = make_vec_env("racer/TimeTrial-v0", n_envs=32, seed=0, sensor="state")
        >>> env.reset().shape
        (32, 26)
        >>> model = PPO("MlpPolicy", env).learn(100_000)  # doctest: +SKIP
        >>> env.close()
    """
    try:
        from stable_baselines3.common.vec_env import VecMonitor

        from racer.training.vec_env import RacerVecEnv
    except ModuleNotFoundError as problem:
        raise RacerError(f"{problem.name} is not installed; {how_to_install('train')}") from problem
    foreign = [name for name in UNSUPPORTED_ARGUMENTS if name in config]
    if foreign:
        raise ConfigError(
            f"{foreign[0]}: the cars share one environment in this process; wrap what make_vec_env "
            "returns in a VecEnvWrapper, or use stable_baselines3's own make_vec_env"
        )
    twice = sorted(set(config) & set(env_kwargs or {}))
    if twice:
        raise ConfigError(f"{twice[0]}: given as a keyword and in env_kwargs; leave out one")
    arguments = {"render_mode": "rgb_array", **(env_kwargs or {}), **config}
    env = RacerVecEnv(_made(env_id, n_envs, arguments))
    env.seed(seed)
    if seed is not None:
        env.action_space.seed(seed)
    if monitor_dir is None:
        return env
    env.is_monitored = False  # Otherwise VecMonitor would warn that it overwrites `episode`.
    return VecMonitor(env, monitor_dir, **(monitor_kwargs or {}))


def _made(env_id: Any, cars: int, arguments: dict[str, Any]) -> RacerVectorEnv:
    if isinstance(env_id, type) and issubclass(env_id, RacerEnv):
        return RacerVectorEnv(cars, **arguments)
    name = env_id.id if isinstance(env_id, EnvSpec) else str(env_id).removeprefix("racer:")
    if name not in ARGUMENTS:
        raise ConfigError(
            f"env_id {env_id!r}; known: {', '.join(ARGUMENTS)}; for other environments "
            "use stable_baselines3's own make_vec_env"
        )
    env = gymnasium.make_vec(
        env_id if isinstance(env_id, EnvSpec) else name,
        num_envs=cars,
        vectorization_mode="vector_entry_point",
        **arguments,
    )
    assert isinstance(env, RacerVectorEnv)
    return env
