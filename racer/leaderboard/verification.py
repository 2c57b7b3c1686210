"""An entry on trial: judged on each run of a season, and each run done again from its replay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from racer import evaluation
from racer.controllers import CONTROLLERS
from racer.entries.package import Entry, read_entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import BoardError, EntryError, RacerError
from racer.evaluation import LapResult
from racer.leaderboard.replay import (
    Replay,
    ReplayComparison,
    compare_replay,
    pack_replay,
    record_replay,
    score_difference,
    unpack_replay,
)
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import HOUSE_DIGEST, BoardStore, Submission
from racer.track import TrackPosition, load_track
from racer.world import CarState


@dataclass(frozen=True)
class RunVerification:
    """What the check of one run of a row came to.

    Attributes:
        id: The row's number.
        name: What the board calls the entry.
        run: Which run, from 0.
        simulated: The race simulated again from the kept actions, against replay and row.
        policy: The policy run again, against the kept actions; None where that was not asked for.
    """

    id: int
    name: str
    run: int
    simulated: ReplayComparison
    policy: ReplayComparison | None

    @property
    def is_fine(self) -> bool:
        """Whether the run holds in every way that was checked."""
        return self.simulated.is_fine and (self.policy is None or self.policy.is_fine)


class ReplayController:
    """A pilot that does again what a replay holds."""

    def __init__(self, replay: Replay) -> None:
        self._replay, self._step = replay, 0

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """See `Controller.command`; fail as the policy did where the recording ends."""
        step, self._step = self._step, self._step + 1
        if step >= len(self._replay.actions):
            codes = {ending: code for code, ending in evaluation.POLICY_FAILURES.items()}
            ending = self._replay.score.ending
            raise EntryError("the recording ends here", codes.get(ending, "recording"))
        action = self._replay.actions[step]
        space = self._replay.space
        return space.command(action[None])[0] if space else action


def evaluate_season(
    store: BoardStore, season: Season, racer: Entry | str, secret: str | None
) -> list[RunResult]:
    """Judge an entry, or a pilot by its name, on every run of a season.

    Args:
        store: Where each run's replay is kept.
        season: The season.
        racer: The entry or pilot.
        secret: Wanted where the season is sealed.

    Returns:
        The result of each run, in the season's order.

    Raises:
        RacerError: The season cannot be judged here, or the entry does not fit it.
    """
    refuse_misfit(season, racer)
    runs = []
    for run in season.runs(secret):
        result, content = evaluate_run(season, run, racer)
        runs.append(replace(result, replay=store.keep_replay(content)))
    refuse_other_roads(store, season, runs)
    return runs


def refuse_misfit(season: Season, racer: Entry | str) -> None:
    """Nothing, where this racer can judge the season, and the entry is for the season's car.

    Raises:
        BoardError: The season is for other physics, or for another car.
    """
    season.refuse_other_physics()
    if not isinstance(racer, str) and racer.manifest.car != season.car:
        raise BoardError(
            f"{racer.manifest.name} drives the car {racer.manifest.car}; season {season.name} is "
            f"for {season.car}: train for that car, or submit to another season"
        )


def evaluate_run(season: Season, run: SeasonRun, racer: Entry | str) -> tuple[RunResult, bytes]:
    """Judge an entry, or a pilot by its name, on one run.

    Returns:
        Its result, without `replay`, and the content of the replay's file.

    Raises:
        RacerError: The run cannot be judged here.
    """
    result = _judge(season, run, racer)
    score = _score_of(run, result)
    pilot, space = (racer, None) if isinstance(racer, str) else ("", racer.manifest.actions)
    content = pack_replay(record_replay(result, space, score))
    return replace(score, pilot=pilot, failure=result.failure), content


def simulate_replay(season: Season, run: SeasonRun, replay: Replay) -> LapResult:
    """The race that a replay's actions make, in a world of its own."""
    race = season.race_in(run.direction)
    return evaluation.evaluate_controller(
        ReplayController(replay), run.track, race, run.seed, season.car
    )


