"""Cloning of a driver: demonstrations, supervised learning, and a run folder to train further."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from racer import assets
from racer.assets.document import read_document
from racer.assets.overrides import with_overrides
from racer.car.action_space import ActionSpace
from racer.controllers import CONTROLLERS
from racer.entries.package import Entry
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError
from racer.evaluation import race_of_training
from racer.imitation.behaviour_cloning import CloningLoss, clone_behaviour
from racer.imitation.demonstrations import (
    Demonstrations,
    Drive,
    describe_action_error,
    drive_demonstrations,
    join_demonstrations,
)
from racer.imitation.recordings import (
    drive_files,
    drive_files_demonstrations,
    entry_of_submission,
    recorded_demonstrations,
    submission_number,
)
from racer.imitation.teachers import make_teacher
from racer.leaderboard.drives import DriveRecord, read_drive
from racer.leaderboard.store import BoardStore
from racer.race import RaceConfig
from racer.sensors import Observations, observation_of_car
from racer.training.checkpoint_choice import split_checkpoint
from racer.training.config import RunConfig
from racer.training.racers import racer_named
from racer.training.run_dir import refuse_taken
from racer.training.sb3_model import BaseAlgorithm
from racer.training.train import TrainingResult, run_pretraining
from racer.training.vec_env import CarsVecEnv
from racer.world import CONTROL_RATE_HZ

CLONE_LOG_STD = -1.5
"""Most that `ppo.log_std_init` is in a clone's config: more noise in its actions would throw a
clone off its line, and its training would begin with unlearning; see docs/training.md."""
DRIVEN_SPEEDS = (0.1, 4.0)
"""Lowest and highest speed of the actions of a person's clone [m/s]: a person also brakes hard."""
DEFAULT_ROUNDS = 3
"""Rounds in which a driver that is no recording teaches, if the user names no number."""
MAX_CARS = 16
"""Most cars that are driven at once for demonstrations."""
MAX_LAP_S = 60.0
"""Longest time in which a teacher must complete a lap, over all cars and laps [s]."""
MIN_PAIRS = 100
"""Least number of pairs of observation and action that a policy learns from."""


