"""The vector environment: n cars in one world, by Gymnasium's `VectorEnv` interface."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from racer.assets.document import validate_document
from racer.car.spec import car_named
from racer.envs.arguments import (
    autoreset_mode_of,
    refuse_below_one,
    refuse_options,
    refuse_unknown,
    seeds_of,
    with_kind,
)
from racer.envs.config import EnvConfig
from racer.envs.copying import CopiedByState
from racer.errors import ConfigError
from racer.race.config import LAPS_COMPLETE, RUNNING, TIME_UP
from racer.randomisation import DRAWN_QUANTITIES
from racer.reward import CarRewards, RewardSource
from racer.sensors import Observations, observation_of_car
from racer.simulation import Simulation
from racer.track import load_track
from racer.world import CONTROL_RATE_HZ, has_display

RENDER_METADATA: dict[str, Any] = {
    "render_modes": ["rgb_array", "human"] if has_display() else ["rgb_array"],
    "render_fps": CONTROL_RATE_HZ,
}
SHARED_CONFIG_FIELDS = ("track", "car", "sensor", "race", "randomisation")
"""Config fields that must be equal for one environment to restore another's state."""


class RacerVectorEnv(CopiedByState, VectorEnv):  # pyright: ignore[reportIncompatibleVariableOverride]
    """n cars that race alone in one PyBullet world, stepped together at 15 Hz.

    A car behaves the same, bit for bit, alone and among others: car i of `reset(seed=k)` behaves
    as the car of a `RacerEnv` reset with seed k + i.

    Actions: see `ActionSpace`. Observations: those of `sensor` with a leading axis of n, a Box for
    one sensor, a Dict by sensor name for several. Endings: see `Ending`; only TIME_UP truncates.

    Info has the same keys in every step, arrays (n,) with Gymnasium's masks: `progress` [percent
    of the lap], `speed` [m/s], `laps`, `off_tracks`, `collisions`, `resets`, `ending` (an
    `Ending`), `is_success` (all laps are completed), `lap_time_s` (of the last completed lap, 0
    before the first), and with randomisation `drawn`, the episode's value of each quantity.

    A copy or pickle has a world of its own and continues from the same state; see `get_state`.

    Args:
        num_envs: Number of cars.
        render_mode: None, `rgb_array` (a chase view of each car) or `human` (Bullet's window).
        kind: The kind of race that the environment's id stands for.
        autoreset_mode: When a car whose episode ended is reset: an `AutoresetMode` or its value.
            `SameStep` (the default): at once; its last observation and info are in `final_obs`
            and `final_info`. `NextStep`: in the next step, which ignores its action and has
            reward 0. `Disabled`: by `reset` with `options={"reset_mask": ...}`.
        max_episode_steps: Control steps until truncation; `race.time_limit` holds too.
        **config: The fields of `EnvConfig`; `sensor="state"` is short for its kind.

    Attributes:
        config: The resolved config.
        simulation: The simulation of the cars.
        generators: The random generator of each car, a list of n.
        first_seeds: The seed of each generator; -1 if it was set without a seed.
        autoreset_mode: The autoreset mode.

    Raises:
        UnexpectedKeywordError: A keyword is unknown.
        RacerError: A value, track or reward file cannot be used.

    Example:
        >>> envs = RacerVectorEnv(64, sensor="state")
        >>> observations, info = envs.reset(seed=0)
        >>> observations.shape
        (64, 26)
        >>> envs.close()
    """

    metadata = RENDER_METADATA | {"autoreset_mode": AutoresetMode.SAME_STEP}
    is_together = False
    """Whether the cars race each other on one track; see `Race`."""

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        kind: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        max_episode_steps: int | None = None,
        **config: Any,
    ) -> None:
        refuse_unknown(config, type(self))
        self._arguments = dict(
            num_envs=num_envs,
            render_mode=render_mode,
            kind=kind,
            autoreset_mode=autoreset_mode,
            max_episode_steps=max_episode_steps,
            **config,
        )
        if render_mode not in (None, "rgb_array", "human"):
            raise ConfigError(f"render_mode {render_mode!r}; known: rgb_array, human, None")
        self.autoreset_mode = autoreset_mode_of(autoreset_mode)
        self.metadata = RENDER_METADATA | {"autoreset_mode": self.autoreset_mode}
        refuse_below_one("num_envs", num_envs)
        refuse_below_one("max_episode_steps", 1 if max_episode_steps is None else max_episode_steps)
        self.config = validate_document(with_kind(config, kind), EnvConfig, "racer environment")
        self.num_envs, self.render_mode = num_envs, render_mode
        self.tracks = [load_track(name) for name in self.config.track]
        self.car = car_named(self.config.car)
        self.simulation = Simulation(
            self.config.race,
            self.tracks,
            self.car,
            [self.config.sensor] * num_envs,
            gui=render_mode == "human",
            is_together=self.is_together,
            randomisation=self.config.randomisation,
            max_steps=max_episode_steps,
            engine=self.config.engine,
        )
        self.race, self.world = self.simulation.race, self.simulation.world
        self.single_observation_space = self.simulation.suite_of(0).space
        self.single_action_space = self.config.actions.space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        reward = self.config.reward
        self._rewards = (
            None
            if reward is None
            else CarRewards(RewardSource.find(reward), self.race, self.car, self.config.compile)
        )
        if render_mode == "human":
            self.world.paint(self.tracks[0].left, self.tracks[0].right)
        _, first = seeding.np_random()
        self.first_seeds = tuple(first + i for i in range(num_envs))
        self.generators = [np.random.default_rng(seed) for seed in self.first_seeds]
        self._views: dict[int, Any] = {}
        self._shown = 0.0

    @property
    def max_episode_steps(self) -> int:
        """Control steps until an episode is truncated."""
        return self.race.max_steps

    @property
    def reward_in_python(self) -> str | None:
        """Why the reward file is called as Python; None if its compiled code is, or without one."""
        problem = self._rewards.not_compiled if self._rewards else None
        return None if problem is None else str(problem)

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # pyright: ignore
        """The random generator of each car, as `SyncVectorEnv` returns those of its environments.

        Set n generators, or one from which n are spawned.
        """
        return tuple(self.generators)

    @np_random.setter
    def np_random(self, value: np.random.Generator | Sequence[np.random.Generator]) -> None:
        own = value.spawn(self.num_envs) if isinstance(value, np.random.Generator) else value
        if len(own) != self.num_envs:
            raise ConfigError(f"np_random: {len(own)} generators for {self.num_envs} cars")
        self.generators = list(own)
        self.first_seeds = (-1,) * self.num_envs

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # pyright: ignore
        """The seed of each car's generator; -1 if it was set without a seed."""
        return self.first_seeds

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode of every car, or of those in a mask.

        Args:
            seed: Seed k gives car i the seed k + i; a list gives each car its own. Without a seed
                a car's generator goes on.
            options: `reset_mask`, (n,) bool, selects the cars to start.

        Returns:
            Observations and info.

        Raises:
            ConfigError: A seed or an option cannot be used.
        """
        self._refuse_closed()
        cars = self._chosen(options)
        seeds = seeds_of(seed, self.num_envs)
        own = list(self.first_seeds)
        for car in cars.tolist():
            if (one := seeds[car]) is not None:
                self.generators[car], own[car] = np.random.default_rng(one), one
                self.race.rewind(car)
        self.first_seeds = tuple(own)
        self.start(cars)
        return self.observations, self.info()

    def _chosen(self, options: dict[str, Any] | None) -> np.ndarray:
        """Return the indices of the cars that `reset` starts, (k,)."""
        refuse_options(options, ("reset_mask",))
        if not options or "reset_mask" not in options:
            return np.arange(self.num_envs)
        mask = options["reset_mask"]
        is_mask = isinstance(mask, np.ndarray) and mask.dtype == bool
        if not is_mask or mask.shape != (self.num_envs,) or not mask.any():
            raise ConfigError(
                f"reset: reset_mask must be a bool array of shape ({self.num_envs},) with a True "
                f"in it, got {mask!r:.200}"
            )
        return np.flatnonzero(mask)

    def renew_rewards(self) -> None:
        """Run the reward file anew for every car, so that no instance remembers earlier episodes.

        Raises:
            RewardError: The file raises or hangs.
        """
        if self._rewards:
            self._rewards.renew()

    def start(self, cars: np.ndarray) -> None:
        """Start the next episode of some cars.

        Args:
            cars: Their indices, (k,).
        """
        self._refuse_closed()
        self.simulation.start(cars, self.generators)

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every car by one control step; see `autoreset_mode` for cars that are done.

        Args:
            actions: An action for each car, (n, 2) or (n,).

        Returns:
            Observations, rewards (n,), terminated (n,), truncated (n,) and info.

        Raises:
            ResetNeeded: Autoreset is disabled, and a car's episode has ended.
        """
        ended = self.race.ending != RUNNING
        if self.autoreset_mode == AutoresetMode.DISABLED and ended.any():
            raise ResetNeeded(
                f"the episodes of cars {np.flatnonzero(ended).tolist()} have ended; call "
                "reset(options={'reset_mask': terminated | truncated}) first"
            )
        rewards, terminated, truncated = self.advance(actions)
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and ended.any():
            self.start(np.flatnonzero(ended))
            terminated, truncated = terminated & ~ended, truncated & ~ended
        done = terminated | truncated
        if self.autoreset_mode != AutoresetMode.SAME_STEP or not done.any():
            return self.observations, rewards, terminated, truncated, self.info()
        final = {
            "final_obs": _each(self.observations, done),
            "_final_obs": done,
            "final_info": self.info(done),
            "_final_info": done.copy(),
        }
        self.start(np.flatnonzero(done))
        return self.observations, rewards, terminated, truncated, self.info() | final

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance every car by one control step without a reset.

        A car whose episode has ended coasts and has reward 0.

        Args:
            actions: An action for each car, (n, 2) or (n,).

        Returns:
            Rewards, terminated and truncated, each (n,).
        """
        self._refuse_closed()
        rewards = np.zeros(self.num_envs)
        running = np.flatnonzero(self.race.ending == RUNNING)

        def pay() -> None:
            if self._rewards:
                rewards[:] = self._rewards.of_step(running)

        self.simulation.step(self.config.actions.command(actions), self.generators, pay)
        ending = self.race.ending
        truncated = ending == TIME_UP
        return rewards, (ending != RUNNING) & ~truncated, truncated

    @property
    def observations(self) -> Observations:
        """The current observations, arrays (n, ...); no later step writes to them."""
        return self.simulation.observations_of(0)

    def info(self, mask: np.ndarray | None = None) -> dict[str, Any]:
        """Return the info of all cars, arrays (n,) with Gymnasium's masks.

        Args:
            mask: The cars that the masks select, (n,) bool; all by default.
        """
        if mask is None:
            mask = np.ones(self.num_envs, dtype=bool)
        values = self._info_values()
        drawn = values.pop("drawn", None)
        values = {name: column.copy() for name, column in values.items()}
        if drawn:
            drawn = {name: column.copy() for name, column in drawn.items()}
            values["drawn"] = _masked(drawn, mask)
        return _masked(values, mask)

    def info_of_car(self, car: int) -> dict[str, Any]:
        """Return one car's info, as `RacerEnv` returns it."""
        return _info_row(self._info_values(), car)

    def _info_values(self) -> dict[str, Any]:
        """Return the info of all cars without masks, arrays (n,) that change with the next step."""
        race, body = self.race, self.world.state.body
        values: dict[str, Any] = {
            "progress": race.progress,
            "speed": np.hypot(body[:, 7], body[:, 8]),
            "laps": race.laps,
            "off_tracks": race.off_tracks,
            "collisions": race.collisions,
            "resets": race.resets,
            "ending": race.ending,
            "is_success": race.ending == LAPS_COMPLETE,
            "lap_time_s": race.last_lap_time,
        }
        if not race.draws.is_neutral:
            values["drawn"] = {name: race.draws.rows[name] for name in DRAWN_QUANTITIES}
        return values

    def get_state(self) -> dict[str, Any]:
        """Return the complete state, for `set_state`; it can be pickled.

        It holds the race, the physics, the sensors' memory, the generators, and the values of the
        reward file's variables.

        Raises:
            RewardError: A variable of the reward cannot be saved, such as an open file.
        """
        self._refuse_closed()
        return {
            "config": self._alike(),
            "simulation": self.simulation.get_state(),
            "generators": copy.deepcopy(self.generators),
            "seeds": self.first_seeds,
            "rewards": self._rewards and self._rewards.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a state of an environment with the same race, cars and sensors.

        The following steps are bit-identical to those of the original, unless a car touched a
        wall, a box or another car in the step before the state was taken. The variables of another
        reward file than the state's are kept, as is the state of Gymnasium's wrappers.

        Args:
            state: The value of `get_state`, from this environment, a copy or another process. It
                can be restored again. Like a pickle, it must come from a trusted source.

        Raises:
            ConfigError: The state has another number of cars, track, vehicle, sensor, race or
                randomisation.
        """
        self._refuse_closed()
        for name, value in self._alike().items():
            if state["config"][name] != value:
                raise ConfigError(
                    f"set_state: the state is of an environment with another {name}: "
                    f"{state['config'][name]!r:.200}; this one has {value!r:.200}"
                )
        self.simulation.set_state(state["simulation"])
        if self._rewards:
            self._rewards.set_state(state["rewards"])
        self.generators = copy.deepcopy(state["generators"])
        self.first_seeds = state["seeds"]

    def _alike(self) -> dict[str, Any]:
        own = self.config.model_dump(mode="json", include=set(SHARED_CONFIG_FIELDS))
        return {"num_envs": self.num_envs, **own}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return a chase view of each car, (480, 640, 3) uint8; None unless mode is `rgb_array`."""
        self._refuse_closed()
        if self.render_mode == "human":
            self.world.follow(0)
            time.sleep(max(0.0, self._shown + 1.0 / CONTROL_RATE_HZ - time.perf_counter()))
            self._shown = time.perf_counter()
        if self.render_mode != "rgb_array":
            return None
        return tuple(self.picture(car) for car in range(self.num_envs))

    def picture(self, car: int) -> np.ndarray:
        """Return a chase view of one car and of everything near it, (480, 640, 3) uint8."""
        from racer.rendering.car_model import livery
        from racer.rendering.chase_view import ChaseView, DrawnCar, drawn_bots

        race, state, waiting = self.race, self.world.state, self.race.is_waiting
        track = int(race.road.track[car])
        if track not in self._views:
            walls = self.config.race.walls
            self._views[track] = ChaseView(self.tracks[track], self.car, walls=walls)
        paint, shown = [livery(0)] * self.num_envs, np.array([car])
        if self.is_together:
            paint = [livery(i) for i in range(self.num_envs)]
            shown = np.union1d(shown, np.flatnonzero(race.ending == RUNNING))
        cars = [
            DrawnCar(state.body[i], float(state.steering[i]), paint[i], is_ghost=bool(waiting[i]))
            for i in shown.tolist()
        ]
        count = race.objects.count
        boxes, colours = self.world.boxes[car, :count], race.colours[car, :count]
        if race.objects.is_moving:
            cars += drawn_bots(boxes, self.car, before=len(set(paint)))
            boxes, colours = boxes[:0], colours[:0]
        picture = self._views[track].frame(state.body[car], cars, boxes, colours)
        return np.ascontiguousarray(picture[..., :3])

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError("the environment is closed; make another one")

    def close_extras(self, **kwargs: Any) -> None:
        """Close the world; called by `close`."""
        self.world.close()


def info_of(info: dict[str, Any], car: int) -> dict[str, Any]:
    """Return one car's info as `RacerEnv` returns it, from `RacerVectorEnv.info` of all n cars."""
    return _info_row({name: values for name, values in info.items() if name[0] != "_"}, car)


def _info_row(values: dict[str, Any], car: int) -> dict[str, Any]:
    """Return one car's info from that of all cars without masks.

    Numbers have numpy's types, and a truth value is an array, so that each has a dtype.
    """
    own = {name: column[car] for name, column in values.items() if name != "drawn"}
    own["is_success"] = np.asarray(own["is_success"])
    if "drawn" in values:
        drawn = values["drawn"].items()
        own["drawn"] = {name: column[car] for name, column in drawn if name[0] != "_"}
    return own


def _masked(values: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Return values with Gymnasium's masks, which select the cars they belong to."""
    return values | {f"_{name}": mask.copy() for name in values}


def _each(observations: Observations, chosen: np.ndarray) -> np.ndarray:
    """Return chosen cars' observations as `SyncVectorEnv` does: (n,) objects, None elsewhere."""
    each = np.full(len(chosen), None, dtype=object)
    for car in np.flatnonzero(chosen).tolist():
        each[car] = observation_of_car(observations, car)
    return each
