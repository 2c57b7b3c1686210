"""Drives: races that a person drove, stored so that they can be simulated again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from racer.assets.atomic import write_atomically
from racer.car.action_space import ActionSpace
from racer.controllers import Controller
from racer.errors import BoardError, RacerError
from racer.evaluation import LapResult, SteppedRace
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.replay import (
    Replay,
    ReplayComparison,
    compare_replay,
    pack_replay,
    record_replay,
    unpack_replay,
)
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.submission_evaluation import score_of_run
from racer.leaderboard.submissions import board_name
from racer.leaderboard.verification import ReplayController
from racer.race import Ending, RaceConfig
from racer.registration import ENV_IDS
from racer.tables import FittedTable, TableColumn

DRIVE_MAGIC = b"racer drive 1\n"
DRIVE_SUFFIX = ".drive"
MAX_DRIVE_FILE_BYTES = 64_000_000
RETIRED_CODE = "retired"
"""The code of the error by which a race ends because its driver gave up."""


def drives_folder() -> Path:
    """Return the folder of the drives: RACER_DRIVES, or `drives` in the working directory."""
    return Path(os.environ.get("RACER_DRIVES") or "drives")


@dataclass(frozen=True)
class RivalRecord:
    """A car that raced a person in one world.

    Attributes:
        name: Name of its driver.
        replay: Its replay; of a driver whose race had not ended yet, up to the end of the drive.
    """

    name: str
    replay: Replay


@dataclass(frozen=True)
class DriveRecord:
    """A race that a person drove.

    Attributes:
        driver: The person's name.
        created: When the race began, ISO 8601 in UTC.
        season: Track, direction, seed, car and rules, as a season of this one run.
        replay: The person's commands, hashes of the states, and the result.
        rivals: The drivers of the other cars in the same world, from the first place of the grid
            on; the person starts behind them.
    """

    driver: str
    created: str
    season: Season
    replay: Replay
    rivals: tuple[RivalRecord, ...] = ()

    @property
    def run(self) -> SeasonRun:
        """The run that was driven."""
        return self.season.runs()[0]

    @property
    def rules(self) -> RaceConfig:
        """The rules of the race."""
        return self.season.race_in(self.run.direction)

    def as_json(self) -> dict[str, Any]:
        """Return who drove what, and the result, as JSON values."""
        return {
            "driver": self.driver,
            "created": self.created,
            "kind": self.rules.kind,
            "car": self.season.car,
            "rivals": [one.name for one in self.rivals],
            **self.replay.score.as_json(),
        }

    @property
    def file_name(self) -> str:
        """Name of its file; two drives of a person begin at different times."""
        stamp = re.sub(r"[^0-9]", "", self.created)[:20]
        words = (stamp, self.driver, Path(self.run.track).stem)
        return "-".join(_slug(word) for word in words) + DRIVE_SUFFIX


def make_drive_season(
    track: str, race: RaceConfig, seed: int = 0, car: str = "deepracer"
) -> Season:
    """Return the season of one run that a drive has.

    Args:
        track: A shipped track's name, a file, or `generated:SEED`.
        race: The rules; a drive starts on the start line, and its direction is forward or reverse.
        seed: Seed of the environment.
        car: Name of the car's preset.

    Raises:
        BoardError: A value is not allowed.
    """
    fields = race.model_dump(exclude={"start", "start_offset", "direction"})
    tree = {
        "name": "drive",
        "race": {**fields, "faults": "reset"},
        "tracks": [track],
        "directions": [race.direction],
        "seeds": [seed],
        "car": car,
        "physics": int(ENV_IDS[race.kind].rpartition("-v")[2]),
    }
    try:
        return Season.model_validate(tree)
    except ValueError as problem:
        raise BoardError(f"no race for a drive: {problem}") from problem


def now_in_utc() -> str:
    """Return the present time, ISO 8601 in UTC with microseconds."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def retired_result(result: LapResult) -> LapResult:
    """Return a result so far as that of a driver who gives up now; an ended race stays."""
    return replace(result, ending=RETIRED_CODE) if result.ending == "running" else result


def record_drive(
    season: Season,
    driver: str,
    created: str,
    result: LapResult,
    rivals: tuple[RivalRecord, ...] = (),
) -> DriveRecord:
    """Return the record of a person's race, or of a race so far as if the person gave up now.

    Args:
        season: The season of one run; see `make_drive_season`.
        driver: The person's name, as a board would show it.
        created: When the race began, ISO 8601 in UTC.
        result: The race.
        rivals: The other cars of the same world.

    Raises:
        BoardError: The name is not allowed on a board.
    """
    driven = retired_result(result)
    replay = record_replay(driven, None, score_of_run(season.runs()[0], driven))
    return DriveRecord(board_name(driver), created, season, replay, rivals)


def record_rival(
    season: Season, name: str, result: LapResult, space: ActionSpace | None
) -> RivalRecord:
    """Return the record of another car of a person's race.

    Args:
        season: The drive's season.
        name: Name of the car's driver.
        result: Its race so far.
        space: Its action space; None for a baseline controller.
    """
    driven = retired_result(result)
    score = score_of_run(season.runs()[0], driven)
    return RivalRecord(name, record_replay(driven, space, score))


def simulate_drive(record: DriveRecord, driver: Any | None = None) -> LapResult:
    """Return the race that the commands of a drive give when they are simulated.

    Args:
        record: The drive.
        driver: Drives the person's car instead: a controller or `evaluation.Driver` that repeats
            the person's commands, such as one that keeps what it observes meanwhile.

    Raises:
        RacerError: The race cannot be simulated here.
    """
    record.season.refuse_other_physics()
    cars: list[Controller] = [ReplayController(one.replay) for one in record.rivals]
    mine = ReplayController(record.replay) if driver is None else driver
    run = record.run
    stepped = SteppedRace(
        [*cars, mine], run.track, record.rules, run.seed, record.season.car, bool(cars)
    )
    try:
        while stepped.race.ending[len(cars)] == Ending.RUNNING:
            stepped.step()
        return stepped.result(len(cars))
    finally:
        stepped.close()


