"""The standing of a season: who is ahead, by what, and who cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from racer.board.record import Row
from racer.board.score import Score, paired, score, strata_of
from racer.board.season import Season

if TYPE_CHECKING:
    from rich.table import Table


class _Scored(NamedTuple):
    row: Row
    score: Score
    merit: tuple[float, float]


def rank(rows: Iterable[Row], season: Season) -> list[dict[str, Any]]:
    """A season's standing, the best first, by what the season ranks.

    Entries of equal merit share a rank, and the ranks that they fill are left out: 1, 1, 3. Where
    the interquartile mean ranks, so do entries that completed as many laps as the best of their
    group and whose paired difference from it has an interval that contains 0. Of those who share
    a rank the earlier stands first. An entry submitted again under the same name is shown once,
    with its best score, and with the latest of scores that are alike. What was withdrawn is left
    out.

    Args:
        rows: Rows of the season.
        season: Its rules.

    Returns:
        One dict an entry, with the keys that docs/leaderboard.md lists.
    """
    best: dict[tuple[str, str], _Scored] = {}
    for row in sorted(rows, key=lambda row: row.id):
        if row.withdrawn is not None:
            continue
        scored = score(season, row.runs)
        one = _Scored(row, scored, _merit(season, scored))
        same = (row.name, row.entry_sha256)
        if same not in best or one.merit <= best[same].merit:
            best[same] = one
    order = sorted(best.values(), key=lambda one: (one.merit, one.row.id))
    standing: list[dict[str, Any]] = []
    while order:
        group = [one for one in order if _is_level(season, one, order[0])]
        level = {one.row.id for one in group}
        order = [one for one in order if one.row.id not in level]
        place = 1 + len(standing)
        earlier = sorted(group, key=lambda one: one.row.id)
        standing += [_line(place, season, one.row, one.score) for one in earlier]
    return standing


def _merit(season: Season, score: Score) -> tuple[float, float]:
    """What is compared, the less the better."""
    if season.ranking == "best":
        return 0.0, math.inf if score.best_s is None else score.best_s
    value = {"total": score.total_s, "average": score.average_s, "iqm": score.iqm_s}
    time = value[season.ranking]
    return -score.laps_completed, math.inf if time is None else time


def _is_level(season: Season, one: _Scored, best: _Scored) -> bool:
    if one.merit == best.merit:
        return True
    if season.ranking != "iqm" or one.merit[0] != best.merit[0]:
        return False
    strata = strata_of(best.row.runs)
    if strata != strata_of(one.row.runs):
        return False
    low, high = paired(one.score.values, best.score.values, strata)
    return low <= 0.0 <= high


def _line(rank: int, season: Season, row: Row, score: Score) -> dict[str, Any]:
    return {
        "rank": rank,
        "id": row.id,
        "name": row.name,
        "season": row.season,
        "season_digest": row.season_digest,
        "ranking": season.ranking,
        "entry_sha256": row.entry_sha256,
        "laps_completed": score.laps_completed,
        "laps": score.laps,
        "completion": score.completion,
        "lap_times_s": score.lap_times_s,
        "off_tracks": sum(run["off_tracks"] for run in row.runs),
        "collisions": sum(run.get("collisions", 0) for run in row.runs),
        "total_time_s": score.total_s,
        "best_lap_s": min(score.lap_times_s, default=None),
        "best_laps_s": score.best_s,
        "average_lap_s": score.average_s,
        "iqm_s": score.iqm_s,
        "interval_s": list(score.interval_s),
        "limit_s": score.limit_s,
        "x_limit": score.x_limit,
        "outcomes": score.outcomes,
        "track": ", ".join(dict.fromkeys(run["track"] for run in row.runs)),
        "runs": row.runs,
        "created": row.created,
        "racer_version": row.racer_version,
        "box": row.box,
        "signer": row.signer,
        "disputes": list(row.disputes),
        "hash": row.hash,
    }


def sentence(season: Season, row: Row) -> str:
    """A row in one line: laps, times, and what went wrong."""
    one = score(season, row.runs)
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


def table(standing: list[dict[str, Any]]) -> Table:
    """What `rank` gave, for a person. Names are shown as they are, never as markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False, caption="times in seconds"
    )
    ranked = _RANKED[standing[0]["ranking"] if standing else "total"]
    headings = ("rank", "name", "laps", *ranked, "x limit", "off", "date", "entry", "id")
    for heading in headings:
        is_text = heading in ("name", "date", "entry")
        justify = "left" if is_text else "right"
        is_name = heading == "name"
        shown.add_column(
            heading,
            justify=justify,
            no_wrap=not is_name,
            overflow="fold",
            min_width=12 if is_name else None,
        )
    for line in standing:
        shown.add_row(
            str(line["rank"]),
            Text(line["name"] + (" (disputed)" if line["disputes"] else "")),
            f"{line['laps_completed']}/{line['laps']}",
            *(_shown(line[key]) for key in ranked.values()),
            "-" if line["x_limit"] is None else f"{line['x_limit']:.2f}",
            str(line["off_tracks"]),
            line["created"][:10],
            line["entry_sha256"][:8],
            str(line["id"]),
        )
    return shown


_RANKED = {
    "total": {"total": "total_time_s", "best": "best_lap_s"},
    "best": {"best laps": "best_laps_s", "total": "total_time_s"},
    "average": {"average lap": "average_lap_s", "best": "best_lap_s"},
    "iqm": {"iqm": "iqm_s", "95 %": "interval_s"},
}
"""The times that a season's table shows, by what it ranks."""


def _shown(time: float | list[float] | None) -> str:
    if isinstance(time, list):
        return f"{time[0]:.2f}-{time[1]:.2f}" if time[0] < time[1] else "-"
    return "-" if time is None else f"{time:.3f}"
