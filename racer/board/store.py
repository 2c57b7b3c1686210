"""The board on disk: what was judged, appended and never changed. All of SQLite is here."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from racer import __version__
from racer.assets.atomic import write_atomically
from racer.board.season import Season
from racer.errors import BoardError
from racer.policy.entry import LABEL, Entry, is_label

SCHEMA_VERSION = 1
HOUSE = "house"
"""Stands for the digest of a pilot, which is a part of racer and has no package."""
WAIT = 30.0
"""How long one writer waits for another [s]."""

_TABLES = """
CREATE TABLE season (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    fields TEXT NOT NULL
);
CREATE TABLE submission (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created TEXT NOT NULL,
    season_digest TEXT NOT NULL REFERENCES season (digest),
    name TEXT NOT NULL,
    entry_sha256 TEXT NOT NULL,
    result TEXT NOT NULL,
    racer_version TEXT NOT NULL
);
CREATE INDEX submission_season ON submission (season_digest);
"""
# An INSERT OR REPLACE deletes without the trigger for it, so it needs one of its own.
_GUARDS = """
CREATE TRIGGER {table}_keep BEFORE DELETE ON {table}
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no DELETE'); END;
CREATE TRIGGER {table}_fix BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no UPDATE'); END;
CREATE TRIGGER {table}_new BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no REPLACE'); END;
"""
_SCHEMA = _TABLES + "".join(
    _GUARDS.format(table=table, key=key)
    for table, key in (("season", "digest"), ("submission", "id"))
)


@dataclass(frozen=True)
class Row:
    """One judged submission.

    Attributes:
        id: Its place in the order of submission, from 1.
        created: When it was added, ISO 8601 in UTC.
        season: The season's name.
        season_digest: The season's digest.
        name: What the board calls the entry.
        entry_sha256: SHA-256 of the entry's package; `HOUSE` for a pilot.
        result: `LapResult.as_dict()`.
        racer_version: The racer that judged it.
    """

    id: int
    created: str
    season: str
    season_digest: str
    name: str
    entry_sha256: str
    result: dict[str, Any]
    racer_version: str


def board_folder() -> Path:
    """Where the board lies by default: the folder RACER_BOARD, or `board` where one works."""
    return Path(os.environ.get("RACER_BOARD") or "board")


class Store:
    """A board's rows, in `board.sqlite3`, and each submitted package, in `entries/`.

    Safe for several processes at once. No connection outlives a call.

    Args:
        folder: The board's folder, made where it is missing; `board_folder()` if not given.

    Raises:
        BoardError: The folder cannot be written, or what lies there is no board of this racer.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = board_folder() if folder is None else Path(folder)
        self.path = self.folder / "board.sqlite3"
        try:
            (self.folder / "entries").mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise self._unwritable(problem) from problem
        with _alone_in(self.folder), self._connect() as database:
            self._prepare(database)

    def add(self, season: Season, name: str, entry: Entry | None, result: dict[str, Any]) -> Row:
        """Append what the judge found, after the entry's package is safely kept.

        Args:
            season: The season it was judged by.
            name: What the board calls the entry.
            entry: The entry that was judged; None for a pilot, made again by its racer version.
            result: `LapResult.as_dict()`.

        Returns:
            The row as it was stored.

        Raises:
            BoardError: It cannot be written; then the board has no part of the row.
        """
        if not name or not is_label(name):
            raise BoardError(f"the name {name!r:.200} does not fit a board; wanted are {LABEL}")
        text = json.dumps(result, sort_keys=True, allow_nan=False)
        digest = entry.sha256 if entry else HOUSE
        if entry:
            self._keep(entry)
        with self._connect() as database:
            database.execute("BEGIN IMMEDIATE")  # waits here for another writer, nowhere else
            database.execute(
                "INSERT INTO season SELECT ?1, ?2, ?3 "
                "WHERE NOT EXISTS (SELECT 1 FROM season WHERE digest = ?1)",
                (season.digest, season.name, season.canonical),
            )
            # Taken inside the transaction, so that the clock's order is the rows' order.
            created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            added = database.execute(
                "INSERT INTO submission (created, season_digest, name, entry_sha256, result, "
                "racer_version) VALUES (?, ?, ?, ?, ?, ?)",
                (created, season.digest, name, digest, text, __version__),
            )
            database.execute("COMMIT")
        assert added.lastrowid is not None
        return Row(
            id=added.lastrowid,
            created=created,
            season=season.name,
            season_digest=season.digest,
            name=name,
            entry_sha256=digest,
            result=json.loads(text),
            racer_version=__version__,
        )

    def rows(self, season: Season) -> list[Row]:
        """All rows of a season, in the order in which they were added."""
        with self._connect() as database:
            found = database.execute(
                "SELECT id, created, season.name, season_digest, submission.name, entry_sha256, "
                "result, racer_version FROM submission JOIN season ON digest = season_digest "
                "WHERE season_digest = ? ORDER BY id",
                (season.digest,),
            ).fetchall()
        return [Row(*head, result=json.loads(text), racer_version=v) for *head, text, v in found]

    def entry_path(self, sha256: str) -> Path:
        """Where the package with that digest is kept."""
        return self.folder / "entries" / f"{sha256}.entry.zip"

    def _keep(self, entry: Entry) -> None:
        try:
            write_atomically(self.entry_path(entry.sha256), entry.content)
        except OSError as problem:
            raise self._unwritable(problem) from problem

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection for one call; closing it rolls back what was not committed."""
        try:
            database = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
            try:
                database.execute("PRAGMA foreign_keys = ON")
                database.execute("PRAGMA synchronous = FULL")
                yield database
            finally:
                database.close()
        except sqlite3.Error as problem:
            raise BoardError(
                f"{self.path}: the board cannot be used: {problem}; check that the file is a "
                "board and may be written, or name another folder with RACER_BOARD"
            ) from problem

    def _prepare(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise BoardError(
                f"{self.path}: schema {version} is newer than this racer's {SCHEMA_VERSION}; "
                "update racer, or name another folder with RACER_BOARD"
            )
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BoardError(
                f"{self.path}: a database, but not a board; name another folder with RACER_BOARD"
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )

    def _unwritable(self, problem: OSError) -> BoardError:
        return BoardError(
            f"{self.folder}: the board's folder cannot be written: {problem.strerror}; name "
            "another with RACER_BOARD"
        )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes out while a board is made: SQLite does not wait to change to WAL."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
