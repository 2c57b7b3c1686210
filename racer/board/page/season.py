"""The page of a season: its table with intervals, who was withdrawn, and the races."""

from __future__ import annotations

from html import escape
from typing import Any

from racer.board.page import markup
from racer.board.page.screen import screen
from racer.board.page.view import View
from racer.board.record import Row
from racer.board.store import HOUSE

RANKED = {
    "total": {"total": "total_time_s", "best lap": "best_lap_s"},
    "best": {"best laps": "best_laps_s", "total": "total_time_s"},
    "average": {"average lap": "average_lap_s", "best lap": "best_lap_s"},
    "iqm": {"mid mean": "iqm_s", "best lap": "best_lap_s"},
}
"""The times that a season's table shows, the one that ranks first."""
MEANING = {
    "total": "more laps first, then the time of all of them",
    "best": "the sum of each track's best lap",
    "average": "more laps first, then the mean lap",
    "iqm": "more laps first, then the interquartile mean of the runs; who cannot be told apart "
    "at 95 % shares a rank",
}
GHOSTS = 3
"""Cars that are shown at first."""


def season_page(view: View) -> bytes:
    """The page of a season."""
    season = view.season
    body = markup.header(season.name, [("the board", "../index.html")], season.description)
    body += markup.tiles(_facts(view))
    if view.standing:
        body += markup.section("Standing", _standing(view) + _note(view), "wide")
        shown = [line["id"] for line in view.standing[:GHOSTS]]
        body += markup.section("Watch the races", screen(view, shown), "wide")
    else:
        body += markup.section("Standing", '<p class="none">Nobody has raced here yet.</p>')
    if gone := [row for row in view.rows if row.withdrawn is not None]:
        body += markup.section("Withdrawn", _withdrawn(gone))
    body += markup.section("The rules", _rules(view), "" if gone else "wide")
    desk = _desk(view) if view.is_served else ""
    scripts = ("replay.js", "desk.js") if view.is_served else ("replay.js",)
    return markup.page(f"{season.name} - racer", f"<main>{body}{desk}</main>", "../", scripts)


def badges(row: Row | dict[str, Any]) -> str:
    """What is to be known about a submission beside its times."""
    one = row if isinstance(row, dict) else vars(row)
    found = []
    if one.get("withdrawn") is not None:
        found.append(markup.badge("withdrawn", "bad", one["withdrawn"]))
    if one["disputes"]:
        found.append(markup.badge("disputed", "bad", "; ".join(one["disputes"])))
    if one["signer"]:
        found.append(markup.badge("signed", "good", f"by the key {one['signer']}"))
    if one["entry_sha256"] == HOUSE:
        found.append(markup.badge("pilot", "", "a part of racer"))
    elif one["box"] == "none":
        found.append(markup.badge("no box", "bad", "the policy ran in the judge's own process"))
    else:
        told = f"the policy was held by: {one['box']}"
        found.append(markup.badge(f"box: {one['box']}", "", told))
    return " ".join(found)


def _facts(view: View) -> dict[str, str]:
    season, names = view.season, view.run_names()
    facts = {"entries": str(len(view.standing)), "kind": season.kind.replace("_", " ")}
    if names:
        facts["races an entry"] = str(len(names))
    facts["laps a race"] = str(season.laps)
    facts["car"] = season.car
    if view.standing:
        first = view.standing[0]
        shared = sum(line["rank"] == 1 for line in view.standing)
        facts["leads"] = first["name"] + (f" and {shared - 1} more" if shared > 1 else "")
    return facts


def _standing(view: View) -> str:
    ranked = RANKED[view.season.ranking]
    ends = _ends(view)
    spread = ["95 % interval"] if any(_is_spread(line) for line in view.standing) else []
    titles = ["rank", "entry", "laps", *ranked, *spread, "x limit", "faults", "date"]
    rows = []
    for line in view.standing:
        faults = line["off_tracks"] + line["collisions"]
        rows.append(
            [
                f"<b>{view.ranks[line['id']]}</b>",
                f'<a class="name" href="entry-{line["id"]}.html">{escape(line["name"])}</a> '
                f'<span class="badges">{badges(line)}</span>',
                f"{line['laps_completed']}/{line['laps']}",
                *(markup.seconds(line[key]) for key in ranked.values()),
                *(_interval(line, ends) for _ in spread),
                "-" if line["x_limit"] is None else f"{line['x_limit']:.2f}",
                str(faults) if faults else "none",
                f'<span class="day">{escape(line["created"][:10])}</span>',
            ]
        )
    return markup.table(titles, rows, "standing")


def _is_spread(line: dict[str, Any]) -> bool:
    low, high = line["interval_s"]
    return low < high


def _ends(view: View) -> tuple[float, float]:
    spans = [(*line["interval_s"], line["iqm_s"]) for line in view.standing]
    low, high = min(min(one) for one in spans), max(max(one) for one in spans)
    return low, max(high, low + 1e-6)


def _interval(line: dict[str, Any], ends: tuple[float, float]) -> str:
    """A 95 % interval of the interquartile mean, as a picture and in words."""
    if not _is_spread(line):
        return "-"
    low, high = line["interval_s"]
    left, middle, right = (
        4 + 92 * (value - ends[0]) / (ends[1] - ends[0]) for value in (low, line["iqm_s"], high)
    )
    return (
        '<svg class="span" viewBox="0 0 100 12" aria-hidden="true">'
        '<path class="axis" d="M4 6H96"/>'
        f'<path class="bar" d="M{left:.1f} 6H{right:.1f}"/>'
        f'<circle cx="{middle:.1f}" cy="6" r="3.2"/></svg>'
        f'<span class="figures">{low:.2f}-{high:.2f}&nbsp;s</span>'
    )


def _note(view: View) -> str:
    text = (
        f"Ranked by {MEANING[view.season.ranking]}. The interval is that of the interquartile mean "
        "lap, where seeds or runs differ. x limit: the time in multiples of the least possible."
    )
    return f'<p class="soft">{escape(text)}</p>'


def _withdrawn(rows: list[Row]) -> str:
    cells = [
        [
            f'<a class="name" href="entry-{row.id}.html">{escape(row.name)}</a>',
            escape(row.withdrawn or ""),
            f'<span class="day">{escape(row.created[:10])}</span>',
        ]
        for row in rows
    ]
    return markup.table(["entry", "why", "date"], cells)


def _rules(view: View) -> str:
    season = view.season
    tracks = ", ".join(season.tracks)
    if season.sealed:
        drawn = f"{season.sealed.tracks} tracks and {season.sealed.seeds} seeds by a secret"
        tracks = f"{tracks}; {drawn}" if tracks else drawn
    fault = "puts the car back" if season.faults == "reset" else "ends the race"
    facts = {
        "tracks": escape(tracks),
        "directions": escape(", ".join(season.directions)),
        "a fault": f"{fault}; {season.off_track_penalty:g} s off the road, "
        f"{season.collision_penalty:g} s for a crash",
        "time limit": f"{season.time_limit:g} s a race, penalties included",
        "walls": "on both borders" if season.walls else "",
        "physics, scoring": f"version {season.physics}, {season.scoring}",
        "SHA-256": markup.code(season.digest),
    }
    return markup.details(facts)


def _desk(view: View) -> str:
    season = escape(view.season.digest)
    return markup.section(
        "Hand in an entry",
        f'<form id="desk" data-season="{season}">'
        '<label>NAME.entry.zip <input type="file" id="file" accept=".zip" required></label> '
        '<button type="submit">judge it</button></form>'
        '<p id="answer" role="status"></p><ol id="queue"></ol>',
        "wide",
    )
