"""The batched environment as Stable-Baselines3 wants it."""

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
from racer.training.episodes import EpisodeRunner
from racer.training.workers import WorkerPool


class CarsVecEnv(VecEnv):
    """Steps all cars at once; a camera frame (H, W, C) is shown to torch as (C, H, W).

    Observations are an array (n, ...), or of several sensors a dict of them by name.

    A car that is done starts anew in the same step. Its info then holds `terminal_observation`,
    `TimeLimit.truncated`, and `episode`, its story; see `EpisodeRunner`.

    Args:
        env: The environment, here or in workers.
        gamma: Divides rewards by the standard deviation of the return that this discount gives,
            over all steps so far; None leaves them as they are. An episode's `r` is always theirs.

    Attributes:
        cars: The environment.
        scale: That return's running mean and variance; a part of what a checkpoint holds.
    """

    def __init__(self, env: RacerVectorEnv | WorkerPool, gamma: float | None = None) -> None:
        self.cars, self._gamma = env, gamma
        self.scale = RunningMeanStd(shape=())
        self._returns = np.zeros(env.num_envs)
        self._drive = EpisodeRunner(env) if isinstance(env, RacerVectorEnv) else env
        seen = channels_first_space(env.single_observation_space)
        super().__init__(env.num_envs, seen, env.single_action_space)
        self._actions = np.zeros(0)

    @property
    def observations(self) -> Observations:
        """What the cars see now, frames as (n, H, W, C)."""
        return self.cars.observations

    def log_to(self, trace: Callable[[np.ndarray, np.ndarray], None]) -> None:
        """Call `trace` with the rewards and dones of each control step; not with workers."""
        assert isinstance(self._drive, EpisodeRunner)
        self._drive.trace = trace

    def _seen(self) -> Observations:
        return _shown(self.cars.observations)

    def reset(self) -> Observations:
        """Start every car; seeds given to `seed` take effect, and rewards forget what was."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        self._drive.reset(seeds)
        self._returns[:] = 0.0
        self._reset_seeds()
        return self._seen()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations, rewards, dones and infos of one control period."""
        driven = self._drive.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if driven.last is not None:
            last = _shown(driven.last)
            for car, story in driven.episodes.items():
                infos[car] = {
                    "terminal_observation": observation_of_car(last, car),
                    "TimeLimit.truncated": bool(driven.truncated[car]),
                    "episode": story,
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
        """Free the world, or end the workers."""
        self.cars.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The shared environment's attribute, once a car."""
        return [getattr(self.cars, attr_name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environment that all cars share."""
        if len(set(self._indices(indices))) < self.num_envs:
            raise NotImplementedError(
                f"set_attr({attr_name!r}): got indices {indices}, but the cars share one "
                "environment; leave out indices to set it for all cars"
            )
        setattr(self.cars, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refused: the cars share one environment, so no method belongs to one of them."""
        raise NotImplementedError(
            f"env_method({method_name!r}): the cars share one environment, so no method belongs "
            f"to one of them; call vec_env.unwrapped.cars.{method_name} for all cars"
        )

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """False for each car; wrappers go around the whole."""
        return [False] * len(self._indices(indices))

    def _indices(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        return list(self._get_indices(indices))


class RacerVecEnv(CarsVecEnv):
    """All that Stable-Baselines3's wrappers, callbacks and algorithms ask of a VecEnv.

    At every step an info holds what `RacerEnv`'s does, and `TimeLimit.truncated`; at the end of an
    episode `terminal_observation` and `episode` too, see `EpisodeRunner`.

    Args:
        env: The environment.

    Attributes:
        spec: The environment's, from Gymnasium's registry.
        is_monitored: Whether it stands for an environment within SB3's Monitor, whose infos hold
            `episode` as they do here.
    """

    def __init__(self, env: RacerVectorEnv) -> None:
        self._env, self.is_monitored = env, True
        super().__init__(env)
        self.spec = env.spec
        self.metadata["render_fps"] = env.metadata["render_fps"]
        self._reached: dict[str, Any] = {}
        self.log_to(self._keep_info)

    def _keep_info(self, rewards: np.ndarray, dones: np.ndarray) -> None:
        """Called when a step has been driven and no car has started anew yet."""
        self._reached = self._env.info()

    def reset(self) -> Observations:
        """See `CarsVecEnv.reset`; there are no options.

        Raises:
            ConfigError: There is an option.
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
        """A chase view of each car, (height, width, 3) uint8; `render` tiles them."""
        return self._env.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The shared environment's attribute once a car; of its spaces, one car's."""
        if attr_name in ("observation_space", "action_space"):
            return [getattr(self, attr_name)] * len(self._indices(indices))
        return super().get_attr(attr_name, indices)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Render the environment; other methods are refused, see `CarsVecEnv.env_method`."""
        if method_name != "render":
            return super().env_method(method_name, *method_args, indices=indices)
        return [self._env.render()] * len(self._indices(indices))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Whether it does for each car what Monitor would; no other wrapper is inside."""
        is_wrapped = self.is_monitored and issubclass(Monitor, wrapper_class)
        return [is_wrapped] * len(self._indices(indices))


def channels_first_space(space: Any) -> spaces.Box | spaces.Dict:
    """Return the space of what torch gets for a space of the environment's observations.

    A frame's box (H, W, C) becomes (C, H, W); numbers stay (k,). Of several sensors it is a dict.
    """
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: _channels_first_box(box) for name, box in space.items()})
    return _channels_first_box(space)


def _channels_first_box(space: Any) -> spaces.Box:
    low, high = (np.moveaxis(end, -1, 0) for end in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype)


def _shown(seen: Observations) -> Observations:
    if isinstance(seen, dict):
        return {name: _to_front(values) for name, values in seen.items()}
    return _to_front(seen)


def _to_front(values: np.ndarray) -> np.ndarray:
    """Frames (n, H, W, C) as (n, C, H, W) without a copy; numbers (n, k) as they are."""
    return np.moveaxis(values, 3, 1) if values.ndim == 4 else values
