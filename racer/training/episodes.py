"""n cars that train, and the stories of their episodes. Whoever steps them, a worker too."""

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
    """One control period of n cars; of those that are done, before they started anew."""

    rewards: np.ndarray
    """(n,) float32."""
    done: np.ndarray
    """(n,) bool."""
    truncated: np.ndarray
    """Which of them the clock ended, (n,) bool."""
    last: Observations | None
    """What the cars saw at its end; None where none is done."""
    episodes: dict[int, dict[str, Any]]
    """The story of each car that is done, see `EpisodeRunner`."""


class EpisodeRunner:
    """Steps the cars of an environment, and lets those that are done start anew.

    An episode's story: reward `r`, length `l`, wall time since the beginning `t`, `progress`
    [percent], `ending` (an `Ending`), `lap_time_s` (NaN where no lap was completed), and where it
    ended: `track` (its index) and `xy` [m].

    Args:
        env: The environment.
        first: The number of its first car among all that train.

    Attributes:
        env: The environment.
        trace: Called with rewards and dones of each control step, where somebody asks for a log.
    """

    def __init__(self, env: RacerVectorEnv, first: int = 0) -> None:
        self.env, self._first = env, first
        self.trace: Callable[[np.ndarray, np.ndarray], None] | None = None
        self._returns = np.zeros(env.num_envs)
        self._began = time.perf_counter()
        self._steps = 0

    def reset(self, seeds: Sequence[int | None] | None) -> Observations:
        """Start every car from its seed; its reward forgets what was."""
        if self._steps:
            self.env.renew_rewards()
        self.env.reset(seed=None if seeds is None else list(seeds))
        self._returns[:] = 0.0
        return self.env.observations

    def step(self, actions: np.ndarray) -> ControlStep:
        """Drive for one control period.

        Raises:
            RunError: A number that a car sees is not finite.
            RewardError: The reward raises, hangs or pays what is no number.
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

    def _check(self, seen: Observations) -> None:
        """A network that learns from one NaN is NaN from then on, and silently so."""
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
