"""A race of several cars on one road, as a PettingZoo environment.

The cars start from a grid, two abreast and 0.75 m apart, see each other through every sensor and
collide. When two cars touch, the one behind is at fault. Observations, actions and rewards are
those of `racer/TimeTrial-v0` and the other single environments; `objects_*` in a reward's `params`
include the other cars.

`parallel_env` is the environment in PettingZoo's Parallel API. `env` and `raw_env` are the same
environment in the AEC API, converted by PettingZoo; `raw_env` omits the wrapper that checks the
order of calls.

Version history:

- v0: initial version.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import create_empty_array
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec_wrapper
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from racer.assets.document import validate_document
from racer.envs import EnvConfig, RacerVectorEnv
from racer.envs.arguments import refuse_below_one, refuse_unknown
from racer.envs.racer_vector_env import RENDER_METADATA
from racer.errors import ConfigError
from racer.race import Ending, RaceConfig
from racer.race.race import GRID_SPACING_M
from racer.sensors import Observations, observation_of_car
from racer.world import CONTROL_RATE_HZ


def env(**kwargs: Any) -> AECEnv:
    """Return the race in the AEC API; see `parallel_env` for the arguments."""
    return OrderEnforcingWrapper(raw_env(**kwargs))


def raw_env(**kwargs: Any) -> AECEnv:
    """Return the race in the AEC API without a wrapper; see `parallel_env` for the arguments."""
    return parallel_to_aec_wrapper(parallel_env(**kwargs))


class parallel_env(ParallelEnv[str, Observations, Any]):
    """A race of n cars in one PyBullet world, stepped together at 15 Hz.

    The agents are `car_0` on the first place of the grid, `car_1` on the next, and so on. When an
    agent's episode ends, it leaves `agents` and its car leaves the road. Episodes end as in the
    single environments (see `Ending`); only TIME_UP truncates. With `race={"faults": "reset"}` a
    car at fault waits beside the road until its penalty is over, and then continues.

    A start from `line`, `random` or `round_robin` moves the whole grid. Progress is measured from
    the first place of the grid for all cars, so that a car further back starts with a negative
    progress.

    The same seed gives the same race: `reset(seed=k)` seeds car i with k + i. Copies and pickles
    are separate worlds that continue from the same state.

    Args:
        n_cars: Number of cars; their grid must fit on the lap.
        max_cycles: Control steps until truncation; by default `race.time_limit` applies.
        render_mode: None, `rgb_array` or `human` (Bullet's window).
        **config: The fields of `EnvConfig`, for every car; of several tracks the first is used.

    Raises:
        UnexpectedKeywordError: If a keyword is none of these.
        RacerError: If a value, track or reward file cannot be used.

    Example:
        >>> from racer.pettingzoo import race_v0
        >>> env = race_v0.parallel_env(n_cars=3, sensor="state")
        >>> observations, infos = env.reset(seed=0)
        >>> while env.agents:
        ...     actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        ...     observations, rewards, terminations, truncations, infos = env.step(actions)
        >>> env.close()
    """

    metadata: dict[str, Any] = {**RENDER_METADATA, "name": "race_v0", "is_parallelizable": True}

    def __init__(
        self,
        n_cars: int = 2,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        **config: Any,
    ) -> None:
        refuse_unknown(config, type(self))
        refuse_below_one("n_cars", n_cars)
        config["race"] = _rules(max_cycles, config)
        self.render_mode = render_mode
        self._cars = _Cars(n_cars, render_mode, **config)
        self._refuse_too_many(n_cars)
        self.possible_agents = [f"car_{car}" for car in range(n_cars)]
        self.agents: list[str] = []
        self._numbers = {agent: car for car, agent in enumerate(self.possible_agents)}
        observation_space = self._cars.single_observation_space
        action_space = self._cars.single_action_space
        # Each agent has its own copies, so that seeding one agent's space leaves the others alone.
        self._observation_spaces = {
            agent: deepcopy(observation_space) for agent in self.possible_agents
        }
        self._action_spaces = {agent: deepcopy(action_space) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return an agent's observation space, which is that of the single environment."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return an agent's action space, which is that of the single environment."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observations], dict[str, dict[str, Any]]]:
        """Put all cars on the grid, and return observations and infos by agent.

        Args:
            seed: Seed of car 0; car i is seeded with seed + i.
            options: Ignored; PettingZoo's own checks pass some.
        """
        self._cars.reset(seed=seed)
        self.agents = self.possible_agents[:]
        return self._observations(self.agents), self._infos(self.agents)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, Observations],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Drive all cars for one control period of 1/15 s.

        Args:
            actions: An action for each agent in `agents`.

        Returns:
            Observations, rewards, terminations, truncations and infos by agent, for all agents
            that were in `agents` before the step. Agents that are done are removed from it.

        Raises:
            ConfigError: If an agent's action is missing.
        """
        driving = self.agents
        commands: Any = create_empty_array(self._cars.single_action_space, self.max_num_agents)
        for agent in driving:
            if agent not in actions:
                raise ConfigError(f"step: no action for {agent}; each of {driving} needs one")
            commands[self._numbers[agent]] = actions[agent]
        reward, terminated, truncated = self._cars.advance(commands)
        if self.render_mode == "human":
            self.render()
        rewards, terminations, truncations = (
            {agent: values[self._numbers[agent]].item() for agent in driving}
            for values in (reward, terminated, truncated)
        )
        observations, infos = self._observations(driving), self._infos(driving)
        self.agents = [
            agent for agent in driving if not (terminations[agent] or truncations[agent])
        ]
        return observations, rewards, terminations, truncations, infos

    def _observations(self, agents: list[str]) -> dict[str, Observations]:
        return {
            agent: observation_of_car(self._cars.observations, self._numbers[agent])
            for agent in agents
        }

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        return {agent: self._cars.info_of_car(self._numbers[agent]) for agent in agents}

    def render(self) -> np.ndarray | None:
        """Return a chase view of the last car that still races, with the cars ahead of it.

        Returns:
            The picture, (480, 640, 3) uint8; None if the render mode is not `rgb_array`.
        """
        if self.render_mode != "rgb_array":
            self._cars.render()
            return None
        race = self._cars.race
        racing = np.flatnonzero(race.ending == Ending.RUNNING)
        cars = racing if len(racing) else np.arange(race.n)
        return self._cars.picture(int(cars[race.distance[cars].argmin()]))

    def close(self) -> None:
        """Close the environment and free its PyBullet world."""
        self._cars.close()

    def _refuse_too_many(self, n_cars: int) -> None:
        track = self._cars.tracks[0]
        limit = int(track.length / GRID_SPACING_M)
        if n_cars > limit:
            self.close()
            raise ConfigError(
                f"n_cars: got {n_cars}; at most {limit} fit {GRID_SPACING_M} m apart on the "
                f"{track.length:.0f} m of {track.name}"
            )


class _Cars(RacerVectorEnv):
    is_together = True


def _rules(max_cycles: int | None, config: dict[str, Any]) -> RaceConfig:
    """Return the race of a config, with a time limit of `max_cycles` control steps if given."""
    race = validate_document(config, EnvConfig, "racer environment").race
    if max_cycles is None:
        return race
    refuse_below_one("max_cycles", max_cycles)
    return race.model_copy(update={"time_limit": max_cycles / CONTROL_RATE_HZ})