@dataclass(frozen=True)
class CloneOptions:
    """How a driver is cloned.

    Attributes:
        laps: Laps that the teacher drives in the first round.
        steps: Control steps of all cars in the first round, instead of laps.
        rounds: Number of rounds. In the first, the teacher drives; in each further one, the clone
            drives for as many steps, the teacher tells its own action in each, and the clone learns
            from all rounds (DAgger). By default 3, and 1 for a recording.
        epochs: Passes over all demonstrations in each round.
    """

    laps: int = 50
    steps: int | None = None
    rounds: int | None = None
    epochs: int = 20

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be used.

        Raises:
            ConfigError: A number is too small.
        """
        for name, least in (("laps", 1), ("steps", MIN_PAIRS), ("rounds", 1), ("epochs", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name}: {value}; it must be {least} or more")

    @property
    def num_cars(self) -> int:
        """Number of cars that are driven at once."""
        return MAX_CARS if self.steps is not None else min(MAX_CARS, self.laps)

    def is_enough(self, steps: int, laps: int) -> bool:
        """Return whether the teacher has driven enough.

        Args:
            steps: Control steps of all cars.
            laps: Completed laps of all cars.
        """
        if self.steps is not None:
            return steps >= self.steps
        return laps >= self.laps or steps >= self.laps * MAX_LAP_S * CONTROL_RATE_HZ


def config_of_clone(
    driver: str, config: str | None = None, changes: Mapping[str, Any] | None = None
) -> tuple[RunConfig, str]:
    """Return the config of a clone, and its name.

    Args:
        driver: The driver; see `run_cloning`.
        config: A shipped config's name, or a YAML file; by default the sensors, actions, track and
            race of the driver's entry, or the track, car and race of a person's drive, and the
            rest as `RunConfig` has it.
        changes: New values of the config's fields, by dotted names.

    Raises:
        ConfigError: There is no config, or a driver without sensors of its own needs one.
    """
    if config is None and (drives := drive_files(driver)):
        chosen, name = _config_of_drive(read_drive(drives[0])), "clone"
    elif config is None:
        chosen, name = _config_of_entry(driver, _find_driver(driver)), "clone"
    else:
        path = assets.find_file(config, "configs")
        chosen, name = read_document(path, RunConfig), path.stem
    return with_overrides(chosen, dict(changes or {}), "clone-driver"), name


def run_cloning(
    driver: str,
    config: RunConfig,
    folder: Path | None = None,
    options: CloneOptions | None = None,
    console: Console | None = None,
    *,
    name: str = "clone",
) -> TrainingResult:
    """Clone a driver by supervised learning, and write a run that `resume_training` goes on with.

    Args:
        driver: A baseline controller's name; an entry's file; a run, `RUN` or `RUN@CHECKPOINT`; a
            person's drive, or a folder of drives; or `board:ID`, the replays of a submission on the
            board.
        config: Race, sensors, actions and network of the clone, and the training afterwards; see
            `config_of_clone`.
        folder: The run's folder; a new one in `runs/` if not given.
        options: How it is cloned.
        console: Where the rounds are shown.
        name: The config's name.

    Raises:
        ConfigError: The driver cannot be cloned with this config.
        RacerError: Something else cannot be used.
    """
    if folder is not None:
        refuse_taken(folder, "--out")
    if config.algorithm != "ppo":
        raise ConfigError(
            f"a clone learns for algorithm ppo, and the config's is {config.algorithm}: leave it "
            "out, and train on from the clone with racer train --from"
        )
    options = options or CloneOptions()
    id, drives = submission_number(driver), drive_files(driver)
    entry = None if drives else _find_driver(driver)
    is_recording = id is not None or bool(drives)
    if is_recording and (options.rounds or 1) > 1:
        raise ConfigError(
            f"{driver} is a recording, which cannot drive on from where the clone gets to: use "
            "--rounds 1, or clone the entry itself"
        )
    options = replace(options, rounds=options.rounds or (1 if is_recording else DEFAULT_ROUNDS))
    chosen = _config_to_train_on(config)

    def learn(model: BaseAlgorithm, env: CarsVecEnv, say: Callable[[str], None]) -> dict[str, Any]:
        lesson = _Lesson(driver, chosen, options, model, env, say)
        if id is not None:
            loss = lesson.watch(recorded_demonstrations(BoardStore(), id, chosen))
        elif drives:
            loss = lesson.watch(drive_files_demonstrations(drives, chosen))
        else:
            assert entry is not None
            loss = lesson.be_taught(entry)
        return {
            "driver": driver,
            "rounds": options.rounds,
            "pairs": lesson.pairs,
            "loss": loss.learnt,
            "held_out_loss": loss.held_out,
        }

    cars = 1 if is_recording else min(options.num_cars, chosen.num_envs)
    return run_pretraining(chosen, learn, folder, console, num_envs=cars, name=name)


class _Lesson:
    """The rounds in which a learner is taught.

    Args:
        driver: The driver as the user named it.
        config: The run's config.
        options: How it is cloned.
        model: The learner.
        env: The cars that are driven.
        say: Called with a line for each round.
    """

    def __init__(
        self,
        driver: str,
        config: RunConfig,
        options: CloneOptions,
        model: BaseAlgorithm,
        env: CarsVecEnv,
        say: Callable[[str], None],
    ) -> None:
        self._driver, self._config, self._options = driver, config, options
        self._model, self._env, self._say = model, env, say
        self._generator = np.random.default_rng(config.seed)
        self._round = 0
        self._shown: Demonstrations | None = None

    @property
    def pairs(self) -> int:
        """Number of pairs so far."""
        return 0 if self._shown is None else len(self._shown.actions)

    def watch(self, drive: Drive) -> CloningLoss:
        """Learn from a recorded drive."""
        return self._learn(self._driver, drive)

    def be_taught(self, driver: Entry | str) -> CloningLoss:
        """Learn from a teacher in all rounds."""
        cars = self._env.cars
        assert isinstance(cars, RacerVectorEnv)
        teacher = make_teacher(driver, cars)
        loss = self._learn(
            self._driver, drive_demonstrations(self._env, teacher, self._options.is_enough)
        )
        as_long = replace(self._options, steps=self.pairs)
        for _ in range((self._options.rounds or DEFAULT_ROUNDS) - 1):
            again = drive_demonstrations(self._env, teacher, as_long.is_enough, self._act)
            loss = self._learn("the clone", again)
        return loss

    def _act(self, observations: Observations) -> np.ndarray:
        """Return the learner's most likely actions; those of a continuous space within [-1, 1]."""
        return self._model.predict(observations, deterministic=True)[0]  # pyright: ignore[reportArgumentType]

    def _learn(self, who: str, drive: Drive) -> CloningLoss:
        """Learn from all demonstrations so far, and log what was driven and learnt.

        Raises:
            ConfigError: There is not enough to learn from.
        """
        number, steps = self._round + 1, len(drive.demonstrations.actions)
        if number == 1 and drive.laps and steps < MIN_PAIRS:
            raise ConfigError(
                f"{self._driver} has {steps} steps in {drive.laps} laps without a fault; a clone "
                f"learns from at least {MIN_PAIRS}: drive more laps"
            )
        if number == 1 and (drive.laps == 0 or steps < MIN_PAIRS):
            raise ConfigError(
                f"{self._driver} completed {drive.laps} laps in {steps} steps "
                "with the actions of this config, so there is nothing to clone: name a config "
                "whose `actions` hold the driver's steering and speeds, and whose `race` and "
                "`track` it can drive"
            )
        before = [] if self._shown is None else [self._shown]
        self._round, everything = number, join_demonstrations([*before, drive.demonstrations])
        self._shown = everything
        loss = clone_behaviour(
            self._model.policy, everything, self._options.epochs, self._generator
        )
        held = np.flatnonzero(everything.is_held_out)
        wanted = everything.actions[held]
        got = self._act(observation_of_car(everything.observations, held))
        self._say(
            f"round {number}: {who} drove {steps:,} steps, {drive.laps} laps, "
            f"{drive.faults} faults; loss {loss.learnt:.3f}, held out {loss.held_out:.3f} "
            f"({describe_action_error(self._config.actions, wanted, got)})"
        )
        return loss


