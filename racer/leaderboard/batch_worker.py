"""Single races of a season on their way through worker processes, and what is kept of each."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from functools import lru_cache
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any, NamedTuple

from racer.assets.atomic import write_atomically
from racer.entries.entry_check import check_entry
from racer.entries.package import Entry, read_entry
from racer.errors import BoardError, EntryError, RacerError
from racer.leaderboard.fingerprint import platform_fingerprint
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import BoardStore
from racer.leaderboard.verification import evaluate_run, road_sha256


class RaceJob(NamedTuple):
    """One race of one entry: what a worker is told, all of it."""

    path: str
    sha256: str
    season: Season
    run: SeasonRun
    number: int

    @property
    def key(self) -> str:
        """SHA-256 of all that the result depends on: entry, season, run, road and platform."""
        told = [self.sha256, self.season.digest, self.number, self.run.seed]
        told += [_road_sha256(self.run.track), platform_fingerprint()]
        return hashlib.sha256(canonical_json(told).encode()).hexdigest()


class JobOutcome(NamedTuple):
    """What came of a piece of work, in plain values, which pass between processes.

    `code` is empty where it went well; else `said` tells why it was refused. `took` is its time
    [s], `value` what it came to, and `content` the replay's file.
    """

    code: str
    said: str
    took: float
    value: dict[str, Any]
    content: bytes = b""


class ResultCache:
    """What finished races came to, in files that are named by what they depend on.

    Args:
        store: The board, in whose folder they lie.
    """

    def __init__(self, store: BoardStore) -> None:
        self._store, self._folder = store, store.folder / "results"
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as problem:
            raise BoardError(f"{self._folder}: cannot be made: {problem.strerror}") from problem

    def find(self, key: str) -> dict[str, Any] | None:
        """What is kept under a key; None where nothing is, or where its replay is gone."""
        try:
            kept = json.loads((self._folder / f"{key}.json").read_text())
            digest = kept.get("replay")
        except (OSError, ValueError, AttributeError):
            return None
        if digest is not None and not self._store.replay_path(digest).is_file():
            return None
        return kept

    def keep(self, key: str, outcome: JobOutcome) -> dict[str, Any]:
        """Keep what came of a race, its replay first, and return it as a row keeps it."""
        value = outcome.value
        if outcome.content:
            value = value | {"replay": self._store.keep_replay(outcome.content)}
        try:
            write_atomically(self._folder / f"{key}.json", canonical_json(value).encode())
        except OSError as problem:
            raise BoardError(f"{self._folder}: cannot be written: {problem.strerror}") from problem
        return value


def check_key(sha256: str) -> str:
    """The key under which the check of an entry is kept."""
    return hashlib.sha256(
        canonical_json(["check", sha256, platform_fingerprint()]).encode()
    ).hexdigest()


def begin_worker() -> None:
    """Prepare a worker: it leaves Ctrl-C to its parent, and ends when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run_race_job(heat: RaceJob) -> JobOutcome:
    """Judge one race, in a worker."""
    began = time.perf_counter()
    try:
        figures, content = evaluate_run(heat.season, heat.run, _entry(heat.path, heat.sha256))
    except RacerError as problem:
        return _refusal(problem, began)
    return JobOutcome("", "", time.perf_counter() - began, figures, content)


def run_check_job(path: str, sha256: str) -> JobOutcome:
    """Check an entry as `racer board check` does, in a worker."""
    began = time.perf_counter()
    try:
        box = check_entry(_entry(path, sha256)).box
    except RacerError as problem:
        return _refusal(problem, began)
    return JobOutcome("", "", time.perf_counter() - began, {"box": box})


def _refusal(problem: RacerError, began: float) -> JobOutcome:
    code = problem.code if isinstance(problem, EntryError | BoardError) else "board"
    return JobOutcome(code, str(problem), time.perf_counter() - began, {})


@lru_cache(maxsize=2)
def _entry(path: str, sha256: str) -> Entry:
    entry = read_entry(Path(path))
    if entry.sha256 != sha256:
        raise EntryError(f"{path}: it was changed while it was judged; judge it again", "hash")
    return entry


@lru_cache(maxsize=64)
def _road_sha256(track: str) -> str:
    return road_sha256(track)
