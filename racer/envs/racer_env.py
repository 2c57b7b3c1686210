"""The single environment: one car, by Gymnasium's `Env` interface."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from racer.envs.arguments import refuse_options, refuse_unknown
from racer.envs.config import EnvConfig
from racer.envs.copying import CopiedByState
from racer.envs.racer_vector_env import RENDER_METADATA, RacerVectorEnv
from racer.sensors import Observations, observation_of_car


class RacerEnv(CopiedByState, gymnasium.Env):  # pyright: ignore[reportIncompatibleVariableOverride]
    """One car on a track: `RacerVectorEnv` with n = 1 and Gymnasium's single-env interface.

    Observation, action, endings and info are those of `RacerVectorEnv` without the leading axis.

    Args:
        render_mode: None, `rgb_array` (a chase view of the car) or `human` (Bullet's window).
        kind: The kind of race that the environment's id stands for.
        **config: The fields of `EnvConfig`; `sensor="state"` is short for its kind.

    Attributes:
        vector: The `RacerVectorEnv` of one car.

    Raises:
        UnexpectedKeywordError: A keyword is unknown.
        RacerError: A value, track or reward file cannot be used.

    Example:
        >>> env = RacerEnv(sensor="state", track="hairpin")
        >>> observation, info = env.reset(seed=0)
        >>> observation.shape
        (26,)
        >>> env.close()
    """

    metadata = RENDER_METADATA

    def __init__(
        self, render_mode: str | None = None, kind: str | None = None, **config: Any
    ) -> None:
        refuse_unknown(config, type(self))
        self._arguments = dict(render_mode=render_mode, kind=kind, **config)
        self.vector = RacerVectorEnv(1, render_mode, kind, **config)
        self.render_mode = render_mode
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space

    # Gymnasium's `np_random` and `reset` read and write these two private attributes. Here they
    # are the car's own generator and seed, so that a generator set by the user takes effect.
    @property
    def _np_random(self) -> np.random.Generator:
        return self.vector.generators[0]

    @_np_random.setter
    def _np_random(self, value: np.random.Generator) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self.vector.generators[0] = value

    @property
    def _np_random_seed(self) -> int:
        return self.vector.first_seeds[0]

    @_np_random_seed.setter
    def _np_random_seed(self, value: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self.vector.first_seeds = (value,)

    @property
    def config(self) -> EnvConfig:
        """The resolved config."""
        return self.vector.config

    @property
    def max_episode_steps(self) -> int:
        """Control steps until an episode is truncated."""
        return self.vector.max_episode_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the car's generator; without one the generator goes on.
            options: There are none.

        Raises:
            ConfigError: An option is given.
        """
        refuse_options(options, ())
        super().reset(seed=seed)
        if seed is not None:
            self.vector.race.rewind(0)
        obs, _ = self.vector.reset()
        return observation_of_car(obs, 0), self._info()

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Advance by one control step; see `RacerVectorEnv` for actions, rewards and endings."""
        rewards, terminated, truncated = self.vector.advance(np.asarray(action)[None])
        obs = observation_of_car(self.vector.observations, 0)
        if self.render_mode == "human":
            self.render()
        return obs, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), self._info()

    def _info(self) -> dict[str, Any]:
        return self.vector.info_of_car(0)

    def get_state(self) -> dict[str, Any]:
        """Return the simulation's state; see `RacerVectorEnv.get_state`."""
        return self.vector.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore such a state; see `RacerVectorEnv.set_state`."""
        self.vector.set_state(state)

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a chase view of the car, (480, 640, 3) uint8; None unless mode is `rgb_array`."""
        frames = self.vector.render()
        return frames[0] if frames else None

    def close(self) -> None:
        """Free the world."""
        self.vector.close()
