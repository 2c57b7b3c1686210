"""A race of several cars on one road, as a PettingZoo environment.

The cars start from a grid, two abreast and 0.75 m apart, see each other through every sensor and
collide. Of two that touch, the hind one is at fault. What each sees, does and is paid is
that of `racer/TimeTrial-v0` and the other single environments; `objects_*` in a reward's `params`
hold the other cars too.

`parallel_env` is the environment in PettingZoo's Parallel API. `env` and `raw_env` are the same
in the AEC API by PettingZoo's own converter, `raw_env` without the wrapper that checks the order of
calls.

Version history:

- v0: the first.
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
from racer.envs import EnvConfig, RacerVectorEnv, info_of
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
    """n cars that race each other in one PyBullet world, stepped together at 15 Hz.

    The agents are `car_0` on the first place of the grid, `car_1` on the next, and so on. An
    agent whose episode ended leaves `agents`, and its car leaves the road. All episodes end as in
    the single environments: see `Ending`; only TIME_UP truncates. With `race={"faults": "reset"}`
    a car at fault waits beside the road until its penalty is over, and then goes on.

    A start from `line`, `random` or `round_robin` moves the whole grid. Progress counts from the
    first place of the grid for all, so that a car further back starts below 0.

    The same seed gives the same race: car i takes the seed k + i of `reset(seed=k)`. Copies and
    pickles are worlds of their own that go on from the same state.

    Args:
        n_cars: How many cars; their grid must fit on the lap.
        max_cycles: Control steps until truncation; `race.time_limit` says so if not given.
        render_mode: None, `rgb_array` or `human` (Bullet's window).
        **config: The fields of `EnvConfig`, for every car; of several tracks the first is taken.

    Raises:
        UnexpectedKeywordError: A keyword that is none of these.
        RacerError: A value, track or reward file that cannot be used.

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
        seen, done = self._cars.single_observation_space, self._cars.single_action_space
        # Each agent's own, as whoever seeds one means to seed no other.
        self._observation_spaces = {agent: deepcopy(seen) for agent in self.possible_agents}
        self._action_spaces = {agent: deepcopy(done) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return what an agent's observation may be, as in the single environment."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return what an agent may do, as in the single environment."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observations], dict[str, dict[str, Any]]]:
        """Put all cars on the grid; returns observations and infos by agent.

        There are no options; any are ignored, as PettingZoo's own checks pass some.
        """
        self._cars.reset(seed=seed)
        self.agents = self.possible_agents[:]
        return self._seen(self.agents), self._infos(self.agents)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, Observations],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Drive for one control period.

        Args:
            actions: An action for each of `agents`.

        Returns:
            Observations, rewards, terminations, truncations and infos by agent, of all that were
            in `agents`; those that are done are not in it any more.

        Raises:
            ConfigError: An agent's action is missing.
        """
        driving = self.agents
        commands: Any = create_empty_array(self._cars.single_action_space, self.max_num_agents)
        for agent in driving:
            if agent not in actions:
                raise ConfigError(f"step: no action for {agent}; each of {driving} needs one")
            commands[self._numbers[agent]] = actions[agent]
        paid, terminated, truncated = self._cars.advance(commands)
        if self.render_mode == "human":
            self.render()
        rewards, terminations, truncations = (
            {agent: values[self._numbers[agent]].item() for agent in driving}
            for values in (paid, terminated, truncated)
        )
        seen, infos = self._seen(driving), self._infos(driving)
        self.agents = [one for one in driving if not (terminations[one] or truncations[one])]
        return seen, rewards, terminations, truncations, infos

    def _seen(self, agents: list[str]) -> dict[str, Observations]:
        return {
            agent: observation_of_car(self._cars.observations, self._numbers[agent])
            for agent in agents
        }

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        info = self._cars.info()
        return {agent: info_of(info, self._numbers[agent]) for agent in agents}

    def render(self) -> np.ndarray | None:
        """A chase view of the hindmost car that still races, and so of those ahead of it.

        Returns:
            The picture, (480, 640, 3) uint8; None where Bullet's own window shows the race.
        """
        if self.render_mode != "rgb_array":
            self._cars.render()
            return None
        race = self._cars.race
        racing = np.flatnonzero(race.ending == Ending.RUNNING)
        cars = racing if len(racing) else np.arange(race.n)
        return self._cars.picture(int(cars[race.distance[cars].argmin()]))

    def close(self) -> None:
        """Free the world."""
        self._cars.close()

    def _refuse_too_many(self, n_cars: int) -> None:
        track = self._cars.tracks[0]
        most = int(track.length / GRID_SPACING_M)
        if n_cars > most:
            self.close()
            raise ConfigError(
                f"n_cars: got {n_cars}; at most {most} stand {GRID_SPACING_M} m apart on the "
                f"{track.length:.0f} m of {track.name}"
            )


class _Cars(RacerVectorEnv):
    is_together = True


def _rules(max_cycles: int | None, config: dict[str, Any]) -> RaceConfig:
    """The race that a config says, over after `max_cycles` control steps if given."""
    race = validate_document(config, EnvConfig, "racer environment").race
    if max_cycles is None:
        return race
    refuse_below_one("max_cycles", max_cycles)
    return race.model_copy(update={"time_limit": max_cycles / CONTROL_RATE_HZ})
