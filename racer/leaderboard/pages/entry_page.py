"""The page of a submission: what it is, what it did, what happened to it, and how to check it."""

from __future__ import annotations

import shlex
from html import escape
from typing import Any

from racer.entries.package import Manifest, TrainedOn
from racer.leaderboard.pages import markup
from racer.leaderboard.pages.context import RunRecording, SeasonContext
from racer.leaderboard.pages.player import race_player
from racer.leaderboard.pages.season_page import badges
from racer.leaderboard.scoring import RUN_OUTCOMES, season_score
from racer.leaderboard.store import HOUSE_DIGEST
from racer.leaderboard.submissions import ChainRecord, Submission, utc_minute

EVENT_WORDS = {"submission": "handed in", "withdrawal": "withdrawn", "dispute": "disputed"}


def entry_page(
    view: SeasonContext, row: Submission, manifest: Manifest | str, history: list[ChainRecord]
) -> bytes:
    """The page of a submission.

    Args:
        view: Its season.
        row: The submission.
        manifest: What its package says, or in a sentence why that is not known.
        history: All that happened to its name.
    """
    trail = [("the board", "../index.html"), (view.season.name, "index.html")]
    body = markup.header(row.name, trail)
    body += f'<p class="badges">{badges(row)}</p>'
    body += markup.tiles(_facts(view, row))
    body += _standing_one(view, row)
    for why in ([row.withdrawn] if row.withdrawn else []) + list(row.disputes):
        body += f'<p class="why">{escape(why)}</p>'
    films = view.films.get(row.id, [])
    leader = [line["id"] for line in view.standing if line["id"] != row.id][:1]
    body += markup.section("Watch it race", race_player(view, [row.id, *leader], row), "wide")
    body += markup.section("Its races", _runs(view, row, films), "wide")
    body += markup.section("What it is", _manifest(row, manifest))
    body += markup.section("Check it yourself", _check(row, films))
    body += markup.section("What happened", _history(view, history), "wide")
    title = f"{row.name} in {view.season.name} - racer"
    return markup.page(title, f"<main>{body}</main>", "../", ("replay.js",))


def _facts(view: SeasonContext, row: Submission) -> dict[str, str]:
    one = season_score(view.season, row.runs)
    facts = {
        "id": str(row.id),
        "rank": f"{view.ranks[row.id]} of {len(view.standing)}" if row.id in view.ranks else "-",
        "laps": f"{one.laps_completed} of {one.laps}",
    }
    times = {"total": one.total_s, "best lap": min(one.lap_times_s, default=None)}
    if view.season.ranking == "iqm":
        times["mid mean"] = one.iqm_s
    facts |= {what: f"{time:.3f} s" for what, time in times.items() if time is not None}
    if one.x_limit:
        facts["x limit"] = f"{one.x_limit:.2f}"
    return facts


def _standing_one(view: SeasonContext, row: Submission) -> str:
    """Where the row is not in the standing, but its name is: which one is there."""
    for line in view.standing:
        if (line["name"], line["signer"]) == row.competitor and line["id"] != row.id:
            best = f'<a href="entry-{line["id"]}.html">id {line["id"]}</a>'
            return f'<p class="badges">The best entry of this name stands: {best}.</p>'
    return ""


def _runs(view: SeasonContext, row: Submission, films: list[RunRecording]) -> str:
    titles = ["race", "laps", "lap times", "x limit", "faults", "end", "simulated again", ""]
    rows = []
    for number, (name, run) in enumerate(zip(view.run_names(), row.runs)):
        film = films[number] if number < len(films) else RunRecording(None, "not simulated", None)
        kind = {True: "good", False: "bad", None: ""}[film.is_fine]
        faults = run.get("resets", run["off_tracks"] + run.get("collisions", 0))
        ending = str(run["ending"])
        watch = f'<a href="#run={number}">watch</a>' if film.key else ""
        rows.append(
            [
                escape(name),
                f"{run['laps_completed']}/{run['laps']}",
                ", ".join(f"{time:.3f}" for time in run["lap_times_s"]) or "-",
                "-" if run.get("x_limit") is None else f"{run['x_limit']:.2f}",
                str(faults) if faults else "none",
                escape(RUN_OUTCOMES.get(ending, ending).replace("_", " ")) + _failure(run),
                f'<span class="verdict {kind}">{escape(film.verdict)}</span>',
                watch,
            ]
        )
    return markup.table(titles, rows, "runs")