def verify_run(
    season: Season, run: SeasonRun, replay: Replay, kept: RunResult
) -> tuple[LapResult, ReplayComparison]:
    """A race simulated again from its replay, held against the replay and the row.

    Args:
        season: The season.
        run: Which of its runs.
        replay: What was kept of the race.
        kept: The result of that run in the submission.
    """
    result = simulate_replay(season, run, replay)
    verdict = compare_replay(replay, result, _score_of(run, result))
    if verdict.is_fine and kept.score != replay.score:
        said = f"the row has {score_difference(kept.score, replay.score)}"
        verdict = ReplayComparison(said, False)
    return result, verdict


def resimulate_run(
    store: BoardStore, row: Submission, number: int, secret: str | None = None
) -> tuple[Season, SeasonRun, LapResult]:
    """A season, one run of it, and a row's race on that run simulated again from its replay.

    Raises:
        BoardError: There is no replay, or the season is sealed and the secret is not here.
    """
    season = store.season(row.season_digest)
    replay = replay_of(store, row, number)
    run = season.runs(secret)[number]
    return season, run, simulate_replay(season, run, replay)


def replay_of(store: BoardStore, row: Submission, number: int) -> Replay:
    """The kept replay of one run of a row.

    Raises:
        BoardError: There is none, or its bytes are not those that the row speaks of.
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
    """Check each run of a row: simulated from its actions, and by its policy.

    Args:
        store: The board.
        row: The row.
        secret: Wanted where its season is sealed.
        is_policy_run: Whether the policy is run again too.
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
            if is_policy_run:
                policy = _driven(store, row, season, runs[number], replay)
        except RacerError as problem:
            simulated = ReplayComparison(str(problem), False)
        yield RunVerification(row.id, row.name, number, simulated, policy)


def _driven(
    store: BoardStore, row: Submission, season: Season, run: SeasonRun, replay: Replay
) -> ReplayComparison:
    """Whether the policy does again what the replay holds."""
    again = _judge(season, run, _racer(store, row)).actions
    pairs = zip(again, replay.actions)
    kept = min(len(again), len(replay.actions))
    step = next((k for k, (one, two) in enumerate(pairs) if np.any(one != two)), kept)
    if step < max(len(again), len(replay.actions)):
        return ReplayComparison(f"the policy acts otherwise at step {step + 1}", False)
    return ReplayComparison("same actions", True)


def _racer(store: BoardStore, row: Submission) -> Entry | str:
    """The entry that a row is about, from its kept package, or the pilot's name."""
    if row.entry_sha256 == HOUSE_DIGEST:
        pilot = row.runs[0].pilot or row.name
        if pilot not in CONTROLLERS:
            raise BoardError(f"submission {row.id} is of a pilot that is not known: {pilot!r}")
        return pilot
    entry = read_entry(store.entry_path(row.entry_sha256))
    if entry.sha256 != row.entry_sha256:
        raise BoardError(f"the package {row.entry_sha256[:12]}... was changed: restore a backup")
    return entry


def _judge(season: Season, run: SeasonRun, racer: Entry | str) -> LapResult:
    rules = season.race_in(run.direction)
    return evaluation.evaluate_entries(
        [racer], run.track, rules, run.seed, season.car, policy_of=SandboxedPolicy
    )[0]


def _score_of(run: SeasonRun, result: LapResult) -> RunResult:
    """Return the result of a run without notes; of a sealed track and seed only the number."""
    figures = {
        "track": run.label,
        "direction": run.direction,
        "seed": run.number,
        "length_m": float(load_track(run.track).length),
        "track_sha256": road_sha256(run.track),
    }
    return RunResult.from_json(result.as_dict() | figures)


def road_sha256(track: str) -> str:
    """SHA-256 of a track's rings, to a tenth of a millimetre.

    The fit's last digits differ between machines.
    """
    road = load_track(track)
    shape = np.rint(np.vstack([road.centre, road.left, road.right]) * 1e4).astype("<i8")
    return hashlib.sha256(shape.tobytes()).hexdigest()


def refuse_other_roads(store: BoardStore, season: Season, runs: list[RunResult]) -> None:
    """Nothing, where the tracks of new runs are those on which the season's rows were driven.

    Raises:
        BoardError: The file of a track was changed since.
    """
    before = {run.track: run.track_sha256 for row in store.rows(season) for run in row.runs}
    for run in runs:
        known = before.get(run.track)
        if known and known != run.track_sha256:
            raise BoardError(
                f"the track {run.track} was changed since season {season.name} began; undo "
                "that, or make a new season"
            )
