"""Evaluation of an entry or a pilot on the runs of a season, before it is added to the board."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from racer import evaluation
from racer.entries.package import Entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import BoardError
from racer.evaluation import LapResult
from racer.leaderboard.replay import pack_replay, record_replay
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import BoardStore
from racer.track import load_track


def evaluate_season(
    store: BoardStore, season: Season, racer: Entry | str, secret: str | None
) -> list[RunResult]:
    """Evaluate an entry or a pilot on every run of a season.

    Args:
        store: The board, which keeps the replay of each run.
        season: The season.
        racer: The entry, or the name of a pilot.
        secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.

    Returns:
        The result of each run, in the season's order.

    Raises:
        RacerError: The season cannot be evaluated here, or the entry is for another car.
    """
    refuse_misfit(season, racer)
    runs = []
    for run in season.runs(secret):
        result, content = evaluate_run(season, run, racer)
        runs.append(replace(result, replay=store.keep_replay(content)))
    refuse_other_roads(store, season, runs)
    return runs


def refuse_misfit(season: Season, racer: Entry | str) -> None:
    """Raise BoardError if the season is for other physics than racer's, or for another car."""
    season.refuse_other_physics()
    if not isinstance(racer, str) and racer.manifest.car != season.car:
        raise BoardError(
            f"{racer.manifest.name} drives the car {racer.manifest.car}; season {season.name} is "
            f"for {season.car}: train for that car, or submit to another season"
        )


def evaluate_run(
    season: Season,
    run: SeasonRun,
    racer: Entry | str,
    policy_of: Callable[[Entry], SandboxedPolicy] = SandboxedPolicy,
) -> tuple[RunResult, bytes]:
    """Evaluate an entry or a pilot on one run of a season.

    Args:
        season: The season.
        run: One of its runs.
        racer: The entry, or the name of a pilot.
        policy_of: Opens the sandbox of an entry's policy.

    Returns:
        The result, without `replay`, and the content of the replay's file.

    Raises:
        RacerError: The run cannot be evaluated here.
    """
    result = drive_run(season, run, racer, policy_of)
    score = score_of_run(run, result)
    pilot, space = (racer, None) if isinstance(racer, str) else ("", racer.manifest.actions)
    content = pack_replay(record_replay(result, space, score))
    return replace(score, pilot=pilot, failure=result.failure), content


def drive_run(
    season: Season,
    run: SeasonRun,
    racer: Entry | str,
    policy_of: Callable[[Entry], SandboxedPolicy] = SandboxedPolicy,
) -> LapResult:
    """Return the race of an entry, in its sandbox, or of a pilot on one run of a season.

    Args:
        season: The season.
        run: One of its runs.
        racer: The entry, or the name of a pilot.
        policy_of: Opens the sandbox of an entry's policy.
    """
    rules = season.race_in(run.direction)
    return evaluation.evaluate_entries(
        [racer], run.track, rules, run.seed, season.car, policy_of=policy_of
    )[0]


def score_of_run(run: SeasonRun, result: LapResult) -> RunResult:
    """Return the score of a race on a run; it does not reveal a track or a seed of a secret."""
    figures = {
        "track": run.label,
        "direction": run.direction,
        "seed": run.number,
        "length_m": float(load_track(run.track).length),
        "track_sha256": road_sha256(run.track),
    }
    return RunResult.from_json(result.as_dict() | figures)


def road_sha256(track: str) -> str:
    """Return the SHA-256 of a track's centre line and borders, rounded to a tenth of a millimetre.

    They are rounded because the last digits of a fitted track differ between machines.
    """
    road = load_track(track)
    shape = np.rint(np.vstack([road.centre, road.left, road.right]) * 1e4).astype("<i8")
    return hashlib.sha256(shape.tobytes()).hexdigest()


def refuse_other_roads(store: BoardStore, season: Season, runs: list[RunResult]) -> None:
    """Raise BoardError if a track has changed since the season's first submissions.

    Args:
        store: The board.
        season: The season.
        runs: Results of a new submission.
    """
    before = {run.track: run.track_sha256 for row in store.rows(season) for run in row.runs}
    for run in runs:
        known = before.get(run.track)
        if known and known != run.track_sha256:
            raise BoardError(
                f"the track {run.track} was changed since season {season.name} began; undo "
                "that, or make a new season"
            )
