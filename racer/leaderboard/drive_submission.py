"""Submission of a person's drives to a season: they are simulated again, and stand as a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from racer.errors import BoardError
from racer.leaderboard.drives import DriveRecord, verify_drive
from racer.leaderboard.replay import pack_replay, record_replay
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import (
    refuse_other_roads,
    road_sha256,
    score_of_run,
)
from racer.leaderboard.submissions import PERSON_DIGEST, Submission, board_name


def submit_drives(
    store: BoardStore,
    season: Season,
    drives: Sequence[DriveRecord],
    name: str | None = None,
    secret: str | None = None,
) -> Submission:
    """Simulate a person's drives again, add them to a season as a row, and return it.

    Args:
        store: The board.
        season: The season.
        drives: A drive of each of the season's runs, in any order.
        name: What the board calls the person; the drives' own name by default.
        secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.

    Raises:
        BoardError: The drives are not those of the season's runs or of one person, or do not give
            the recorded races here.
    """
    season.refuse_other_physics()
    names = sorted({one.driver for one in drives})
    if len(names) > 1 and name is None:
        raise BoardError(f"the drives are of {' and '.join(names)}; a row is of one person")
    called = board_name(name or names[0])
    handed_in = store.admit(season, called)
    chosen = drives_of_runs(season, drives, secret)
    results = []
    for run, drive in zip(season.runs(secret), chosen):
        results.append(_judge(store, run, drive))
    refuse_other_roads(store, season, results)
    return store.add(season, called, None, results, digest=PERSON_DIGEST, handed_in=handed_in)


def drives_of_runs(
    season: Season, drives: Sequence[DriveRecord], secret: str | None = None
) -> list[DriveRecord]:
    """Return the best drive of each of a season's runs, in the season's order.

    Args:
        season: The season.
        drives: The drives to choose from.
        secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.

    Raises:
        BoardError: A run has no drive; the message says which.
    """
    chosen, missing = [], []
    for run in season.runs(secret):
        fitting = [one for one in drives if is_of_run(one, season, run)]
        if fitting:
            chosen.append(min(fitting, key=drive_merit))
        else:
            missing.append(f"{run.label} {run.direction} with seed {run.number}")
    if missing:
        race = season.race
        told = f"{race.kind}, {race.laps} laps, car {season.car}"
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BoardError(
            f"season {season.name} ({told}) wants a drive alone on {', '.join(missing[:3])}{more}; "
            "choose the season on the studio's page Drive, which sets its rules"
        )
    return chosen


def is_of_run(drive: DriveRecord, season: Season, run: SeasonRun) -> bool:
    """Return whether a drive is the race of one of a season's runs.

    Args:
        drive: The drive.
        season: The season.
        run: The run.
    """
    mine = drive.run
    return (
        not drive.rivals
        and (mine.direction, mine.seed) == (run.direction, run.seed)
        and drive.rules == season.race_in(run.direction)
        and (drive.season.car, drive.season.physics) == (season.car, season.physics)
        and (mine.track == run.track or road_sha256(mine.track) == road_sha256(run.track))
    )


def drive_merit(drive: DriveRecord) -> tuple[int, float]:
    """Return what drives of one race are sorted by: more laps first, then less time."""
    score = drive.replay.score
    return -score.laps_completed, sum(score.lap_times_s)


def _judge(store: BoardStore, run: SeasonRun, drive: DriveRecord) -> RunResult:
    """Return the result of a drive that is simulated again here, and keep its replay."""
    result, verdict = verify_drive(drive)
    if not verdict.is_fine:
        raise BoardError(
            f"the drive of {drive.driver} on {run.label} is not confirmed: {verdict.text}"
        )
    score = score_of_run(run, result)
    content = pack_replay(record_replay(result, None, score))
    return replace(score, replay=store.keep_replay(content))