def verify_drive(record: DriveRecord) -> tuple[LapResult, ReplayComparison]:
    """Return the race simulated from a drive, and how it compares with what was recorded.

    Args:
        record: The drive.

    Raises:
        RacerError: The race cannot be simulated here.
    """
    result = simulate_drive(record)
    return result, compare_replay(record.replay, result, score_of_run(record.run, result))


def pack_drive(record: DriveRecord) -> bytes:
    """Return the content of a drive's file.

    It is `DRIVE_MAGIC`, a line of JSON, then the replays of the person and of each rival.
    """
    replays = [pack_replay(record.replay), *(pack_replay(one.replay) for one in record.rivals)]
    head = {
        "driver": record.driver,
        "created": record.created,
        "season": json.loads(record.season.canonical),
        "rivals": [one.name for one in record.rivals],
        "sizes": [len(content) for content in replays],
    }
    return DRIVE_MAGIC + canonical_json(head).encode() + b"\n" + b"".join(replays)


def unpack_drive(content: bytes) -> DriveRecord:
    """Return the drive in a file's content.

    Raises:
        BoardError: The content is not a drive, or is damaged.
    """
    if not content.startswith(DRIVE_MAGIC):
        raise BoardError("this is no drive: the studio's page Drive stores them as NAME.drive")
    line, _, body = content[len(DRIVE_MAGIC) :].partition(b"\n")
    try:
        head = json.loads(line)
        sizes, names = list(map(int, head["sizes"])), list(map(str, head["rivals"]))
        if min(sizes) < 0 or sum(sizes) != len(body) or len(sizes) != len(names) + 1:
            raise ValueError("its parts do not fill the file")
        ends = np.cumsum(sizes)
        mine, *others = (
            unpack_replay(body[end - size : end]) for end, size in zip(ends.tolist(), sizes)
        )
        season = Season.model_validate(head["season"])
        if season.sealed or len(season.runs()) != 1:
            raise ValueError("its race is not a single one")
        return DriveRecord(
            board_name(head["driver"]),
            str(head["created"]),
            season,
            mine,
            tuple(map(RivalRecord, names, others)),
        )
    except (ValueError, KeyError, TypeError) as problem:
        raise BoardError(f"the drive is damaged: {problem}") from problem


def read_drive(path: Path) -> DriveRecord:
    """Return the drive in a file.

    Raises:
        BoardError: There is no such file, or it is not a drive.
    """
    try:
        if path.stat().st_size > MAX_DRIVE_FILE_BYTES:
            raise BoardError(f"{path}: too large for a drive")
        return unpack_drive(path.read_bytes())
    except OSError as problem:
        raise BoardError(f"{path}: {problem.strerror or problem}") from problem
    except BoardError as problem:
        raise BoardError(f"{path}: {problem}") from problem


def save_drive(folder: Path, record: DriveRecord) -> Path:
    """Write a drive's file, over an earlier state of the same drive, and return its path.

    Args:
        folder: The folder of the drives, created if it is missing.
        record: The drive.

    Raises:
        BoardError: The folder cannot be written.
    """
    path = folder / record.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, pack_drive(record))
    except OSError as problem:
        raise BoardError(f"{folder}: the drive cannot be stored: {problem.strerror}") from problem
    return path


def drives_in(folder: Path) -> list[tuple[Path, DriveRecord | RacerError]]:
    """Return the drives in a folder, the latest first, each with its file.

    A file that cannot be read has its error instead.
    """
    found: list[tuple[Path, DriveRecord | RacerError]] = []
    for path in sorted(folder.glob(f"*{DRIVE_SUFFIX}"), reverse=True):
        try:
            stamp = path.stat()
            found.append((path, _kept_drive(path, stamp.st_mtime_ns, stamp.st_size)))
        except RacerError as problem:
            found.append((path, problem))
        except FileNotFoundError:  # It was deleted just now.
            continue
    return found


@lru_cache(maxsize=1024)
def _kept_drive(path: Path, _changed: int, _size: int) -> DriveRecord:
    """Return the drive in a file; the other arguments make the cache read a changed one again."""
    return read_drive(path)


def drives_table(found: Sequence[tuple[Path, DriveRecord | RacerError]]) -> FittedTable:
    """Return a table of what `drives_in` returned."""
    shown = FittedTable(
        TableColumn("driver", "left", least=12),
        TableColumn("track", "left", least=10),
        TableColumn("race", "left", drop=2),
        TableColumn("laps"),
        TableColumn("total"),
        TableColumn("best"),
        TableColumn("put back", drop=3),
        TableColumn("file", "left", drop=1),
        caption="times in seconds",
    )
    for path, one in found:
        if not isinstance(one, DriveRecord):
            shown.add_row("unreadable", *[""] * 6, path.name)
            continue
        score, times = one.replay.score, one.replay.score.lap_times_s
        among = f", {len(one.rivals)} rivals" if one.rivals else ""
        shown.add_row(
            one.driver,
            score.track,
            f"{one.rules.kind}{among}",
            f"{score.laps_completed}/{score.laps}",
            f"{sum(times):.3f}" if times else "-",
            f"{min(times):.3f}" if times else "-",
            str(score.resets or ""),
            path.name,
        )
    return shown


def _slug(word: str) -> str:
    """Return a word as a part of a file's name."""
    kept = re.sub(r"[^\w]+", "_", word).strip("_")
    return kept[:40] or "x"