def _failure(run: dict[str, Any]) -> str:
    return f' <span class="soft">{escape(str(run["failure"]))}</span>' if "failure" in run else ""


def _manifest(row: Submission, manifest: Manifest | str) -> str:
    facts = {}
    if isinstance(manifest, str):
        facts["package"] = escape(manifest)
    else:
        trained = manifest.trained_on
        facts = {
            "called": escape(manifest.name),
            "author": escape(manifest.author),
            "trained on": escape(_origin(trained)),
            "sees": escape(", ".join(sensor.name for sensor in manifest.sensor)),
            "acts": f"{manifest.actions.kind}, {escape(_actions(manifest))}",
            "drives": escape(f"{manifest.car}, made for {manifest.env}"),
            "written by": escape(f"racer {manifest.racer_version}"),
            "config": _digest(trained.config_sha256),
            "reward": _digest(trained.reward_sha256),
            "graph": markup.code(manifest.files["policy.onnx"]),
        }
    facts["package's SHA-256"] = (
        "" if row.entry_sha256 == HOUSE_DIGEST else markup.code(row.entry_sha256)
    )
    facts["signed by"] = markup.code(row.signer) if row.signer else "nobody"
    facts["box"] = escape(row.box)
    facts["judged by"] = escape(f"racer {row.racer_version}")
    facts["link in the chain"] = markup.code(row.hash)
    return markup.details(facts)


def _origin(trained: TrainedOn) -> str:
    """Where a policy comes from, as far as its manifest says."""
    parts = [
        trained.track or "",
        "" if trained.steps is None else f"{trained.steps:,} steps",
        "" if trained.seed is None else f"seed {trained.seed}",
    ]
    return ", ".join(filter(None, parts))


def _digest(sha256: str | None) -> str:
    return markup.code(sha256) if sha256 else ""


def _actions(manifest: Manifest) -> str:
    actions = manifest.actions
    if actions.kind == "discrete":
        return f"{len(actions.choices)} choices"
    (right, left), (slow, fast) = actions.steering_deg, actions.speed
    return f"{right:g} to {left:g} deg, {slow:g} to {fast:g} m/s"


def _check(row: Submission, films: list[RunRecording]) -> str:
    if films and all(film.is_fine for film in films):
        verdicts = sorted({film.verdict for film in films})
        told = f"When this page was made, every race was simulated again: {', '.join(verdicts)}."
    else:
        told = "When this page was made, not every race could be simulated again, or held."
    again = "This does it on your machine, and runs the policy again:"
    command = f"racer board verify {row.id}"
    return f"<p>{escape(told)} {again}</p><pre>{escape(command)}</pre>"


def _history(view: SeasonContext, history: list[ChainRecord]) -> str:
    ours = {row.id for row in view.rows}
    rows = []
    for one in history:
        number = f'<a href="entry-{one.id}.html">{one.id}</a>' if one.id in ours else str(one.id)
        about = f" (id {one.about})" if one.about else ""
        rows.append(
            [
                number,
                escape(utc_minute(one.created)),
                escape(one.season),
                escape(EVENT_WORDS.get(one.kind, one.kind) + about),
                escape(str(one.body.get("why", ""))),
            ]
        )
    told = f"<pre>{escape(shlex.join(['racer', 'board', 'history', history[0].name]))}</pre>"
    return markup.table(["id", "when (UTC)", "season", "what", "why"], rows) + told
