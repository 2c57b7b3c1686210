"""Recorded races of a board as demonstrations: they are simulated again with other sensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from racer.car.action_space import ActionSpace
from racer.entries.package import Entry, read_entry
from racer.envs import EnvConfig
from racer.errors import BoardError, ConfigError, EntryError
from racer.evaluation import Driver, LapResult, evaluate_alone
from racer.imitation.demonstrations import (
    Demonstrations,
    Drive,
    join_demonstrations,
    join_observations,
    last_rows,
)
from racer.leaderboard.drives import DRIVE_SUFFIX, RETIRED_CODE, read_drive, simulate_drive
from racer.leaderboard.replay import Replay, compare_replay
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.season_secret import find_secret
from racer.leaderboard.store import BoardStore, Submission
from racer.leaderboard.submission_evaluation import score_of_run
from racer.leaderboard.verification import replay_of
from racer.sensors import Observations
from racer.training.vec_env import channels_first_observations


class CommandSpace:
    """Actions that are commands already, as those of a baseline controller."""

    def command(self, action: np.ndarray) -> np.ndarray:
        """Return the same array: steering [rad] and speed [m/s], (n, 2)."""
        return action


class ReplayPolicy:
    """Repeats the actions of a replay, and keeps what a car with other sensors observes meanwhile.

    Args:
        replay: The replay.

    Attributes:
        seen: The observations so far, each (1, ...).
    """

    def __init__(self, replay: Replay) -> None:
        self._actions, self._ending = replay.actions, replay.score.ending
        self.seen: list[Observations] = []

    def __call__(self, observation: Observations) -> np.ndarray:
        """Return the next action, (1, ...).

        Raises:
            EntryError: The recording has ended.
        """
        step = len(self.seen)
        if step >= len(self._actions):
            code = RETIRED_CODE if self._ending == RETIRED_CODE else "recording"
            raise EntryError("the recording ends here", code)
        self.seen.append(observation)
        return self._actions[step : step + 1]


def submission_number(driver: str) -> int | None:
    """Return the id in `board:ID`, a submission on the board; None for other drivers.

    Example:
        >>> submission_number("board:12"), submission_number("raceline")
        (12, None)
    """
    found = re.fullmatch(r"board:([0-9]+)", driver)
    return int(found.group(1)) if found else None


def drive_files(driver: str) -> list[Path]:
    """Return the files of a person's drives: a file NAME.drive, or all of a folder; else none."""
    path = Path(driver)
    if path.suffix == DRIVE_SUFFIX:
        return [path]
    return sorted(path.glob(f"*{DRIVE_SUFFIX}")) if path.is_dir() else []


def entry_of_submission(store: BoardStore, id: int) -> Entry | None:
    """Return the entry of a submission; None if the board has none, as of a baseline controller."""
    package = store.entry_path(store.row(id).entry_sha256)
    return read_entry(package) if package.exists() else None


def recorded_demonstrations(store: BoardStore, id: int, config: EnvConfig) -> Drive:
    """Simulate the replays of a submission with a learner's sensors, and return what they show.

    A lap in which the car left the road or crashed is left out.

    Args:
        store: The board.
        id: The submission's id.
        config: The learner's sensors, actions and car.

    Raises:
        BoardError: There is no such submission or replay, the season is sealed and its secret is
            not known, or a replay does not give the recorded race here.
        ConfigError: The submission drives another car, or has no lap without a fault.
    """
    row = store.row(id)
    season = store.season(row.season_digest)
    if season.car != config.car:
        raise ConfigError(
            f"board:{id} drives the car {season.car}, the config's car is {config.car}; a driver "
            f"can only be cloned for its own car: set car: {season.car} in the config"
        )
    return _joined(f"board:{id}", _races(store, row, season, config))


def drive_files_demonstrations(paths: Sequence[Path], config: EnvConfig) -> Drive:
    """Simulate a person's drives with a learner's sensors, and return what they show.

    A lap in which the car left the road or crashed is left out.

    Args:
        paths: The drives' files.
        config: The learner's sensors, actions and car.

    Raises:
        BoardError: A file is not a drive, or does not give the recorded race here.
        ConfigError: A drive is of another car, or there is no lap without a fault.
    """
    return _joined(" ".join(map(str, paths)), (_drive(path, config) for path in paths))


