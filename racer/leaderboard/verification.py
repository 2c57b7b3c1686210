"""Verification of a submission: each run is simulated from its replay, and driven again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from racer import evaluation
from racer.controllers import CONTROLLERS
from racer.entries.package import Entry, read_entry
from racer.errors import BoardError, EntryError, RacerError
from racer.evaluation import LapResult
from racer.leaderboard.replay import (
    Replay,
    ReplayComparison,
    compare_actions,
    compare_replay,
    score_difference,
    unpack_replay,
)
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import HOUSE_DIGEST, BoardStore, Submission
from racer.leaderboard.submission_evaluation import drive_run, score_of_run
from racer.leaderboard.submissions import PERSON_DIGEST
from racer.track import TrackPosition
from racer.world import CarState


@dataclass(frozen=True)
class RunVerification:
    """The result of verifying one run of a submission.

    Attributes:
        id: The submission's id.
        name: Name of the entry on the board.
        run: Index of the run, from 0.
        simulated: The run simulated from the replay's actions, compared with replay and submission.
        policy: The policy's actions in a new run, compared with the replay's; None if the policy
            was not run, or a person drove.
    """

    id: int
    name: str
    run: int
    simulated: ReplayComparison
    policy: ReplayComparison | None

    @property
    def is_fine(self) -> bool:
        """Whether no comparison found a difference."""
        return self.simulated.is_fine and (self.policy is None or self.policy.is_fine)


class ReplayController:
    """A controller that repeats the actions of a replay."""

    def __init__(self, replay: Replay) -> None:
        self._replay, self._step = replay, 0

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """See `Controller.command`; after the last action it fails as the policy did."""
        step, self._step = self._step, self._step + 1
        if step >= len(self._replay.actions):
            codes = {ending: code for code, ending in evaluation.POLICY_FAILURES.items()}
            ending = self._replay.score.ending
            raise EntryError("the recording ends here", codes.get(ending, "recording"))
        action = self._replay.actions[step]
        space = self._replay.space
        return space.command(action[None])[0] if space else action


def simulate_replay(season: Season, run: SeasonRun, replay: Replay) -> LapResult:
    """Return the race that a replay's actions give when they are simulated.

    Args:
        season: The season.
        run: The run of the season that was recorded.
        replay: The replay.
    """
    race = season.race_in(run.direction)
    return evaluation.evaluate_controller(
        ReplayController(replay), run.track, race, run.seed, season.car
    )


def verify_run(
    season: Season, run: SeasonRun, replay: Replay, kept: RunResult
) -> tuple[LapResult, ReplayComparison]:
    """Return the race simulated from a replay, and how it compares with replay and submission.

    Args:
        season: The season.
        run: The run of the season that was recorded.
        replay: The replay.
        kept: The result of that run in the submission.
    """
    result = simulate_replay(season, run, replay)
    verdict = compare_replay(replay, result, score_of_run(run, result))
    if verdict.is_fine and kept.score != replay.score:
        said = f"the row has {score_difference(kept.score, replay.score)}"
        verdict = ReplayComparison(said, False)
    return result, verdict


def resimulate_run(
    store: BoardStore, row: Submission, number: int, secret: str | None = None
) -> tuple[Season, SeasonRun, LapResult]:
    """Return a submission's season, one of its runs, and the race simulated from its replay.

    Args:
        store: The board.
        row: The submission.
        number: Index of the run, from 0.
        secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.

    Raises:
        BoardError: There is no replay, or the season is sealed and the secret is missing.
    """
    season = store.season(row.season_digest)
    replay = replay_of(store, row, number)
    run = season.runs(secret)[number]
    return season, run, simulate_replay(season, run, replay)


def replay_of(store: BoardStore, row: Submission, number: int) -> Replay:
    """Return the stored replay of one run of a submission.

    Args:
        store: The board.
        row: The submission.
        number: Index of the run, from 0.

    Raises:
        BoardError: The submission has no such run or no replays, or the replay's file is missing
            or was changed.
    """
    if not 0 <= number < len(row.runs):
        raise BoardError(f"submission {row.id} has the runs 0 to {len(row.runs) - 1}, no {number}")
    digest = row.runs[number].replay
    if not digest:
        raise BoardError(f"submission {row.id} was judged by a racer that kept no replays")
    try:
        content = store.replay_path(digest).read_bytes()
    except OSError as problem:
        raise BoardError(f"the replay {digest[:12]}... is missing: {problem.strerror}") from problem
    if hashlib.sha256(content).hexdigest() != digest:
        raise BoardError(f"the replay {digest[:12]}... was changed: its SHA-256 is another")
    return unpack_replay(content)


def verify_submission(
    store: BoardStore, row: Submission, secret: str | None = None, is_policy_run: bool = True
) -> Iterator[RunVerification]:
    """Yield the verification of each run of a submission.

    Args:
        store: The board.
        row: The submission.
        secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.
        is_policy_run: Whether to run the policy again too.
    """
    season = store.season(row.season_digest)
    for number, kept in enumerate(row.runs):
        policy = None
        try:
            runs = season.runs(secret)
            if len(runs) != len(row.runs):
                raise BoardError(f"the row has {len(row.runs)} runs, its season {len(runs)}")
            replay = replay_of(store, row, number)
            _, simulated = verify_run(season, runs[number], replay, kept)
            # A person cannot be asked to drive again; the recorded commands are all there is.
            if is_policy_run and row.entry_sha256 != PERSON_DIGEST:
                policy = _compare_policy(store, row, season, runs[number], replay)
        except RacerError as problem:
            simulated = ReplayComparison(str(problem), False)
        yield RunVerification(row.id, row.name, number, simulated, policy)


def _compare_policy(
    store: BoardStore, row: Submission, season: Season, run: SeasonRun, replay: Replay
) -> ReplayComparison:
    """Run a submission's policy again, and compare its actions with the replay's."""
    again = drive_run(season, run, _racer(store, row)).actions
    return compare_actions(replay, again)


def _racer(store: BoardStore, row: Submission) -> Entry | str:
    """Return a submission's entry from its stored package, or the name of its pilot."""
    if row.entry_sha256 == HOUSE_DIGEST:
        pilot = row.runs[0].pilot or row.name
        if pilot not in CONTROLLERS:
            raise BoardError(f"submission {row.id} is of a pilot that is not known: {pilot!r}")
        return pilot
    entry = read_entry(store.entry_path(row.entry_sha256))
    if entry.sha256 != row.entry_sha256:
        raise BoardError(f"the package {row.entry_sha256[:12]}... was changed: restore a backup")
    return entry
