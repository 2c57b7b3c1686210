"""Writes a board's pages into a folder: each whole or not at all, poses only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from racer.assets.atomic import write_atomically
from racer.entries.package import Manifest, read_entry
from racer.errors import BoardError, RacerError
from racer.leaderboard.fingerprint import platform_fingerprint
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.pages import markup
from racer.leaderboard.pages.context import RunRecording, SeasonContext
from racer.leaderboard.pages.entry_page import entry_page
from racer.leaderboard.pages.season_page import season_page
from racer.leaderboard.pages.trajectory import TRAJECTORY_FORMAT, race_trajectory, road_outline
from racer.leaderboard.ranking import rank_with_others
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import HOUSE_DIGEST, BoardStore
from racer.leaderboard.submissions import Submission
from racer.leaderboard.verification import replay_of, verify_run
from racer.track import load_track

SCRIPT_FILES = ("replay.js", "desk.js")
_HEAD, _TAIL = "racerData(", ");\n"
RaceProgress = Callable[[int, int], None]
"""Called with how many races are simulated, and how many there are."""


def seasons_of(store: BoardStore) -> list[Season]:
    """The seasons in which something was submitted, each once, the latest first."""
    digests = dict.fromkeys(row.season_digest for row in reversed(store.every_row()))
    found: list[Season] = []
    for digest in digests:
        season = store.season(digest)
        if season not in found:
            found.append(season)
    return found


def write_site(
    store: BoardStore,
    out: Path,
    seasons: Sequence[Season],
    secret_of: Callable[[Season], str | None],
    is_served: bool = False,
    tell: RaceProgress = lambda done, all: None,
) -> int:
    """Write the pages of seasons, which work from a folder and from a server.

    Args:
        store: The board.
        out: The folder to write, made where it is missing.
        seasons: Which seasons.
        secret_of: The secret of a sealed season, where all may know it; else its races, which
            would give its tracks away, are not shown.
        is_served: Whether the pages take entries.
        tell: Called as races are simulated for their poses.

    Returns:
        How many pages there are.

    Raises:
        BoardError: The folder holds other files than a board's pages, or cannot be written; or the
            board cannot be read.
    """
    try:
        _refuse_foreign(out)
        for folder in (out, out / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("board.css", *SCRIPT_FILES[: 1 + is_served]):
            write_atomically(out / name, (markup.FILES / name).read_bytes())
        rows = {season.digest: store.rows(season) for season in seasons}
        total, done, pages = sum(len(row.runs) for one in rows.values() for row in one), 0, 1
        views = []
        for season in seasons:
            view = _view(season, rows[season.digest], is_served)
            secret = secret_of(season)
            is_open = not season.sealed or secret is not None
            runs = season.runs(secret) if is_open else []
            view.roads.extend(_write_road(out, run) for run in runs)
            for row in view.rows:
                view.films[row.id] = _films(store, out, season, row, runs)
                done += len(row.runs)
                tell(done, total)
            pages += _write_pages(store, out / view.season.folder, view)
            views.append(view)
        write_atomically(out / "index.html", _index(views))
    except OSError as problem:
        raise BoardError(
            f"{out}: the pages cannot be written: {problem.strerror}; name a folder you may write"
        ) from problem
    return pages


def _refuse_foreign(out: Path) -> None:
    index = out / "index.html"
    if index.is_file() and markup.MARK in index.read_text(encoding="utf-8", errors="replace"):
        return
    if not index.exists() and (out / "board.css").is_file():
        return  # What was begun and cut short; the index is written last.
    if out.is_dir() and any(out.iterdir()):
        raise BoardError(
            f"{out} holds files that are not a board's pages, which are not written over; name a "
            "new or an empty folder with --out"
        )


def _view(season: Season, rows: list[Submission], is_served: bool) -> SeasonContext:
    standing: list[dict[str, Any]] = []
    others: dict[int, list[dict[str, Any]]] = {}
    for line in rank_with_others(rows, season):
        if line["rank"] is not None:
            standing.append(line)
            others[line["id"]] = []
        else:
            others[standing[-1]["id"]].append(line)
    return SeasonContext(season, standing, others, rows, is_served=is_served)


def _write_pages(store: BoardStore, folder: Path, view: SeasonContext) -> int:
    folder.mkdir(exist_ok=True)
    for row in view.rows:
        page = entry_page(view, row, _manifest(store, row), store.history(row.name))
        write_atomically(folder / f"entry-{row.id}.html", page)
    write_atomically(folder / "index.html", season_page(view))
    return 1 + len(view.rows)


def _manifest(store: BoardStore, row: Submission) -> Manifest | str:
    if row.entry_sha256 == HOUSE_DIGEST:
        return "a pilot that is a part of racer, without a package"
    try:
        return read_entry(store.entry_path(row.entry_sha256)).manifest
    except RacerError as problem:
        return str(problem)


def _films(
    store: BoardStore, out: Path, season: Season, row: Submission, runs: list[SeasonRun]
) -> list[RunRecording]:
    if not runs:
        return [RunRecording(None, "sealed", None) for _ in row.runs]
    if len(runs) != len(row.runs):
        return [RunRecording(None, "not a run of this season", False) for _ in row.runs]
    return [_film(store, out, season, row, number, run) for number, run in enumerate(runs)]


def _film(
    store: BoardStore, out: Path, season: Season, row: Submission, number: int, run: SeasonRun
) -> RunRecording:
    """The poses of one run, simulated again unless that was done before on the same platform."""
    kept = row.runs[number]
    told = [TRAJECTORY_FORMAT, platform_fingerprint(), row.season_digest, number, kept]
    key = "race-" + hashlib.sha256(canonical_json(told).encode()).hexdigest()[:24]
    path = out / "data" / f"{key}.js"
    content = _read(path)
    if content is None:
        try:
            result, verdict = verify_run(season, run, replay_of(store, row, number), kept)
        except RacerError as problem:
            return RunRecording(None, str(problem), None if "replay" not in kept else False)
        content = race_trajectory(result) | {"verdict": verdict.text, "is_fine": verdict.is_fine}
        _write(path, content)
    return RunRecording(key, content["verdict"], content["is_fine"])


def _write_road(out: Path, run: SeasonRun) -> str:
    track = load_track(run.track)
    content = road_outline(track.reversed() if run.direction == "reverse" else track)
    key = "road-" + hashlib.sha256(canonical_json(content).encode()).hexdigest()[:24]
    path = out / "data" / f"{key}.js"
    if not path.is_file():
        _write(path, content)
    return key


def _write(path: Path, content: dict[str, Any]) -> None:
    text = f'{_HEAD}"{path.stem}",{markup.embedded(content)}{_TAIL}'
    write_atomically(path, text.encode())


def _read(path: Path) -> dict[str, Any] | None:
    """What `_write` wrote; None where it did not."""
    head = f'{_HEAD}"{path.stem}",'
    try:
        text = path.read_text()
        if not text.startswith(head) or not text.endswith(_TAIL):
            return None
        content = json.loads(text[len(head) : -len(_TAIL)])
        return content if {"verdict", "is_fine"} <= content.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _index(views: list[SeasonContext]) -> bytes:
    body = markup.header("The leaderboard", note="Every time here can be simulated again.")
    cards = ""
    for view in views:
        season = view.season
        led = f" · leads: {escape(view.leaders)}" if view.leaders else ""
        cards += (
            f'<a class="card" href="{view.season.folder}/index.html"><h2>{escape(season.name)}</h2>'
            f"<p>{escape(season.description)}</p>"
            f"<p>{len(view.standing)} in the standing · {season.race.laps} laps · "
            f"{escape(season.race.kind.replace('_', ' '))}{led}</p></a>"
        )
    body += f'<div class="cards">{cards}</div>' if cards else '<p class="none">No season yet.</p>'
    return markup.page("racer's leaderboard", f"<main>{body}</main>")
