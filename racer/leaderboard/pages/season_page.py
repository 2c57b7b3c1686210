"""The page of a season: its table with intervals, who was withdrawn, and the races."""

from __future__ import annotations

from html import escape
from typing import Any

from racer.leaderboard.pages import markup
from racer.leaderboard.pages.context import SeasonContext
from racer.leaderboard.pages.player import race_player
from racer.leaderboard.store import HOUSE_DIGEST
from racer.leaderboard.submissions import Submission, utc_minute

PAGE_TIME_COLUMNS = {
    "total": {"total": "total_time_s", "best lap": "best_lap_s"},
    "best": {"best laps": "best_laps_s", "total": "total_time_s"},
    "average": {"average lap": "average_lap_s", "best lap": "best_lap_s"},
    "iqm": {"mid mean": "iqm_s", "best lap": "best_lap_s"},
}
"""The times that a season's table shows, the one that ranks first."""
RANKING_MEANING = {
    "total": "more laps first, then the time of all of them",
    "best": "the sum of each track's best lap",
    "average": "more laps first, then the mean lap",
    "iqm": "more laps first, then the interquartile mean of the runs; who cannot be told apart "
    "at 95 % shares a rank",
}
CARS_SHOWN_AT_FIRST = 3
"""Cars that are shown at first."""


def season_page(view: SeasonContext) -> bytes:
    """The page of a season."""
    season = view.season
    body = markup.header(season.name, [("the board", "../index.html")], season.description)
    body += markup.tiles(_facts(view))
    if view.standing:
        body += markup.section("Standing", _standing(view) + _note(view), "wide", "standing")
        shown = [line["id"] for line in view.standing[:CARS_SHOWN_AT_FIRST]]
        body += markup.section("Watch the races", race_player(view, shown), "wide")
    else:
        none = '<p class="none">Nobody has raced here yet.</p>'
        body += markup.section("Standing", none, "", "standing")
    if gone := [row for row in view.rows if row.withdrawn is not None]:
        body += markup.section("Withdrawn", _withdrawn(gone))
    body += markup.section("The rules", _rules(view), "" if gone else "wide")
    desk = _desk(view) if view.is_served else ""
    scripts = ("replay.js", "desk.js") if view.is_served else ("replay.js",)
    return markup.page(f"{season.name} - racer", f"<main>{body}{desk}</main>", "../", scripts)


def badges(row: Submission | dict[str, Any]) -> str:
    """What is to be known about a submission beside its times."""
    one = row if isinstance(row, dict) else vars(row)
    found = []
    if one.get("withdrawn") is not None:
        found.append(markup.badge("withdrawn", "bad", one["withdrawn"]))
    if one["disputes"]:
        found.append(markup.badge("disputed", "bad", "; ".join(one["disputes"])))
    if one["signer"]:
        key = one["signer"]
        found.append(markup.badge(f"key {key[:8]}", "good", f"signed by the key {key}"))
    if one["entry_sha256"] == HOUSE_DIGEST:
        found.append(markup.badge("pilot", "", "a part of racer"))
    elif one["box"] == "none":
        found.append(markup.badge("no box", "bad", "the policy ran in the judge's own process"))
    else:
        told = f"the policy was held by: {one['box']}"
        found.append(markup.badge(f"box: {one['box']}", "", told))
    return " ".join(found)


def _facts(view: SeasonContext) -> dict[str, str]:
    season, names = view.season, view.run_names()
    facts = {"in the standing": str(len(view.standing)), "kind": season.race.kind.replace("_", " ")}
    if names:
        facts["races an entry"] = str(len(names))
    facts["laps a race"] = str(season.race.laps)
    facts["car"] = season.car
    if view.leaders:
        facts["leads"] = view.leaders
    return facts


