"""Write a board's pages into a folder: each page atomically, each race's poses only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from racer.assets.atomic import write_atomically
from racer.entries.package import Manifest, read_entry
from racer.errors import BoardError, EngineError, RacerError
from racer.leaderboard.explained_entry import kept_entry_card
from racer.leaderboard.fingerprint import platform_fingerprint
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.pages import markup
from racer.leaderboard.pages.context import RunRecording, SeasonContext
from racer.leaderboard.pages.entry_page import entry_page
from racer.leaderboard.pages.season_page import season_page
from racer.leaderboard.pages.trajectory import TRAJECTORY_FORMAT, race_trajectory, road_outline
from racer.leaderboard.ranking import RankedSubmission, rank_with_others
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import HOUSE_DIGEST, BoardStore
from racer.leaderboard.submissions import PERSON_DIGEST, Submission
from racer.leaderboard.verification import replay_of, verify_run
from racer.track import load_track

SCRIPT_FILES = ("replay.js", "desk.js")
_HEAD, _TAIL = "racerData(", ");\n"
RaceProgress = Callable[[int, int], None]
"""Called with the number of simulated races, and the number of all races."""


def seasons_of(store: BoardStore) -> list[Season]:
    """Return the seasons that have submissions, each once, the latest first."""
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
    """Write the pages of seasons; they work from a folder and from a server.

    Args:
        store: The board.
        out: The folder to write; it is created if necessary.
        seasons: The seasons.
        secret_of: Returns the secret of a sealed season if it is public, else None; then the races
            are not shown, because they would reveal the tracks.
        is_served: Whether the pages take entries.
        tell: Called as races are simulated for their poses.

    Returns:
        The number of pages.

    Raises:
        BoardError: The folder holds other files than a board's pages, the folder cannot be
            written, or the board cannot be read.
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
                if is_open and (card := kept_entry_card(row, season)):
                    view.cards[row.id] = card
                view.recordings[row.id] = _recordings(store, out, season, row, runs)
                done += len(row.runs)
                tell(done, total)
            pages += _write_pages(store, out / view.season.folder, view)
            views.append(view)
        write_atomically(out / "index.html", markup.render_page("index.html", views=views))
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
        return  # An earlier write was interrupted; the index is written last.
    if out.is_dir() and any(out.iterdir()):
        raise BoardError(
            f"{out} holds files that are not a board's pages, which are not written over; name a "
            "new or an empty folder with --out"
        )


def _view(season: Season, rows: list[Submission], is_served: bool) -> SeasonContext:
    standing: list[RankedSubmission] = []
    others: dict[int, list[RankedSubmission]] = {}
    for line in rank_with_others(rows, season):
        if line.rank is not None:
            standing.append(line)
            others[line.id] = []
        else:
            others[standing[-1].id].append(line)
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
    if row.entry_sha256 == PERSON_DIGEST:
        return "a person, who drove by hand"
    try:
        return read_entry(store.entry_path(row.entry_sha256)).manifest
    except RacerError as problem:
        return str(problem)


def _recordings(
    store: BoardStore, out: Path, season: Season, row: Submission, runs: list[SeasonRun]
) -> list[RunRecording]:
    if not runs:
        return [RunRecording(None, "sealed", None) for _ in row.runs]
    if len(runs) != len(row.runs):
        return [RunRecording(None, "not a run of this season", False) for _ in row.runs]
    return [_recording(store, out, season, row, number, run) for number, run in enumerate(runs)]


def _recording(
    store: BoardStore, out: Path, season: Season, row: Submission, number: int, run: SeasonRun
) -> RunRecording:
    """Return the replay of a run; it is simulated again unless this platform did so before."""
    kept = row.runs[number]
    told = [TRAJECTORY_FORMAT, platform_fingerprint(), row.season_digest, number, kept.as_json()]
    key = "race-" + hashlib.sha256(canonical_json(told).encode()).hexdigest()[:24]
    path = out / "data" / f"{key}.js"
    content = _read(path)
    if content is None:
        try:
            result, verdict = verify_run(season, run, replay_of(store, row, number), kept)
        except EngineError as problem:  # This machine cannot tell.
            return RunRecording(None, str(problem), None)
        except RacerError as problem:
            return RunRecording(None, str(problem), None if kept.replay is None else False)
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
    """Return what `_write` wrote; None if the file is missing or different."""
    head = f'{_HEAD}"{path.stem}",'
    try:
        text = path.read_text(encoding="utf-8")
        if not text.startswith(head) or not text.endswith(_TAIL):
            return None
        content = json.loads(text[len(head) : -len(_TAIL)])
        return content if {"verdict", "is_fine"} <= content.keys() else None
    except (OSError, ValueError, AttributeError):
        return None
