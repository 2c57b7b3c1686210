"""The Gymnasium environments: n cars in one world, and one car by the same code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import gymnasium
import numpy as np
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from racer.assets.document import Document, beside, validate
from racer.car.actions import ActionSpace
from racer.car.spec import PRESETS, CarName, car_named
from racer.deepracer.metadata import action_space
from racer.race import Ending, Race, RaceConfig
from racer.randomisation import QUANTITIES, Randomisation, load_randomisation
from racer.reward.params import Facts, ParamsBuilder, some
from racer.reward.source import RewardSource
from racer.sensors import (
    CameraConfig,
    Observations,
    Sensors,
    Suite,
    Surroundings,
    copied,
    make_sensors,
    of_car,
)
from racer.track import load_track
from racer.world import CONTROL_RATE, has_display

POOL = 16
"""Tracks that `generated` stands for; they are all made before the first episode."""
METADATA: dict[str, Any] = {
    "render_modes": ["rgb_array", "human"] if has_display() else ["rgb_array"],
    "render_fps": CONTROL_RATE,
}


def _several(value: Any, info: ValidationInfo) -> Any:
    """Names as a tuple, in which `generated` stands for `POOL` tracks."""
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise PydanticCustomError("names", "a track's name, or a list of names, is wanted")
    pool = [f"generated:{seed}" for seed in range(POOL)]
    names = [one for name in names for one in (pool if name == "generated" else [name])]
    return [beside(name, info) if isinstance(name, str) else name for name in names]


Tracks = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""Names of tracks; one is a list of one."""


