"""Where a submission stands among the others, in the words that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from racer.leaderboard.ranking import (
    TABLE_TIME_COLUMNS,
    RankedSubmission,
    rank_with_others,
    unranked_line,
)
from racer.leaderboard.season import Season
from racer.leaderboard.submissions import Submission, utc_minute


@dataclass(frozen=True)
class Placement:
    """Where a submission stands.

    Attributes:
        row: The submission.
        place: The line of its name and key in the standing; None where all of that is withdrawn.
        line: The line of its entry, which another of that name may stand before; None if withdrawn.
        count: How many names and keys the standing has.
        shared: How many others share the place.
        strangers: How many others have that name and another key, or none.
    """

    row: Submission
    place: RankedSubmission | None
    line: RankedSubmission | None
    count: int
    shared: int
    strangers: int


def placement_of(rows: Sequence[Submission], season: Season, row: Submission) -> Placement:
    """Where a submission stands among the rows of its season."""
    lines = rank_with_others(rows, season)
    entries = {one.id: one.entry for one in rows}
    mine = [line for line in lines if line.competitor == row.competitor]
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
    """What to say of a submission that was just added: its place, and who else has its name."""
    place, row = one.place, one.row
    if place is None or one.line is None:  # withdrawn by somebody else at this moment
        return [f"season {season.name}: {row.name} does not stand there; id {row.id}"]
    shared = f", shared with {one.shared}" if one.shared else ""
    said = f"season {season.name}: {row.name} is number {place.rank} of {one.count}{shared}"
    return [f"{said}, id {place.id}", *submitter_notes(one)]


def submitter_notes(one: Placement) -> list[str]:
    """What else its submitter is to know: which entry counts, and who else has the name."""
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
    """A submission in one line: number, name, place, what it is ranked by, and when it came."""
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
    """What a line is ranked by: `total 18.361 s`, or how many laps where it has no time."""
    heading, key = next(iter(TABLE_TIME_COLUMNS[line.ranking].items()))
    time = getattr(line, key)
    laps = f"{line.laps_completed} of {line.laps} laps"
    return laps if time is None else f"{laps}, {heading} {time:.3f} s"
