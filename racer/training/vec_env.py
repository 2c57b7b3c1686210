"""The batched environment as Stable-Baselines3 wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.env import RacerVectorEnv
from racer.sensors import Observations, of_car
from racer.training.cars import Cars
from racer.training.workers import Workers


class CarsVecEnv(VecEnv):
    """Steps all cars at once; a camera frame (H, W, C) is shown to torch as (C, H, W).

    Observations are an array (n, ...), or of several sensors a dict of them by name.

    A car that is done starts anew in the same step. Its info then holds `terminal_observation`,
    `TimeLimit.truncated`, and `episode`, its story; see `Cars`.

    Args:
        env: The environment, here or in workers.
        gamma: Divides rewards by the standard deviation of the return that this discount gives,
            over all steps so far; None leaves them as they are. An episode's `r` is always theirs.

    Attributes:
        cars: The environment.
        scale: That return's running mean and variance; a part of what a checkpoint holds.
    """

    def __init__(self, env: RacerVectorEnv | Workers, gamma: float | None = None) -> None:
        self.cars, self._gamma = env, gamma
        self.scale = RunningMeanStd(shape=())
        self._returns = np.zeros(env.num_envs)
        self._drive = Cars(env) if isinstance(env, RacerVectorEnv) else env
        space = env.single_observation_space
        if isinstance(space, spaces.Dict):
            seen = spaces.Dict({name: _channels_first(box) for name, box in space.items()})
        else:
            seen = _channels_first(space)
        super().__init__(env.num_envs, seen, env.single_action_space)
        self._actions = np.zeros(0)

    @property
    def observations(self) -> Observations:
        """What the cars see now, frames as (n, H, W, C)."""
        return self.cars.observations

    def log_to(self, trace: Callable[[np.ndarray, np.ndarray], None]) -> None:
        """Call `trace` with the rewards and dones of each control step; not with workers."""
        assert isinstance(self._drive, Cars)
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
                    "terminal_observation": of_car(last, car),
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
        setattr(self.cars, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refused: the cars share one environment, so no method belongs to one of them."""
        raise NotImplementedError(f"{method_name}: the cars share one environment; call `.cars`")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """False for each car; wrappers go around the whole."""
        return [False] * len(self._indices(indices))

    def _indices(self, indices: int | Sequence[int] | None) -> Sequence[int]:
        if indices is None:
            return range(self.num_envs)
        return [indices] if isinstance(indices, int) else indices


def _channels_first(space: Any) -> spaces.Box:
    """The space of what torch sees of one sensor: (C, H, W) for a frame."""
    low, high = (np.moveaxis(end, -1, 0) for end in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype)


def _shown(seen: Observations) -> Observations:
    if isinstance(seen, dict):
        return {name: _to_front(values) for name, values in seen.items()}
    return _to_front(seen)


def _to_front(values: np.ndarray) -> np.ndarray:
    """Frames (n, H, W, C) as (n, C, H, W) without a copy; numbers (n, k) as they are."""
    return np.moveaxis(values, 3, 1) if values.ndim == 4 else values
