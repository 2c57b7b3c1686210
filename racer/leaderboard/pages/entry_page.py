"""The page of a submission: its package, its races, its history, and how to verify it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from racer.entries.package import Manifest, TrainedOn
from racer.explain.reaction_table import MAP_TITLES, REACTION_TITLES
from racer.leaderboard.pages.context import RunRecording, SeasonContext
from racer.leaderboard.pages.markup import render_page
from racer.leaderboard.pages.player import player_races
from racer.leaderboard.pages.season_page import entry_badges
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.scoring import RUN_OUTCOMES, season_score
from racer.leaderboard.store import HOUSE_DIGEST
from racer.leaderboard.submissions import (
    PERSON_DIGEST,
    ChainRecord,
    Submission,
    person_of,
    utc_minute,
)

EVENT_WORDS = {"submission": "handed in", "withdrawal": "withdrawn", "dispute": "disputed"}


@dataclass(frozen=True)
class RaceRow:
    """A race in the table of an entry's page.

    Attributes:
        name: Its name; see `SeasonContext.run_names`.
        run: Its result.
        recording: Its replay, and whether it was the same when it was simulated again.
    """

    name: str
    run: RunResult
    recording: RunRecording

    @property
    def x_limit(self) -> float | None:
        """Its time in multiples of the minimum time; None if that is not known."""
        return self.run.x_limit

    @property
    def faults(self) -> int:
        """How many times the car was put back on the track."""
        return self.run.faults

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return RUN_OUTCOMES.get(self.run.ending, self.run.ending).replace("_", " ")

    @property
    def failure(self) -> str:
        """Message of the policy's failure; empty if it did not fail."""
        return self.run.failure

    @property
    def verdict_kind(self) -> str:
        """The kind of the verdict: `good`, `bad`, or empty if nothing was simulated."""
        return {True: "good", False: "bad", None: ""}[self.recording.is_fine]


def entry_page(
    view: SeasonContext, row: Submission, manifest: Manifest | str, history: list[ChainRecord]
) -> bytes:
    """Return the page of a submission.

    Args:
        view: Its season.
        row: The submission.
        manifest: The manifest of its package, or a sentence that says why it is not known.
        history: All records under its name.
    """
    recordings = view.recordings.get(row.id, [])
    leader = [line.id for line in view.standing if line.id != row.id][:1]
    told = {} if isinstance(manifest, str) else _manifest_words(manifest)
    return render_page(
        "entry.html",
        "../",
        ("replay.js",),
        view=view,
        row=row,
        facts=_facts(view, row),
        badges_of=entry_badges,
        better=_better_entry(view, row),
        reasons=([row.withdrawn] if row.withdrawn else []) + list(row.disputes),
        races=player_races(view, [row.id, *leader], row),
        race_rows=_race_rows(view, row, recordings),
        manifest=manifest,
        has_package=row.entry_sha256 not in (HOUSE_DIGEST, PERSON_DIGEST),
        verdict=_verdict(recordings),
        card=view.cards.get(row.id),
        map_titles=MAP_TITLES,
        reaction_titles=REACTION_TITLES,
        history=history,
        history_command=shlex.join(["racer", "board", "history", history[0].name]),
        own_ids={one.id for one in view.rows},
        event_words=EVENT_WORDS,
        utc_minute=utc_minute,
        **told,
    )


def _facts(view: SeasonContext, row: Submission) -> dict[str, str]:
    score = season_score(view.season, row.runs)
    facts = {
        "id": str(row.id),
        "rank": f"{view.ranks[row.id]} of {len(view.standing)}" if row.id in view.ranks else "-",
        "laps": f"{score.laps_completed} of {score.laps}",
    }
    times = {"total": score.total_s, "best lap": min(score.lap_times_s, default=None)}
    if view.season.ranking == "iqm":
        times["mid mean"] = score.iqm_s
    facts |= {what: f"{time:.3f} s" for what, time in times.items() if time is not None}
    if score.x_limit:
        facts["x limit"] = f"{score.x_limit:.2f}"
    return facts


def _better_entry(view: SeasonContext, row: Submission) -> int | None:
    """Return the id of the ranked entry of the same participant, if it is another one."""
    person = person_of(view.season, *row.competitor)
    for line in view.standing:
        if person_of(view.season, *line.competitor) == person and line.id != row.id:
            return line.id
    return None


def _race_rows(
    view: SeasonContext, row: Submission, recordings: list[RunRecording]
) -> list[RaceRow]:
    missing = [RunRecording(None, "not simulated", None)] * (len(row.runs) - len(recordings))
    found = zip(view.run_names(), row.runs, [*recordings, *missing])
    return [RaceRow(name, run, recording) for name, run, recording in found]


def _manifest_words(manifest: Manifest) -> dict[str, str]:
    return {
        "origin": _origin(manifest.trained_on),
        "lineage": "; ".join(one.words for one in manifest.trained_on.lineage),
        "actions": f"{manifest.actions.kind}, {_actions(manifest)}",
    }


def _origin(trained: TrainedOn) -> str:
    """Return where a policy comes from, as far as its manifest says."""
    parts = [
        trained.track or "",
        "" if trained.steps is None else f"{trained.steps:,} steps",
        "" if trained.seed is None else f"seed {trained.seed}",
    ]
    return ", ".join(filter(None, parts))


def _actions(manifest: Manifest) -> str:
    actions = manifest.actions
    if actions.kind == "discrete":
        return f"{len(actions.choices)} choices"
    (right, left), (slow, fast) = actions.steering_deg, actions.speed
    return f"{right:g} to {left:g} deg, {slow:g} to {fast:g} m/s"


def _verdict(recordings: list[RunRecording]) -> str:
    if recordings and all(one.is_fine for one in recordings):
        verdicts = sorted({one.verdict for one in recordings})
        return f"When this page was made, every race was simulated again: {', '.join(verdicts)}."
    return "When this page was made, not every race could be simulated again, or held."
