"""The environment of all cars as a VecEnv of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.envs import RacerVectorEnv, info_of
from racer.envs.arguments import refuse_options
from racer.sensors import Observations, observation_of_car
from racer.training.cluster_workers import ClusterWorkers
from racer.training.episodes import EpisodeRunner
from racer.training.live_frames import car_poses
from racer.training.workers import WorkerPool


class CarsVecEnv(VecEnv):
    """A VecEnv that steps all cars of an environment at once.

    Observations are an array (n, ...), or a dict of arrays by sensor name if there are several
    sensors. Images have the shape (n, C, H, W), as torch needs them.

    A car whose episode has ended is reset in the same step. Its info then holds
    `terminal_observation`, `TimeLimit.truncated`, and `episode`, the episode's record; see
    `EpisodeRunner`. At other steps the infos are empty.

    Args:
        env: The environment, in this process or in workers.
        gamma: Discount factor. If given, rewards are divided by the running standard deviation of
            the discounted return, as Stable-Baselines3's VecNormalize does, and clipped to +-10.
            `r` in an episode's record is the sum of the undivided rewards. None: rewards are not
            divided.

    Attributes:
        cars: The environment.
        scale: Running mean and variance of the discounted return; saved in checkpoints.
        simulator: Where the cars are simulated, as a config's `simulator` has it.
    """

    simulator = "host"

    def __init__(
        self, env: RacerVectorEnv | WorkerPool | ClusterWorkers, gamma: float | None = None
    ) -> None:
        self.cars, self._gamma = env, gamma
        self.scale = RunningMeanStd(shape=())
        self._returns = np.zeros(env.num_envs)
        self._drive = EpisodeRunner(env) if isinstance(env, RacerVectorEnv) else env
        seen = channels_first_space(env.single_observation_space)
        super().__init__(env.num_envs, seen, env.single_action_space)
        self._actions = np.zeros(0)

    @property
    def observations(self) -> Observations:
        """Current observations of all cars, images as (n, H, W, C)."""
        return self.cars.observations

    @property
    def poses(self) -> np.ndarray:
        """Where each car is, (n, 4); see `racer.training.live_frames.car_poses`."""
        return car_poses(self.cars) if isinstance(self.cars, RacerVectorEnv) else self.cars.poses

    def log_to(self, trace: Callable[[np.ndarray, np.ndarray], None]) -> None:
        """Call a function after each control step, before cars are reset; not possible in workers.

        Args:
            trace: The function; it gets the rewards (n,) and the dones (n,).
        """
        assert isinstance(self._drive, EpisodeRunner)
        self._drive.trace = trace

    def _seen(self) -> Observations:
        return channels_first_observations(self.cars.observations)

    def reset(self) -> Observations:
        """Reset every car, with the seeds given to `seed`, and return the observations.

        The reward file is executed again, so that it remembers nothing of earlier episodes.
        """
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        self._drive.reset(seeds)
        self._returns[:] = 0.0
        self._reset_seeds()
        return self._seen()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Drive one control step; return observations, rewards (n,), dones (n,) and infos."""
        driven = self._drive.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if driven.last is not None:
            last = channels_first_observations(driven.last)
            for car, episode in driven.episodes.items():
                infos[car] = {
                    "terminal_observation": observation_of_car(last, car),
                    "TimeLimit.truncated": bool(driven.truncated[car]),
                    "episode": episode,
                }
        return self._seen(), self._scaled(driven.rewards, driven.done), driven.done, infos

    def _scaled(self, rewards: np.ndarray, done: np.ndarray) -> np.ndarray:
        if self._gamma is None:
            return rewards
        self._returns = self._gamma * self._returns + rewards
        self.scale.update(self._returns)
        self._returns[done] = 0.0
        return (rewards / np.sqrt(self.scale.var + 1e-8)).clip(-10.0, 10.0).astype(np.float32)

    def close(self) -> None:
        """Close the environment, or end the workers."""
        self.cars.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the environment that all cars share, repeated for each index.

        Args:
            attr_name: Name of the attribute.
            indices: Indices of the cars; None for all.
        """
        return [getattr(self.cars, attr_name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environment that all cars share.

        Args:
            attr_name: Name of the attribute.
            value: The value.
            indices: Indices of all cars, or None.

        Raises:
            NotImplementedError: The indices are not those of all cars.
        """
        if len(set(self._indices(indices))) < self.num_envs:
            raise NotImplementedError(
                f"set_attr({attr_name!r}): got indices {indices}, but the cars share one "
                "environment; leave out indices to set it for all cars"
            )
        setattr(self.cars, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Raise NotImplementedError: methods cannot be called for single cars.

        Args:
            method_name: Name of the method.
            method_args: Positional arguments of the method.
            indices: Indices of the cars; None for all.
            method_kwargs: Keyword arguments of the method.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"env_method({method_name!r}): the cars share one environment, so a method cannot be "
            f"called for single cars; call vec_env.unwrapped.cars.{method_name} for all cars"
        )

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return False for each car: only the whole VecEnv can be wrapped."""
        return [False] * len(self._indices(indices))

    def _indices(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        return list(self._get_indices(indices))


class RacerVecEnv(CarsVecEnv):
    """A VecEnv with all that Stable-Baselines3's wrappers, callbacks and algorithms need.

    At every step a car's info holds the same as that of `RacerEnv`, and `TimeLimit.truncated`. At
    the end of an episode it also holds `terminal_observation` and `episode`; see `EpisodeRunner`.

    Args:
        env: The environment.

    Attributes:
        spec: The environment's spec from Gymnasium's registry.
        is_monitored: Whether `env_is_wrapped` answers True for Stable-Baselines3's Monitor, because
            the infos hold `episode` as Monitor's do.
    """

    def __init__(self, env: RacerVectorEnv) -> None:
        self._env, self.is_monitored = env, True
        super().__init__(env)
        self.spec = env.spec
        self.metadata["render_fps"] = env.metadata["render_fps"]
        self._reached: dict[str, Any] = {}
        self.log_to(self._keep_info)

    def _keep_info(self, rewards: np.ndarray, dones: np.ndarray) -> None:
        """Keep the infos at the end of a step, before cars are reset; a function for `log_to`.

        Args:
            rewards: The rewards, (n,).
            dones: Whether each car's episode has ended, (n,).
        """
        self._reached = self._env.info()

    def reset(self) -> Observations:
        """Reset every car; see `CarsVecEnv.reset`.

        Raises:
            ConfigError: An option was set with `set_options`; there are none.
        """
        for options in self._options:
            refuse_options(options, ())
        seen, info = super().reset(), self._env.info()
        self.reset_infos = [info_of(info, car) for car in range(self.num_envs)]
        return seen

    def step_wait(self) -> tuple[Observations, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """See `CarsVecEnv.step_wait`."""
        seen, rewards, dones, ended = super().step_wait()
        infos = [
            {**info_of(self._reached, car), "TimeLimit.truncated": False, **more}
            for car, more in enumerate(ended)
        ]
        if dones.any():
            begun = self._env.info()
            for car in np.flatnonzero(dones).tolist():
                self.reset_infos[car] = info_of(begun, car)
        return seen, rewards, dones, infos

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return a chase view of each car, (height, width, 3) uint8; `render` tiles them.

        The views are None if the environment has no render mode.
        """
        return self._env.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute for each car; of the spaces, those of a single car.

        Args:
            attr_name: Name of the attribute.
            indices: Indices of the cars; None for all.
        """
        if attr_name in ("observation_space", "action_space"):
            return [getattr(self, attr_name)] * len(self._indices(indices))
        return super().get_attr(attr_name, indices)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Render the environment if the method is `render`; see `CarsVecEnv.env_method` for others.

        Args:
            method_name: Name of the method.
            method_args: Not used.
            indices: Indices of the cars; None for all.
            method_kwargs: Not used.

        Raises:
            NotImplementedError: The method is not `render`.
        """
        if method_name != "render":
            return super().env_method(method_name, *method_args, indices=indices)
        return [self._env.render()] * len(self._indices(indices))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return for each car whether a wrapper is Monitor, or a base class of it.

        The infos hold what Monitor adds. There are no other wrappers inside this VecEnv.

        Args:
            wrapper_class: The wrapper.
            indices: Indices of the cars; None for all.
        """
        is_wrapped = self.is_monitored and issubclass(Monitor, wrapper_class)
        return [is_wrapped] * len(self._indices(indices))


def channels_first_space(space: Any) -> spaces.Box | spaces.Dict:
    """Return the observation space of one car with images as (C, H, W) instead of (H, W, C).

    The shapes of other observations, (k,), stay the same.

    Args:
        space: A box, or a dict of boxes by sensor name.
    """
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: _channels_first_box(box) for name, box in space.items()})
    return _channels_first_box(space)


def _channels_first_box(space: Any) -> spaces.Box:
    low, high = (np.moveaxis(end, -1, 0) for end in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype)


def channels_first_observations(seen: Observations) -> Observations:
    """Return observations with images as (n, C, H, W) instead of (n, H, W, C), without a copy.

    Args:
        seen: Observations of n cars as the environment returns them.
    """
    if isinstance(seen, dict):
        return {name: _to_front(values) for name, values in seen.items()}
    return _to_front(seen)


def _to_front(values: np.ndarray) -> np.ndarray:
    """Return images (n, H, W, C) as (n, C, H, W), without a copy, and numbers (n, k) unchanged."""
    return np.moveaxis(values, 3, 1) if values.ndim == 4 else values
