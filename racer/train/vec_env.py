"""The batched environment as Stable-Baselines3 wants it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.env import RacerVectorEnv
from racer.race import Ending
from racer.sensors import Observations, of_car


class CarsVecEnv(VecEnv):
    """Steps all cars at once; a camera frame (H, W, C) is shown to torch as (C, H, W).

    Observations are an array (n, ...), or of several sensors a dict of them by name.

    A car that is done starts anew in the same step. Its info then holds `terminal_observation`,
    `TimeLimit.truncated`, and `episode`: reward `r`, length `l`, wall time `t`, `progress`
    [percent], `ending` (an `Ending`), `lap_time_s` (NaN where no lap was completed), and where it
    ended: `track` (its index) and `xy` [m].

    Attributes:
        cars: The environment.
        trace: Called with rewards and dones of each control step, where somebody asks for a log.
    """

    def __init__(self, env: RacerVectorEnv) -> None:
        self.cars = env
        self.trace: Callable[[np.ndarray, np.ndarray], None] | None = None
        space = env.single_observation_space
        if isinstance(space, spaces.Dict):
            seen = spaces.Dict({name: _channels_first(box) for name, box in space.items()})
        else:
            seen = _channels_first(space)
        super().__init__(env.num_envs, seen, env.single_action_space)
        self._actions = np.zeros(0)
        self._returns = np.zeros(env.num_envs)
        self._began = time.perf_counter()
        self._is_new = True

    @property
    def observations(self) -> Observations:
        """What the cars see now, frames as (n, H, W, C)."""
        return self.cars.observations

    def _seen(self) -> Observations:
        seen = self.cars.observations
        if isinstance(seen, dict):
            return {name: _to_front(values) for name, values in seen.items()}
        return _to_front(seen)

    def reset(self) -> Observations:
        """Start every car; seeds given to `seed` take effect, and rewards forget what was."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        if not self._is_new:
            self.cars.renew_rewards()
        self.cars.reset(seed=seeds)
        self._reset_seeds()
        self._returns[:] = 0.0
        return self._seen()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations, rewards, dones and infos of one control period."""
        self._is_new = False
        rewards, terminated, truncated = self.cars.advance(self._actions)
        self._returns += rewards
        done = terminated | truncated
        if self.trace is not None:
            self.trace(rewards, done)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self._seen()
            for car in np.flatnonzero(done).tolist():
                infos[car] = {
                    "terminal_observation": of_car(last, car),
                    "TimeLimit.truncated": bool(truncated[car]),
                    "episode": self._episode(car),
                }
            self._returns[done] = 0.0
            self.cars.start(np.flatnonzero(done))
        return self._seen(), rewards.astype(np.float32), done, infos

    def _episode(self, car: int) -> dict[str, Any]:
        race = self.cars.race
        return {
            "r": float(self._returns[car]),
            "l": int(race.steps[car]),
            "t": time.perf_counter() - self._began,
            "progress": float(race.progress[car]),
            "ending": Ending(int(race.ending[car])),
            "lap_time_s": race.lap_times[car][-1] if race.lap_times[car] else float("nan"),
            "track": int(race.road[car]) // 2,
            "xy": race.world.state.xy[car].tolist(),
        }

    def close(self) -> None:
        """Free the world."""
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


def _to_front(values: np.ndarray) -> np.ndarray:
    """Frames (n, H, W, C) as (n, C, H, W) without a copy; numbers (n, k) as they are."""
    return np.moveaxis(values, 3, 1) if values.ndim == 4 else values
