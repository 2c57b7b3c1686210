"""The page of a season: its ranking with intervals, withdrawn entries, and the races."""

from __future__ import annotations

from dataclasses import dataclass

from racer.leaderboard.pages.context import SeasonContext
from racer.leaderboard.pages.markup import render_page
from racer.leaderboard.pages.player import player_races
from racer.leaderboard.ranking import RankedSubmission, ranked_phase
from racer.leaderboard.season import Season
from racer.leaderboard.store import HOUSE_DIGEST
from racer.leaderboard.submissions import PERSON_DIGEST, Submission, utc_minute

PAGE_TIME_COLUMNS = {
    "total": {"total": "total_time_s", "best lap": "best_lap_s"},
    "best": {"best laps": "best_laps_s", "total": "total_time_s"},
    "average": {"average lap": "average_lap_s", "best lap": "best_lap_s"},
    "iqm": {"mid mean": "iqm_s", "best lap": "best_lap_s"},
}
"""Times in a season's table by kind of ranking; the first of them is the one that ranks."""
RANKING_MEANING = {
    "total": "more laps first, then the time of all of them",
    "best": "the sum of each track's best lap",
    "average": "more laps first, then the mean lap",
    "iqm": "more laps first, then the interquartile mean of the runs; who cannot be told apart "
    "at 95 % shares a rank",
}
CARS_SHOWN_AT_FIRST = 3
INTERVAL_LEFT_PX, INTERVAL_WIDTH_PX = 4.0, 92.0
"""Left end and length of the axis in the picture of an interval [px]."""


@dataclass(frozen=True)
class Badge:
    """A small flag beside an entry's name.

    Attributes:
        text: Its text.
        kind: `good`, `bad`, or empty for neither.
        reason: Shown when the pointer is over it.
    """

    text: str
    kind: str = ""
    reason: str = ""


@dataclass(frozen=True)
class IntervalSpan:
    """An interval in the picture of `season.html` [px]: its ends, and its mean."""

    low: float
    middle: float
    high: float


def season_page(view: SeasonContext) -> bytes:
    """Return the page of a season."""
    ranked = PAGE_TIME_COLUMNS[view.season.ranking]
    has_intervals = any(_is_spread(line) for line in view.standing)
    spread = ["95 % interval"] if has_intervals else []
    first = [line.id for line in view.standing[:CARS_SHOWN_AT_FIRST]]
    return render_page(
        "season.html",
        "../",
        ("replay.js", "desk.js") if view.is_served else ("replay.js",),
        view=view,
        season=view.season,
        facts=_facts(view),
        titles=["rank", "entry", "laps", *ranked, *spread, "x limit", "faults", "id", "date (UTC)"],
        time_columns=ranked,
        first_time=next(iter(ranked.values())),
        has_intervals=has_intervals,
        interval_of=lambda line: _interval_span(view, line),
        badges_of=entry_badges,
        utc_minute=utc_minute,
        meaning=RANKING_MEANING[view.season.ranking],
        races=player_races(view, first),
        withdrawn=[row for row in view.rows if row.withdrawn is not None],
        **_rules(view),
    )


def entry_badges(row: Submission | RankedSubmission) -> list[Badge]:
    """Return the badges of a submission: withdrawn, disputed, its key, and its sandbox."""
    found = []
    if isinstance(row, Submission) and row.withdrawn is not None:
        found.append(Badge("withdrawn", "bad", row.withdrawn))
    if row.disputes:
        found.append(Badge("disputed", "bad", "; ".join(row.disputes)))
    if row.signer:
        found.append(Badge(f"key {row.signer[:8]}", "good", f"signed by the key {row.signer}"))
    if row.entry_sha256 == HOUSE_DIGEST:
        found.append(Badge("controller", "", "a part of racer"))
    elif row.entry_sha256 == PERSON_DIGEST:
        found.append(Badge("person", "good", "driven by hand in the studio"))
    elif row.box == "none":
        found.append(Badge("no box", "bad", "the policy ran in the judge's own process"))
    else:
        found.append(Badge(f"box: {row.box}", "", f"the policy was held by: {row.box}"))
    return found


def _facts(view: SeasonContext) -> dict[str, str]:
    season, names = view.season, view.run_names()
    facts = {"in the standing": str(len(view.standing)), "kind": view.kind}
    if season.event and season.event.final_from:
        facts["phase"] = ranked_phase(view.rows, season)
    if names:
        facts["races per entry"] = str(len(names))
    facts["laps per race"] = str(season.race.laps)
    facts["car"] = season.car
    if view.leaders:
        facts["leads"] = view.leaders
    return facts


def _is_spread(line: RankedSubmission) -> bool:
    low, high = line.interval_s
    return low < high


def _interval_span(view: SeasonContext, line: RankedSubmission) -> IntervalSpan | None:
    """Return the 95 % interval of a line's interquartile mean; None if both ends are equal."""
    if not _is_spread(line):
        return None
    times = [time for one in view.standing for time in (*one.interval_s, one.iqm_s)]
    first, last = min(times), max(max(times), min(times) + 1e-6)
    low, high = line.interval_s
    return IntervalSpan(
        *(
            INTERVAL_LEFT_PX + INTERVAL_WIDTH_PX * (time - first) / (last - first)
            for time in (low, line.iqm_s, high)
        )
    )


def _rules(view: SeasonContext) -> dict[str, str]:
    season, race = view.season, view.season.race
    tracks = ", ".join(season.tracks)
    if season.sealed:
        drawn = f"{season.sealed.tracks} tracks and {season.sealed.seeds} seeds by a secret"
        tracks = f"{tracks}; {drawn}" if tracks else drawn
    fault = "puts the car back" if race.faults == "reset" else "ends the race"
    return {
        "tracks": tracks,
        "fault": f"{fault}; {race.off_track_penalty:g} s off the road, "
        f"{race.collision_penalty:g} s for a crash",
        "time_limit": f"{race.time_limit:g} s a race, penalties included",
        "event": _event(season),
    }


def _event(season: Season) -> str:
    """Return when a season takes entries and how many, in a line; empty if it has no event."""
    if (event := season.event) is None:
        return ""
    times = {"from": event.opens, "final from": event.final_from, "until": event.closes}
    told = [f"{what} {utc_minute(time)} UTC" for what, time in times.items() if time]
    if event.entries_per_person:
        each = " in each phase" if event.final_from else ""
        told.append(f"up to {event.entries_per_person} of a person{each}")
    return ", ".join(told)
