"""The ranking of a season's submissions, and its table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from racer.leaderboard.run_result import RunResult
from racer.leaderboard.scoring import SeasonScore, paired_interval, season_score, strata_of
from racer.leaderboard.season import Season
from racer.leaderboard.season_event import PhaseName
from racer.leaderboard.submissions import Submission, person_of, utc_minute
from racer.tables import FittedTable, TableColumn


@dataclass(frozen=True)
class RankedSubmission:
    """One line of a season's ranking: a submission, its score and its rank.

    Attributes:
        rank: Rank, from 1; None for an entry that stands behind a better one of its participant.
        id: The submission's id.
        name: Name of the entry on the board.
        others: Number of other entries of the same name and key.
        season: The season's name.
        season_digest: The season's digest.
        ranking: What the season ranks: `total`, `best`, `average` or `iqm`.
        entry_sha256: SHA-256 of the entry's package; `HOUSE_DIGEST` for a pilot.
        laps_completed: Completed laps of all runs.
        laps: Laps to complete in all runs.
        completion: `laps_completed` over `laps`, 0-1.
        lap_times_s: Time of each completed lap [s], run after run.
        off_tracks: Number of times the car left the road, in all runs.
        collisions: Number of crashes in all runs.
        total_time_s: Time of all laps [s]; None if a lap is missing.
        best_lap_s: Time of the fastest completed lap [s]; None if there is none.
        best_laps_s: Sum of the fastest lap on each track in each direction [s]; None if one of
            them has no lap.
        average_lap_s: Mean of the completed laps [s]; None if there is none.
        iqm_s: Interquartile mean of the runs [s].
        interval_s: Lower and upper end of its 95 % interval [s].
        limit_s: Minimum time of all runs [s]; None if unknown.
        x_limit: Mean over the runs of their time in multiples of the minimum; None if unknown.
        outcomes: Number of runs by how they ended.
        track: Names of the tracks, each once, with commas between them.
        runs: The result of each run, in the season's order.
        created: When the submission was added, ISO 8601 in UTC.
        handed_in: When it was handed in, as `Submission.submitted`.
        phase: The season's phase in which it was handed in: `final`, or `practice`.
        racer_version: Version of racer that evaluated it.
        box: The sandbox that held the policy during the evaluation; `none` if none did.
        signer: Key that signed the entry; empty if it is not signed.
        disputes: The reasons for which the submission is disputed.
        hash: Hash of the submission's record.
    """

    rank: int | None
    id: int
    name: str
    others: int
    season: str
    season_digest: str
    ranking: str
    entry_sha256: str
    laps_completed: int
    laps: int
    completion: float
    lap_times_s: list[float]
    off_tracks: int
    collisions: int
    total_time_s: float | None
    best_lap_s: float | None
    best_laps_s: float | None
    average_lap_s: float | None
    iqm_s: float
    interval_s: tuple[float, float]
    limit_s: float | None
    x_limit: float | None
    outcomes: dict[str, int]
    track: str
    runs: list[RunResult]
    created: str
    handed_in: str
    phase: PhaseName
    racer_version: str
    box: str
    signer: str
    disputes: tuple[str, ...]
    hash: str

    @property
    def competitor(self) -> tuple[str, str]:
        """Name of the entry and key that signed it, as `Submission.competitor`."""
        return self.name, self.signer

    def as_json(self) -> dict[str, Any]:
        """Return the line as docs/leaderboard.md lists its keys, as JSON values."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return values | {
            "interval_s": list(self.interval_s),
            "runs": [run.as_json() for run in self.runs],
            "disputes": list(self.disputes),
        }


class _Scored(NamedTuple):
    row: Submission
    score: SeasonScore
    merit: tuple[float, float]


def phase_of(season: Season, row: Submission) -> PhaseName:
    """Return the phase of a season in which a submission was handed in."""
    return season.phase_at(row.submitted) or "final"


def ranked_phase(rows: Iterable[Submission], season: Season) -> PhaseName:
    """Return the phase that a season's ranking shows: the final, as soon as it has a submission.

    Args:
        rows: Submissions of the season.
        season: The season.
    """
    has_practice = season.event is not None and season.event.final_from is not None
    if has_practice and not any(phase_of(season, row) == "final" for row in rows):
        return "practice"
    return "final"


