"""Steps the cars that train, and records their episodes, in the main process or in a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from racer.envs import RacerVectorEnv
from racer.errors import RunError
from racer.race import Ending
from racer.sensors import Observations


class ControlStep(NamedTuple):
    """The outcome of one control step of n cars.

    Attributes:
        rewards: Reward of each car, (n,) float32.
        done: Whether each car's episode ended in this step, (n,) bool.
        truncated: Whether a time limit ended it, (n,) bool.
        last: Observations of all cars at the end of the step, before those that are done are
            reset, each array (n, ...); None if no car is done.
        episodes: The record of the ended episode of each car that is done, by the car's index;
            see `EpisodeRunner`.
    """

    rewards: np.ndarray
    done: np.ndarray
    truncated: np.ndarray
    last: Observations | None
    episodes: dict[int, dict[str, Any]]


class EpisodeRunner:
    """Steps the cars of an environment, and resets those whose episodes have ended.

    The record of an episode is a dict: `r`, the sum of its rewards; `l`, its length in control
    steps; `t`, wall-clock time since this object was made [s]; `progress` along the lap [percent];
    `ending`, an `Ending`; `lap_time_s`, the time of its last complete lap [s], NaN without one;
    and where it ended: `track`, the track's index in the config, and `xy` [m].

    Args:
        env: The environment.
        first: Index of the environment's first car among all cars that train, for error messages.

    Attributes:
        env: The environment.
        trace: Called with the rewards (n,) and dones (n,) of each control step, before cars are
            reset; None for nothing.
    """

    def __init__(self, env: RacerVectorEnv, first: int = 0) -> None:
        self.env, self._first = env, first
        self.trace: Callable[[np.ndarray, np.ndarray], None] | None = None
        self._returns = np.zeros(env.num_envs)
        self._began = time.perf_counter()
        self._steps = 0

    def reset(self, seeds: Sequence[int | None] | None) -> Observations:
        """Reset every car.

        The reward file is executed again, too, so that it remembers nothing of earlier episodes.

        Args:
            seeds: A seed for each car, or None where a car's generator continues; None for all.

        Returns:
            The first observations, each array (n, ...).
        """
        if self._steps:
            self.env.renew_rewards()
        self.env.reset(seed=None if seeds is None else list(seeds))
        self._returns[:] = 0.0
        return self.env.observations

    def step(self, actions: np.ndarray) -> ControlStep:
        """Drive all cars for one control step, and reset those whose episodes have ended.

        Args:
            actions: Actions of the cars, (n, ...), as the environment's action space has them.

        Raises:
            RunError: A number in an observation is not finite.
            RewardError: The reward function raises, hangs or does not return a number.
        """
        self._steps += 1
        rewards, terminated, truncated = self.env.advance(actions)
        self._check(self.env.observations)
        self._returns += rewards
        done = terminated | truncated
        if self.trace is not None:
            self.trace(rewards, done)
        last, episodes = None, {}
        if done.any():
            last = self.env.observations
            over = np.flatnonzero(done)
            episodes = {car: self._episode(car) for car in over.tolist()}
            self._returns[done] = 0.0
            self.env.start(over)
            self._check(self.env.observations)
        return ControlStep(rewards.astype(np.float32), done, truncated, last, episodes)

    def get_state(self) -> dict[str, Any]:
        """Return the complete state of the cars and their episodes, for `set_state`.

        Raises:
            RewardError: A variable of the reward cannot be saved, such as an open file.
        """
        seconds = time.perf_counter() - self._began
        own = {"returns": self._returns.copy(), "steps": self._steps, "seconds": seconds}
        return own | {"env": self.env.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a state of `get_state`, also from another process."""
        self.env.set_state(state["env"])
        self._returns, self._steps = state["returns"].copy(), state["steps"]
        self._began = time.perf_counter() - state["seconds"]

    def _check(self, seen: Observations) -> None:
        """Refuse observations with NaN or infinity, which would silently turn all weights to NaN.

        Raises:
            RunError: A number is not finite.
        """
        sensors = seen if isinstance(seen, dict) else {self.env.config.sensor[0].name: seen}
        for name, values in sensors.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                car, *at = np.argwhere(~np.isfinite(values))[0].tolist()
                what = values[(car, *at)]
                raise RunError(
                    f"car {self._first + car} sees {what} in its sensor {name!r} at "
                    f"{at if len(at) > 1 else at[0]} after {self._steps} control steps; wanted a "
                    "finite number: that is a bug in racer, please report it with the config"
                )

    def _episode(self, car: int) -> dict[str, Any]:
        race = self.env.race
        return {
            "r": float(self._returns[car]),
            "l": int(race.steps[car]),
            "t": time.perf_counter() - self._began,
            "progress": float(race.progress[car]),
            "ending": Ending(int(race.ending[car])),
            "lap_time_s": race.lap_times[car][-1] if race.lap_times[car] else float("nan"),
            "track": int(race.road.track[car]),
            "xy": race.world.state.xy[car].tolist(),
        }