def _find_driver(driver: str) -> Entry | str | None:
    """Return an entry, also of a run or of a recorded submission, if any, or a controller's name.

    Raises:
        ConfigError: There is no such driver.
        RacerError: The entry or the submission cannot be read.
    """
    id = submission_number(driver)
    if id is not None:
        return entry_of_submission(BoardStore(), id)
    if driver not in CONTROLLERS and not split_checkpoint(driver)[0].exists():
        raise ConfigError(
            f"no driver {driver!r}; known: {', '.join(CONTROLLERS)}, an entry's file, a run's "
            "folder, a drive's file, or board:ID for a submission on the board"
        )
    return racer_named(driver)


def _config_of_entry(driver: str, entry: Entry | str | None) -> RunConfig:
    """Return a config with an entry's own sensors, actions, car, track and race.

    Raises:
        ConfigError: The driver has no entry, or its track is not known.
    """
    if entry is None or isinstance(entry, str):
        raise ConfigError(
            f"{driver} has no sensors of its own: add --config with what the clone shall see, one "
            f"of {', '.join(assets.shipped_names('configs'))}, or a YAML file"
        )
    manifest = entry.manifest
    if manifest.trained_on.track is None:
        raise ConfigError(
            f"{manifest.name} does not say which track it was trained on: add --config with one"
        )
    return RunConfig(
        track=(manifest.trained_on.track,),
        car=manifest.car,
        sensor=manifest.sensor,
        actions=manifest.actions,
        race=race_of_training(entry),
    )


def _config_of_drive(record: DriveRecord) -> RunConfig:
    """Return a config with the car, track and race of a person's drive, and all its speeds."""
    race = record.rules.model_dump(exclude={"laps", "start", "faults", "time_limit"})
    return RunConfig(
        track=(record.run.track,),
        car=record.season.car,
        actions=ActionSpace(speed=DRIVEN_SPEEDS),
        race=RaceConfig(**race),
    )


def _config_to_train_on(config: RunConfig) -> RunConfig:
    """Return a config whose training explores near what the clone can do already."""
    log_std = min(config.ppo.log_std_init, CLONE_LOG_STD)
    ppo = config.ppo.model_copy(update={"log_std_init": log_std})
    return config.model_copy(update={"ppo": ppo})