def rank(
    rows: Sequence[Submission], season: Season, phase: PhaseName | None = None
) -> list[RankedSubmission]:
    """Return a season's ranking, the best first.

    A participant is a name together with the key that signed the entry; the same name with another
    key, or with none, is another participant. In a season with an `event`, a key is one participant
    whatever its names; see `person_of`. Each participant is ranked once, with the best
    entry. Of entries with equal scores, the earlier one counts; an entry that was submitted again
    keeps its first id unless its new score is better. Withdrawn submissions are left out.

    Equal scores share a rank, and the next rank is left out: 1, 1, 3. If the season ranks by the
    interquartile mean, a rank is also shared by entries which completed as many laps as the best
    entry of the group and whose paired difference from it has a 95 % interval that contains 0. Of
    the entries that share a rank, the earlier one comes first.

    Args:
        rows: Submissions of the season.
        season: The season.
        phase: Only submissions of this phase are ranked; `ranked_phase` by default.

    Returns:
        One line for each participant.
    """
    return [line for line in rank_with_others(rows, season, phase) if line.rank is not None]


def rank_with_others(
    rows: Sequence[Submission], season: Season, phase: PhaseName | None = None
) -> list[RankedSubmission]:
    """Return the ranking of `rank`, with the participant's other entries after each line.

    The other entries have the rank None. The best of them comes first, and each is there once.

    Args:
        rows: Submissions of the season.
        season: The season.
        phase: Only submissions of this phase are ranked; `ranked_phase` by default.
    """
    phase = phase or ranked_phase(rows, season)
    named = _by_name([row for row in rows if phase_of(season, row) == phase], season)
    order = sorted((some[0] for some in named.values()), key=_precedence)
    lines: list[RankedSubmission] = []
    place = 1
    while order:
        group = [one for one in order if _is_level(season, one, order[0])]
        level = {one.row.id for one in group}
        order = [one for one in order if one.row.id not in level]
        for one in sorted(group, key=lambda one: one.row.id):
            others = named[_person(season, one)][1:]
            lines.append(_line(place, season, one, len(others)))
            lines += [_line(None, season, other, 0) for other in others]
        place += len(group)
    return lines


def _by_name(rows: Iterable[Submission], season: Season) -> dict[tuple[str, str], list[_Scored]]:
    """Return each participant's entries, the best first.

    An entry that was submitted several times is there with the earliest of its best submissions.
    """
    best: dict[tuple[str, str, str, str], _Scored] = {}
    for row in sorted(rows, key=lambda row: row.id):
        if row.withdrawn is not None:
            continue
        scored = season_score(season, row.runs)
        one = _Scored(row, scored, _merit(season, scored))
        same = (*person_of(season, *row.competitor), *row.entry)
        if same not in best or one.merit < best[same].merit:
            best[same] = one
    named: dict[tuple[str, str], list[_Scored]] = {}
    for one in sorted(best.values(), key=_precedence):
        named.setdefault(_person(season, one), []).append(one)
    return named


def _person(season: Season, one: _Scored) -> tuple[str, str]:
    return person_of(season, *one.row.competitor)


def _precedence(one: _Scored) -> tuple[tuple[float, float], int]:
    return one.merit, one.row.id


def _merit(season: Season, score: SeasonScore) -> tuple[float, float]:
    """Return what is compared first and second; less is better."""
    if season.ranking == "best":
        return 0.0, math.inf if score.best_s is None else score.best_s
    value = {"total": score.total_s, "average": score.average_s, "iqm": score.iqm_s}
    time = value[season.ranking]
    return -score.laps_completed, math.inf if time is None else time


def _is_level(season: Season, one: _Scored, best: _Scored) -> bool:
    """Return whether an entry shares the rank of the best entry of its group."""
    if one.merit == best.merit:
        return True
    if season.ranking != "iqm" or one.merit[0] != best.merit[0]:
        return False
    strata = strata_of(best.row.runs)
    if strata != strata_of(one.row.runs):
        return False
    low, high = paired_interval(one.score.values, best.score.values, strata)
    return low <= 0.0 <= high


def unranked_line(row: Submission, season: Season) -> RankedSubmission:
    """Return the line of a submission alone, without a rank."""
    scored = season_score(season, row.runs)
    return _line(None, season, _Scored(row, scored, _merit(season, scored)), 0)


def _line(rank: int | None, season: Season, one: _Scored, others: int) -> RankedSubmission:
    row, score = one.row, one.score
    return RankedSubmission(
        rank=rank,
        id=row.id,
        name=row.name,
        others=others,
        season=row.season,
        season_digest=row.season_digest,
        ranking=season.ranking,
        entry_sha256=row.entry_sha256,
        laps_completed=score.laps_completed,
        laps=score.laps,
        completion=score.completion,
        lap_times_s=score.lap_times_s,
        off_tracks=sum(run.off_tracks for run in row.runs),
        collisions=sum(run.collisions for run in row.runs),
        total_time_s=score.total_s,
        best_lap_s=min(score.lap_times_s, default=None),
        best_laps_s=score.best_s,
        average_lap_s=score.average_s,
        iqm_s=score.iqm_s,
        interval_s=score.interval_s,
        limit_s=score.limit_s,
        x_limit=score.x_limit,
        outcomes=score.outcomes,
        track=", ".join(dict.fromkeys(run.track for run in row.runs)),
        runs=row.runs,
        created=row.created,
        handed_in=row.submitted,
        phase=phase_of(season, row),
        racer_version=row.racer_version,
        box=row.box,
        signer=row.signer,
        disputes=row.disputes,
        hash=row.hash,
    )