class EnvConfig(Document):
    """What is driven, how it is seen, and what is paid for."""

    track: Tracks = Field(
        default=("bowtie",),
        min_length=1,
        description="a shipped track's name, a file, generated:SEED, or generated for 16 of "
        "them; of several each episode draws one",
    )
    car: CarName = Field(default="deepracer", description=f"the car: {' or '.join(PRESETS)}")
    sensor: Sensors = Field(default=(CameraConfig(),), description="what the policy sees")
    actions: ActionSpace = Field(
        default=ActionSpace(), description="what the policy may do; or a model_metadata.json"
    )
    race: RaceConfig = Field(default=RaceConfig(), description="kind, starts, laps and endings")
    randomisation: Randomisation = Field(
        default=Randomisation(), description="what an episode draws; ranges, or a preset's name"
    )
    reward: str | None = Field(
        default="progress", description="a reward file or a shipped one's name; null pays nothing"
    )

    @field_validator("actions", mode="before")
    @classmethod
    def _a_name_is_a_kind(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value.endswith(".json"):
            return action_space(Path(beside(value, info)))
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("randomisation", mode="before")
    @classmethod
    def _a_name_is_a_preset(cls, value: Any, info: ValidationInfo) -> Any:
        return load_randomisation(beside(value, info)) if isinstance(value, str) else value

    @field_validator("reward")
    @classmethod
    def _a_reward_may_lie_beside(cls, value: str | None, info: ValidationInfo) -> str | None:
        return beside(value, info) if value else value


def surroundings(race: Race) -> Surroundings:
    """What the cars of a race could perceive now."""
    world = race.world
    return Surroundings(world.state, race.place, race.is_reversed, world.boxes, race.colours)


class RacerVectorEnv(VectorEnv):
    """n cars that race alone in one PyBullet world, stepped together at 15 Hz.

    A car behaves the same, bit for bit, alone and among others, and car i of `reset(seed=k)` is
    the car of a `RacerEnv` reset with seed k + i. An episode that ends starts anew in the same
    step; its last observation and info are under `final_obs` and `final_info`.

    Actions: `ActionSpace`. Observations: those of `sensor`, with a leading axis of n; a Box for
    one sensor, a Dict by their names for several. Endings: see `Ending`; only TIME_UP truncates.
    Info: `progress` [percent of the lap], `speed` [m/s], `laps`, `off_tracks`, `collisions`,
    `resets`, `ending` (an `Ending`), once a lap is completed `lap_time_s`, and with
    randomisation `drawn`, the episode's number of each of its quantities.

    Args:
        num_envs: How many cars.
        render_mode: None, `rgb_array` (a chase view of car 0) or `human` (Bullet's window).
        kind: The race's kind, where `race` does not say it.
        **config: The fields of `EnvConfig`; `sensor="state"` is short for its kind.

    Raises:
        RacerError: A value, track or reward file that cannot be used.
    """

    metadata = {**METADATA, "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        kind: str | None = None,
        **config: Any,
    ) -> None:
        if render_mode not in (None, "rgb_array", "human"):
            raise ValueError(f"render_mode {render_mode!r}; known: rgb_array, human, None")
        if kind and not isinstance(config.get("race"), RaceConfig):
            config["race"] = {"kind": kind, **(config.get("race") or {})}
        self.config = validate(config, EnvConfig, "racer environment")
        self.num_envs, self.render_mode = num_envs, render_mode
        self.tracks = [load_track(name) for name in self.config.track]
        self.car = car_named(self.config.car)
        self.race = Race(
            self.config.race,
            self.tracks,
            self.car,
            num_envs,
            gui=render_mode == "human",
            randomisation=self.config.randomisation,
        )
        self.world = self.race.world
        walls = self.config.race.walls
        self._sensors = [
            make_sensors(self.config.sensor, self.car, track, num_envs, walls)
            for track in self.tracks
        ]
        self.single_observation_space = self._sensors[0].space
        self.single_action_space = self.config.actions.space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        reward = self.config.reward
        self._reward = None if reward is None else RewardSource.find(reward)
        self._functions = self._reward.functions(num_envs) if self._reward else []
        self._params = [
            ParamsBuilder(line, self.car, is_reversed=road % 2 == 1)
            for road, line in enumerate(self.race.roads.lines)
        ]
        if render_mode == "human":
            self.world.paint(self.tracks[0].left, self.tracks[0].right)
        self._everyone = np.arange(num_envs)
        self.spent = {"physics": 0.0, "sensors": 0.0, "reward": 0.0}
        self._generators = [np.random.default_rng() for _ in range(num_envs)]
        self._obs: Observations = self._sensors[0].buffer(self.num_envs)
        self._views: dict[int, Any] = {}
        self._shown = 0.0

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Start every car; seed k gives car i the seed k + i."""
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        if seeds is not None:
            for i, one in enumerate(seeds):
                if one is not None:
                    self._generators[i] = np.random.default_rng(one)
                    self.race.rewind(i)
        self.start(self._everyone)
        return self._obs, self.info()

    def renew_rewards(self) -> None:
        """Run the reward's file afresh for every car, so that none remembers an episode before.

        Raises:
            RewardError: It raises or hangs.
        """
        self._functions = self._reward.functions(self.num_envs) if self._reward else []

    def start(self, cars: np.ndarray) -> None:
        """Put cars (k,) at their next start and look; the observations are new arrays."""
        self._refuse_closed()
        self.race.start(cars, self._generators)
        for sensors, mine in self._by_track(cars):
            sensors.start(mine, self.race.draws.rows)
        self._look(cars)

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Drive every car for one control period; cars that are done start anew."""
        rewards, terminated, truncated = self.advance(actions)
        infos = self.info()
        done = terminated | truncated
        if done.any():
            infos |= {
                "final_obs": self._obs,
                "_final_obs": done,
                "final_info": dict(infos),
                "_final_info": done,
            }
            self.start(np.flatnonzero(done))
            infos |= self.info()
        return self._obs, rewards, terminated, truncated, infos

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One control period without a restart: rewards, terminated, truncated, each (n,)."""
        self._refuse_closed()
        began = time.perf_counter()
        self.race.step(self.config.actions.command(actions), self._generators)
        driven = time.perf_counter()
        rewards = self._pay()
        paid = time.perf_counter()
        self.race.put_back(self._generators)
        self._look(self._everyone)
        self.spent["physics"] += driven - began
        self.spent["reward"] += paid - driven
        self.spent["sensors"] += time.perf_counter() - paid
        ending = self.race.ending
        truncated = ending == Ending.TIME_UP
        return rewards, (ending != Ending.RUNNING) & ~truncated, truncated

    def _pay(self) -> np.ndarray:
        """The user's reward for each car's last step; each car has its own instance of the file."""
        rewards = np.zeros(self.num_envs)
        if self._reward is None:
            return rewards
        facts, driven = Facts.of(self.race), self.race.road
        with self._reward.watched():
            for road in np.unique(driven):
                cars = np.flatnonzero(driven == road)
                chosen = facts if len(cars) == self.num_envs else some(facts, cars)
                for car, params in zip(cars.tolist(), self._params[road].build_all(chosen)):
                    rewards[car] = self._reward.call(self._functions[car], params)
        return rewards

    @property
    def observations(self) -> Observations:
        """What the cars see now, each array (n, ...); no later step writes to it."""
        return self._obs

    def _look(self, cars: np.ndarray) -> None:
        is_part = len(cars) < self.num_envs
        self._obs = copied(self._obs) if is_part else self._sensors[0].buffer(self.num_envs)
        around = surroundings(self.race)
        for sensors, mine in self._by_track(cars):
            sensors.observe(around, mine, self._obs)

    def _by_track(self, cars: np.ndarray) -> Iterator[tuple[Suite, np.ndarray]]:
        """The sensors for each track, and which of cars (k,) race there."""
        if len(self.tracks) == 1:
            yield self._sensors[0], cars
            return
        track = self.race.road[cars] // 2
        for one in np.unique(track):
            yield self._sensors[one], cars[track == one]

    def info(self) -> dict[str, Any]:
        """The race's standing for all cars, arrays of (n,) with Gymnasium's masks."""
        race = self.race
        values: dict[str, Any] = {
            "progress": race.progress,
            "speed": np.hypot(*self.world.state.velocity[:, :2].T),
            "laps": race.laps.copy(),
            "off_tracks": race.off_tracks.copy(),
            "collisions": race.collisions.copy(),
            "resets": race.resets.copy(),
            "ending": race.ending.copy(),
            "lap_time_s": np.array([times[-1] if times else 0.0 for times in race.lap_times]),
        }
        known = {f"_{key}": np.ones(self.num_envs, dtype=bool) for key in values}
        known["_lap_time_s"] = race.laps > 0
        if not race.draws.is_neutral:
            values["drawn"] = {name: race.draws.rows[name].copy() for name in QUANTITIES}
            known["_drawn"] = np.ones(self.num_envs, dtype=bool)
        return values | known

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A chase view of car 0, (480, 640, 3) uint8; None where Bullet's own window shows it."""
        self._refuse_closed()
        if self.render_mode == "human":
            self.world.follow(0)
            time.sleep(max(0.0, self._shown + 1.0 / CONTROL_RATE - time.perf_counter()))
            self._shown = time.perf_counter()
        if self.render_mode != "rgb_array":
            return None
        from racer.view.chase import Actor, ChaseView, bots

        track = int(self.race.road[0]) // 2
        if track not in self._views:
            walls = self.config.race.walls
            self._views[track] = ChaseView(self.tracks[track], self.car, walls=walls)
        state, boxes, colours = self.world.state, self.world.boxes[0], self.race.colours[0]
        cars = [Actor(state.body[0], float(state.steering[0]))]
        if self.race.objects.is_moving:
            cars += bots(boxes, self.car)
            boxes, colours = boxes[:0], colours[:0]
        picture = self._views[track].frame(state.body[0], cars, boxes, colours)
        return np.ascontiguousarray(picture[..., :3])

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError("the environment is closed; make another one")

    def close_extras(self, **kwargs: Any) -> None:
        """Free the world; called by `close`."""
        self.world.close()


class RacerEnv(gymnasium.Env):
    """One car on a track: `RacerVectorEnv` with n = 1 and Gymnasium's single-env interface.

    Observation, action, endings and info are those of `RacerVectorEnv` without the leading axis.
    """

    metadata = METADATA

    def __init__(self, render_mode: str | None = None, **config: Any) -> None:
        self.vector = RacerVectorEnv(1, render_mode, **config)
        self.render_mode = render_mode
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        obs, _ = self.vector.reset(seed=seed, options=options)
        return of_car(obs, 0), self._info()

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Drive for one control period."""
        rewards, terminated, truncated = self.vector.advance(np.asarray(action)[None])
        obs = of_car(self.vector.observations, 0)
        if self.render_mode == "human":
            self.render()
        return obs, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), self._info()

    def _info(self) -> dict[str, Any]:
        info = self.vector.info()
        drawn = info.pop("drawn", None)
        own = {k: v[0].item() for k, v in info.items() if f"_{k}" in info and info[f"_{k}"][0]}
        if drawn:
            own["drawn"] = {name: values[0].item() for name, values in drawn.items()}
        return own

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See `RacerVectorEnv.render`."""
        return self.vector.render()

    def close(self) -> None:
        """Free the world."""
        self.vector.close()
