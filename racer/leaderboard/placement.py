"""The place of a submission in its season's ranking, and sentences about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from racer.leaderboard.ranking import (
    TABLE_TIME_COLUMNS,
    RankedSubmission,
    phase_of,
    rank_with_others,
    unranked_line,
)
from racer.leaderboard.season import Season
from racer.leaderboard.submissions import Submission, person_of, utc_minute


@dataclass(frozen=True)
class Placement:
    """The place of a submission in its season's ranking.

    Attributes:
        row: The submission.
        place: The ranked line of its name and key; None if all their submissions are withdrawn.
        line: The line of the same entry: `place`, or an unranked line behind it; None if the entry
            is withdrawn.
        count: Number of ranked lines.
        shared: Number of other lines with the same rank as `place`.
        strangers: Number of ranked lines with the same name and another key or none.
    """

    row: Submission
    place: RankedSubmission | None
    line: RankedSubmission | None
    count: int
    shared: int
    strangers: int


def placement_of(rows: Sequence[Submission], season: Season, row: Submission) -> Placement:
    """Return the place of a submission in the ranking of its phase of the season.

    Args:
        rows: All submissions of the season.
        season: The season.
        row: The submission.
    """
    lines = rank_with_others(rows, season, phase_of(season, row))
    entries = {one.id: one.entry for one in rows}
    person = person_of(season, *row.competitor)
    mine = [line for line in lines if person_of(season, *line.competitor) == person]
    standing = [line for line in lines if line.rank is not None]
    place = mine[0] if mine else None
    return Placement(
        row=row,
        place=place,
        line=next((line for line in mine if entries[line.id] == row.entry), None),
        count=len(standing),
        shared=sum(line.rank == place.rank for line in standing) - 1 if place else 0,
        strangers=sum(line.name == row.name and line.signer != row.signer for line in standing),
    )


def announcement(season: Season, one: Placement) -> list[str]:
    """Return sentences about a submission that was just added: its place, then the notes."""
    place, row = one.place, one.row
    if place is None or one.line is None:  # it was withdrawn since it was added
        return [f"season {season.name}: {row.name} does not stand there; id {row.id}"]
    shared = f", shared with {one.shared}" if one.shared else ""
    phase = ", practice phase" if place.phase == "practice" else ""
    said = f"season {season.name}{phase}: {row.name} is number {place.rank} of {one.count}{shared}"
    return [f"{said}, id {place.id}", *submitter_notes(one)]


def submitter_notes(one: Placement) -> list[str]:
    """Return sentences for the submitter: which entry counts, and who else has the name."""
    name, place, line, said = one.row.name, one.place, one.line, []
    if place is None or line is None:
        return []
    if line.id != one.row.id:
        said.append(f"this entry was submitted before, as id {line.id}, which keeps its place")
    if line.id != place.id:
        said.append(f"id {place.id} stays the best entry of {name}; this one is id {line.id}")
    if others := place.others:
        have = "1 other entry" if others == 1 else f"{others} other entries"
        said.append(
            f"{name} has {have} in this season, and the best one stands in the table; if they are "
            "somebody else's, hand in under another name"
        )
    if one.strangers:
        stand = "1 other stands" if one.strangers == 1 else f"{one.strangers} others stand"
        said.append(f"{stand} there as {name}, by another key or none: the table tells the keys")
    return said


def describe_submission(season: Season, one: Placement) -> str:
    """Return one line about a submission: id, name, place, laps and time, disputes, date."""
    row = one.row
    key = f" (key {row.signer[:8]})" if row.signer else ""
    parts = [
        f"id {row.id}: {row.name}{key}",
        _stands(season, one),
        _figure(unranked_line(row, season)),
    ]
    parts += [f"disputed: {why}" for why in row.disputes]
    return ", ".join([*parts, f"submitted {utc_minute(row.created)} UTC"])


def _stands(season: Season, one: Placement) -> str:
    if one.row.withdrawn is not None:
        return f"withdrawn from season {season.name} ({one.row.withdrawn})"
    assert one.place is not None and one.line is not None
    if one.line.id != one.row.id:
        again = f"the same entry as id {one.line.id}"
        return f"{again}, which counts in season {season.name}"
    if one.place.id != one.row.id:
        return f"not the best of its name in season {season.name}, which is id {one.place.id}"
    return f"rank {one.place.rank} of {one.count} in season {season.name}"


def _figure(line: RankedSubmission) -> str:
    """Return laps and the time that ranks, as `3 of 3 laps, total 18.361 s`."""
    heading, key = next(iter(TABLE_TIME_COLUMNS[line.ranking].items()))
    time = getattr(line, key)
    laps = f"{line.laps_completed} of {line.laps} laps"
    return laps if time is None else f"{laps}, {heading} {time:.3f} s"
