"""Whom a person can race on the studio's pages, as a ghost or in the same world."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from racer.controllers import CONTROLLERS
from racer.entries.package import Entry, read_entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import RacerError, StudioError
from racer.evaluation import LapResult, evaluate_entries
from racer.evaluation.evaluate import Policy
from racer.leaderboard.drives import (
    DRIVE_SUFFIX,
    DriveRecord,
    drives_in,
    make_drive_season,
    read_drive,
    verify_drive,
)
from racer.leaderboard.season import Season
from racer.leaderboard.store import HOUSE_DIGEST, BoardStore, has_board
from racer.leaderboard.submission_evaluation import road_sha256
from racer.leaderboard.submissions import PERSON_DIGEST
from racer.leaderboard.verification import resimulate_run
from racer.studio.entry_files import entry_file, entry_files
from racer.studio.run_folder import RunFolder
from racer.studio.telemetry import laps_driven
from racer.training.racers import racer_named

MAX_KEPT_GHOSTS = 32
"""Number of the latest ghosts that are kept."""


@dataclass(frozen=True)
class Ghost:
    """A race that was driven alone before, to be seen beside another one.

    Attributes:
        name: Name of its driver.
        time: Race time at the start and after each control step [s], (T + 1,).
        pose: Position [m], quaternion x y z w, and angle of the front wheels [rad], (T + 1, 8).
        distance: Laps and share of the lap driven, growing, (T + 1,).
        lap_times_s: Time of each completed lap [s].
        car: Name of its car's preset.
        result: The race.
    """

    name: str
    time: np.ndarray
    pose: np.ndarray
    distance: np.ndarray
    lap_times_s: list[float]
    car: str
    result: LapResult

    def time_at(self, distance: float) -> float | None:
        """Return the race time at which it had come as far [s]; None if it never did.

        Args:
            distance: Laps and share of the lap.
        """
        if not 0.0 <= distance <= self.distance[-1]:
            return None
        return float(np.interp(distance, self.distance, self.time))


def ghost_of(name: str, result: LapResult, car: str) -> Ghost:
    """Return a race as a ghost.

    Args:
        name: Name of its driver.
        result: The race.
        car: Name of the car's preset.
    """
    body = np.vstack([result.start, result.body])[:, :7]
    return Ghost(
        name,
        np.concatenate([[0.0], result.time]),
        np.column_stack([body, np.concatenate([[0.0], result.steering])]),
        np.concatenate([[0.0], laps_driven(result)]),
        list(result.lap_times_s),
        car,
        result,
    )


class Opponents:
    """The entries, controllers and drives that a person can race.

    An opponent is named by a word: a controller's name, `run:NAME` for a run of the studio's folder
    (its best checkpoint), `entry:FILE` for an entry in it, `board:ID` for a submission's entry, or
    `drive:FILE`.

    Args:
        runs: The runs.
        drives: The folder of the drives.
        policy_of: Opens an entry's policy; see `evaluate_entries`.
    """

    def __init__(
        self,
        runs: RunFolder,
        drives: Path,
        policy_of: Callable[[Entry], AbstractContextManager[Policy]] = SandboxedPolicy,
    ) -> None:
        self._runs, self._drives, self._policy_of = runs, drives, policy_of
        self._ghosts: OrderedDict[tuple[Any, ...], Ghost] = OrderedDict()
        self._lock = threading.Lock()

    def rivals(self) -> dict[str, str]:
        """Return what can race in the same world: labels for people, by the opponents' words."""
        found = {name: name for name in CONTROLLERS}
        for one in self._runs.runs():
            if one.summary.get("steps"):
                found[f"run:{one.name}"] = f"{one.name} (run)"
        found |= {f"entry:{name}": f"{name} (file)" for name in entry_files(self._runs.path)}
        for row in self._board_rows():
            if row.entry_sha256 not in (HOUSE_DIGEST, PERSON_DIGEST):
                found[f"board:{row.id}"] = f"{row.name} (board, id {row.id})"
        return found

    def ghosts(self, season: Season) -> dict[str, str]:
        """Return what can be a ghost in a race: labels by words, the best drives of it first.

        Args:
            season: The season of one run that is driven.
        """
        drives = [
            (path.name, one)
            for path, one in drives_in(self._drives)
            if isinstance(one, DriveRecord) and one.season == season and not one.rivals
        ]
        drives.sort(key=lambda named: _merit(named[1]))
        own = {f"drive:{name}": f"{one.driver}, {describe_laps(one)}" for name, one in drives}
        return own | self.rivals()

    def racer(self, word: str) -> Entry | str:
        """Return an opponent's entry, or a controller's name.

        Raises:
            RacerError: There is no such opponent, or it cannot be used.
        """
        kind, colon, name = word.partition(":")
        if word in CONTROLLERS:
            return word
        if kind == "run" and colon:
            return racer_named(str(self._runs.open(name).folder))
        if kind == "entry" and colon:
            return read_entry(entry_file(self._runs.path, name))
        if kind == "board" and name.isdigit():
            store = BoardStore()
            return read_entry(store.entry_path(store.row(int(name)).entry_sha256))
        raise StudioError(f"no opponent {word!r:.100}; choose one from the list")

    def ghost(self, word: str, season: Season) -> Ghost:
        """Return an opponent's race alone, which is driven now unless it was before.

        Args:
            word: The opponent.
            season: The season of one run that is driven.

        Raises:
            RacerError: There is no such opponent, or it cannot drive that race.
        """
        run = season.runs()[0]
        racer = None if word.startswith("drive:") else self.racer(word)
        what = racer.sha256 if isinstance(racer, Entry) else word
        key = what, season.digest, road_sha256(run.track)
        with self._lock:
            if key in self._ghosts:
                self._ghosts.move_to_end(key)
                return self._ghosts[key]
        if racer is None:
            ghost = self._ghost_of_drive(word.partition(":")[2], season)
        else:
            rules, car = season.race_in(run.direction), season.car
            result = evaluate_entries(
                [racer], run.track, rules, run.seed, car, policy_of=self._policy_of
            )[0]
            name, car = (racer, car) if isinstance(racer, str) else _named(racer)
            ghost = ghost_of(name, result, car)
        with self._lock:
            self._ghosts[key] = ghost
            while len(self._ghosts) > MAX_KEPT_GHOSTS:
                self._ghosts.popitem(last=False)
        return ghost

    def recorded(self) -> dict[str, str]:
        """Return the recorded races: labels by words, `drive:FILE` or `replay:ID:RUN`."""
        found = {
            f"drive:{path.name}": f"{one.driver} on {one.replay.score.track}, {describe_laps(one)}"
            for path, one in drives_in(self._drives)
            if isinstance(one, DriveRecord)
        }
        for row in self._board_rows():
            for number, run in enumerate(row.runs):
                if run.replay:
                    where = f"{run.track} {run.direction}, seed {run.seed}"
                    label = f"{row.name} in season {row.season} on {where} (id {row.id})"
                    found[f"replay:{row.id}:{number}"] = label
        return found

    def race_of(self, word: str) -> tuple[Season, Ghost]:
        """Return a recorded race and its season of one run; it is simulated again.

        Args:
            word: One of `recorded`.

        Raises:
            RacerError: There is no such race, or it cannot be simulated here.
        """
        kind, _, name = word.partition(":")
        if kind == "drive" and Path(name).name == name and name.endswith(DRIVE_SUFFIX):
            record = read_drive(self._drives / name)
            return record.season, ghost_of(
                record.driver, verify_drive(record)[0], record.season.car
            )
        if kind == "replay" and re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}", name):
            id, number = map(int, name.split(":"))
            store = BoardStore()
            row = store.row(id)
            secret = store.revealed(row.season_digest)
            season, run, result = resimulate_run(store, row, number, secret)
            alone = make_drive_season(
                run.track, season.race_in(run.direction), run.seed, season.car
            )
            return alone, ghost_of(row.name, result, season.car)
        raise StudioError(f"no race {word!r:.100}; choose one from the list")

    def _ghost_of_drive(self, file: str, season: Season) -> Ghost:
        if Path(file).name != file or not file.endswith(DRIVE_SUFFIX):
            raise StudioError(f"no drive {file!r:.100}; choose one from the list")
        record = read_drive(self._drives / file)
        if record.season != season or record.rivals:
            raise StudioError(f"{file} is of another race: its ghost cannot be seen in this one")
        result, verdict = verify_drive(record)
        if not verdict.is_fine:
            raise StudioError(f"{file} cannot be simulated again here: {verdict.text}")
        return ghost_of(record.driver, result, season.car)

    def _board_rows(self) -> list[Any]:
        """Return the submissions that were not withdrawn, if there is a board at all."""
        if not has_board():
            return []
        try:
            return [row for row in BoardStore().every_row() if row.withdrawn is None]
        except RacerError:
            return []


def describe_laps(record: DriveRecord) -> str:
    """Return a drive's laps and times in a few words: `3 laps in 14.20 s, best 4.51 s`."""
    score = record.replay.score
    laps, times = score.laps_completed, score.lap_times_s
    if not times:
        return "no lap"
    plural = "lap" if laps == 1 else "laps"
    return f"{laps} {plural} in {sum(times):.2f} s, best {min(times):.2f} s"


def _merit(record: DriveRecord) -> tuple[int, float]:
    score = record.replay.score
    return -score.laps_completed, sum(score.lap_times_s)


def _named(entry: Entry) -> tuple[str, str]:
    return entry.manifest.name, entry.manifest.car