def _standing(view: SeasonContext) -> str:
    ranked = PAGE_TIME_COLUMNS[view.season.ranking]
    ends = _ends(view)
    spread = ["95 % interval"] if any(_is_spread(line) for line in view.standing) else []
    titles = ["rank", "entry", "laps", *ranked, *spread, "x limit", "faults", "id", "date (UTC)"]
    others = view.others
    rows = []
    for line in view.standing:
        faults = line["off_tracks"] + line["collisions"]
        rows.append(
            [
                f"<b>{view.ranks[line['id']]}</b>",
                f'<a class="name" href="entry-{line["id"]}.html">{escape(line["name"])}</a> '
                f'<span class="badges">{badges(line)}</span>{_others(others[line["id"]])}',
                f"{line['laps_completed']}/{line['laps']}",
                *(markup.seconds(line[key]) for key in ranked.values()),
                *(_interval(line, ends) for _ in spread),
                "-" if line["x_limit"] is None else f"{line['x_limit']:.2f}",
                str(faults) if faults else "none",
                str(line["id"]),
                f'<span class="day">{escape(utc_minute(line["created"]))}</span>',
            ]
        )
    return markup.table(titles, rows, "standing")


def _others(lines: list[dict[str, Any]]) -> str:
    """The entries of the same name that do not stand in the table, behind a line to open."""
    if not lines:
        return ""
    count = "1 other entry" if len(lines) == 1 else f"{len(lines)} other entries"
    links = "".join(
        f'<a href="entry-{line["id"]}.html">id {line["id"]}: {_figure(line)}, '
        f"{escape(utc_minute(line['created']))}</a>"
        for line in lines
    )
    return f'<details class="others"><summary>{count}</summary>{links}</details>'


def _figure(line: dict[str, Any]) -> str:
    time = line[next(iter(PAGE_TIME_COLUMNS[line["ranking"]].values()))]
    laps = f"{line['laps_completed']}/{line['laps']} laps"
    return laps if time is None else f"{laps}, {markup.seconds(time)}"


def _is_spread(line: dict[str, Any]) -> bool:
    low, high = line["interval_s"]
    return low < high


def _ends(view: SeasonContext) -> tuple[float, float]:
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


def _note(view: SeasonContext) -> str:
    text = (
        f"Ranked by {RANKING_MEANING[view.season.ranking]}. "
        "The interval is that of the interquartile mean "
        "lap, where seeds or runs differ. x limit: the time in multiples of the least possible. Of "
        "each name, by each key that signed, the best entry stands here."
    )
    return f'<p class="soft">{escape(text)}</p>'


def _withdrawn(rows: list[Submission]) -> str:
    cells = [
        [
            f'<a class="name" href="entry-{row.id}.html">{escape(row.name)}</a>',
            escape(row.withdrawn or ""),
            f'<span class="day">{escape(utc_minute(row.created))}</span>',
            str(row.id),
        ]
        for row in rows
    ]
    return markup.table(["entry", "why", "handed in (UTC)", "id"], cells)


def _rules(view: SeasonContext) -> str:
    season, race = view.season, view.season.race
    tracks = ", ".join(season.tracks)
    if season.sealed:
        drawn = f"{season.sealed.tracks} tracks and {season.sealed.seeds} seeds by a secret"
        tracks = f"{tracks}; {drawn}" if tracks else drawn
    fault = "puts the car back" if race.faults == "reset" else "ends the race"
    facts = {
        "tracks": escape(tracks),
        "directions": escape(", ".join(season.directions)),
        "a fault": f"{fault}; {race.off_track_penalty:g} s off the road, "
        f"{race.collision_penalty:g} s for a crash",
        "time limit": f"{race.time_limit:g} s a race, penalties included",
        "walls": "on both borders" if race.walls else "",
        "physics, scoring": f"version {season.physics}, {season.scoring}",
        "SHA-256": markup.code(season.digest),
    }
    return markup.details(facts)


def _desk(view: SeasonContext) -> str:
    season, name = escape(view.season.digest), escape(view.season.name)
    return markup.section(
        "Hand in an entry",
        f'<form id="desk" data-season="{season}" data-name="{name}">'
        '<label>NAME.entry.zip <input type="file" id="file" accept=".zip" required></label> '
        '<label>name on the board <input type="text" id="name" maxlength="60" '
        'autocomplete="off" placeholder="the entry\'s own"></label> '
        '<button type="submit">judge it</button></form>'
        '<p id="answer" role="status"></p><ol id="queue"></ol>',
        "wide",
    )
