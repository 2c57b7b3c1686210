"""The standing of a season: who is ahead, and by what."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from racer.board.store import Row

if TYPE_CHECKING:
    from rich.table import Table


def rank(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """A season's standing, the best first.

    More completed laps come first, then less total time, then the earlier submission. Who has
    the same laps and time shares a rank, and the ranks that they fill are left out: 1, 1, 3. An
    entry submitted again under the same name is shown once, with its best run, and with the
    latest of runs that are alike.

    Args:
        rows: Rows of one season.

    Returns:
        One dict an entry: `rank`, `name`, `season`, `entry_sha256`, `laps_completed`, `laps`,
        `lap_times_s`, `off_tracks`, `total_time_s` (None where a lap is missing), `best_lap_s`
        (None without a lap), `limit_s` and `x_limit` (None where no limit was known),
        `track` and `created`.
    """
    best: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: row.id):
        same = (row.name, row.entry_sha256)
        if same not in best or _merit(row) <= _merit(best[same]):
            best[same] = row
    order = sorted(best.values(), key=lambda row: (_merit(row), row.id))
    merits = [_merit(row) for row in order]
    return [_line(1 + merits.index(merit), row) for merit, row in zip(merits, order)]


def _merit(row: Row) -> tuple[int, float]:
    total = row.runs[0]["total_time_s"]
    return -row.runs[0]["laps_completed"], math.inf if total is None else total


def _line(rank: int, row: Row) -> dict[str, Any]:
    result = row.runs[0]
    return {
        "rank": rank,
        "name": row.name,
        "season": row.season,
        "entry_sha256": row.entry_sha256,
        "laps_completed": result["laps_completed"],
        "laps": result["laps"],
        "lap_times_s": result["lap_times_s"],
        "off_tracks": result["off_tracks"],
        "total_time_s": result["total_time_s"],
        "best_lap_s": result["best_lap_s"],
        "limit_s": result.get("limit_s"),
        "x_limit": result.get("x_limit"),
        "track": result["track"],
        "created": row.created,
    }


def table(standing: list[dict[str, Any]]) -> Table:
    """What `rank` gave, for a person. Names are shown as they are, never as markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, collapse_padding=True)
    for heading in ("rank", "name", "laps", "total", "limit", "best lap", "off", "date", "entry"):
        is_text = heading in ("name", "date", "entry")
        justify = "left" if is_text else "right"
        shown.add_column(heading, justify=justify, no_wrap=heading != "name", overflow="fold")
    for line in standing:
        shown.add_row(
            str(line["rank"]),
            Text(line["name"]),
            f"{line['laps_completed']}/{line['laps']}",
            _seconds(line["total_time_s"]),
            "-" if line["x_limit"] is None else f"{line['x_limit']:.2f} x",
            _seconds(line["best_lap_s"]),
            str(line["off_tracks"]),
            line["created"][:10],
            line["entry_sha256"][:8],
        )
    return shown


def _seconds(time: float | None) -> str:
    return "-" if time is None else f"{time:.3f} s"