def _joined(driver: str, races: Iterable[tuple[Demonstrations | None, LapResult]]) -> Drive:
    """Return the demonstrations of several races as one drive."""
    parts, laps, faults = [], 0, 0
    for driven, result in races:
        if driven is None:
            continue
        parts.append(driven)
        laps, faults = laps + result.laps_completed, faults + result.resets
    if not parts:
        raise ConfigError(f"{driver} has no lap without a fault, so there is nothing to clone")
    return Drive(join_demonstrations(parts), laps, faults)


def _drive(path: Path, config: EnvConfig) -> tuple[Demonstrations | None, LapResult]:
    """Return the demonstrations of a person's drive, if any, and its result."""
    record = read_drive(path)
    if record.season.car != config.car:
        raise ConfigError(
            f"{path} drives the car {record.season.car}, the config's car is {config.car}; a "
            f"driver can only be cloned for its own car: set car: {record.season.car} in the config"
        )
    policy = ReplayPolicy(record.replay)
    driver = Driver(policy, config.sensor, cast(ActionSpace, CommandSpace()))
    result = simulate_drive(record, driver)
    verdict = compare_replay(record.replay, result, score_of_run(record.run, result))
    if not verdict.is_fine:
        raise BoardError(f"{path} cannot be simulated again here: {verdict.text}")
    return _shown(policy, record.replay, result, config), result


def _races(
    store: BoardStore, row: Submission, season: Season, config: EnvConfig
) -> Iterator[tuple[Demonstrations | None, LapResult]]:
    """Yield the demonstrations, if any, and the result of each run of a submission."""
    secret = None
    if season.sealed:
        secret = store.revealed(row.season_digest) or find_secret(season.sealed.sha256)
    for number, run in enumerate(season.runs(secret)):
        replay = replay_of(store, row, number)
        policy, result = _simulate(season, run, replay, config)
        verdict = compare_replay(replay, result, score_of_run(run, result))
        if not verdict.is_fine:
            raise BoardError(
                f"run {number} of submission {row.id} cannot be simulated again here: "
                f"{verdict.text}; check the board with `racer board verify {row.id}`"
            )
        yield _shown(policy, replay, result, config), result


def _shown(
    policy: ReplayPolicy, replay: Replay, result: LapResult, config: EnvConfig
) -> Demonstrations | None:
    """Return what a race's laps without a fault show; None if there are none.

    Args:
        policy: What repeated the race, with its observations.
        replay: The replay.
        result: The race.
        config: The learner's actions.
    """
    commands = replay.space.command(replay.actions) if replay.space else replay.actions
    kept = np.flatnonzero(_is_in_a_clean_lap(result))
    if len(kept) == 0:
        return None
    return Demonstrations(
        channels_first_observations(
            join_observations([policy.seen[step] for step in kept.tolist()])
        ),
        config.actions.nearest(commands[kept]),
        last_rows(len(kept)),
    )


def _simulate(
    season: Season, run: SeasonRun, replay: Replay, config: EnvConfig
) -> tuple[ReplayPolicy, LapResult]:
    """Return a replay's actions with what they let a learner see, and the simulated race."""
    policy = ReplayPolicy(replay)
    space: Any = replay.space or CommandSpace()
    race = season.race_in(run.direction)
    return policy, evaluate_alone(
        policy, config.sensor, cast(ActionSpace, space), run.track, race, run.seed, season.car
    )


def _is_in_a_clean_lap(result: LapResult) -> np.ndarray:
    """Return for each control step of a race whether its lap has no fault, (T,) bool."""
    began = np.concatenate([[0.0], result.time[:-1]])
    lap = np.searchsorted(np.cumsum(result.lap_times_s), began, side="right")
    return ~np.isin(lap, lap[result.fault != 0])