def submission_line(season: Season, row: Submission) -> str:
    """Return one line about a submission: laps, times, and how its runs ended."""
    one = season_score(season, row.runs)
    shown = ("total", one.total_s), ("best lap", min(one.lap_times_s, default=None))
    times = [f"{what} {time:.3f} s" for what, time in shown if time is not None]
    if season.ranking == "iqm":
        low, high = one.interval_s
        within = f" (95 %: {low:.3f}-{high:.3f})" if low < high else ""
        times.append(f"mid mean {one.iqm_s:.3f} s{within}")
    if one.x_limit:
        times.append(f"{one.x_limit:.2f} x the limit")
    ends = [f"{count} {outcome}" for outcome, count in one.outcomes.items()]
    parts = [f"{one.laps_completed} of {one.laps} laps", *times, "runs: " + ", ".join(ends)]
    return ", ".join(parts)


def ranking_table(standing: Sequence[RankedSubmission]) -> FittedTable:
    """Return the table of the lines that `rank` or `rank_with_others` returned.

    On a narrow terminal the other columns are left out before rank, name, key, the time that ranks
    and id.
    """
    first, *rest = ranked = TABLE_TIME_COLUMNS[standing[0].ranking if standing else "total"]
    keys, has_all = short_keys(standing), any(line.rank is None for line in standing)
    shown = FittedTable(
        TableColumn("rank"),
        TableColumn("name", "left", least=20),
        *[TableColumn("key", "left")] * bool(keys),
        TableColumn("laps", drop=1),
        TableColumn(first),
        *(TableColumn(heading, drop=2) for heading in rest),
        TableColumn("x limit", drop=4),
        TableColumn("off", drop=5),
        TableColumn("date (UTC)", "left", drop=3),
        TableColumn("entry", "left", drop=6),
        TableColumn("id"),
        caption=_caption(standing, has_all) + _phase_note(standing),
    )
    for line in standing:
        beside = f" +{line.others}" if line.others and not has_all else ""
        shown.add_row(
            str(line.rank or ""),
            (line.name, beside + (" (disputed)" if line.disputes else "")),
            *[keys.get(line.signer, "-")] * bool(keys),
            f"{line.laps_completed}/{line.laps}",
            *(_shown(getattr(line, key)) for key in ranked.values()),
            "-" if line.x_limit is None else f"{line.x_limit:.2f}",
            str(line.off_tracks),
            utc_minute(line.created),
            line.entry_sha256[:8],
            str(line.id),
        )
    return shown


def _caption(standing: Sequence[RankedSubmission], has_all: bool) -> str:
    others = max((line.others for line in standing), default=0)
    if has_all:
        return "times in seconds; without a rank: other entries of the name above"
    if others:
        told = f"+{others}: as many other entries have that name; `racer board show --all` shows"
        return f"times in seconds; {told} them"
    return "times in seconds"


def _phase_note(standing: Sequence[RankedSubmission]) -> str:
    is_practice = any(line.phase == "practice" for line in standing)
    return "; the practice phase: the final has no entry yet" if is_practice else ""


def short_keys(standing: Sequence[RankedSubmission]) -> dict[str, str]:
    """Return the first digits of each key if a name is ranked with several keys.

    There are as many digits as are needed to distinguish the keys, at least 8. The result is empty
    if each name has a single key or none.
    """
    people = {(line.name, line.signer) for line in standing}
    if len({name for name, _ in people}) == len(people):
        return {}
    keys = {signer for _, signer in people if signer}
    count = next(n for n in range(8, 65) if len({key[:n] for key in keys}) == len(keys))
    return {key: key[:count] for key in keys}


TABLE_TIME_COLUMNS = {
    "total": {"total": "total_time_s", "best": "best_lap_s"},
    "best": {"best laps": "best_laps_s", "total": "total_time_s"},
    "average": {"average lap": "average_lap_s", "best": "best_lap_s"},
    "iqm": {"iqm": "iqm_s", "95 %": "interval_s"},
}
"""Columns of times in a season's table by `Season.ranking`; the first one ranks.

Headings with the fields of `RankedSubmission`.
"""


def _shown(time: float | tuple[float, float] | None) -> str:
    if isinstance(time, tuple):
        return f"{time[0]:.2f}-{time[1]:.2f}" if time[0] < time[1] else "-"
    return "-" if time is None else f"{time:.3f}"
