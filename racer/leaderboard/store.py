"""The board on disk: what was judged, appended and never changed. All of SQLite is here."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from racer import __version__
from racer.assets.atomic import write_atomically
from racer.entries.package import Entry
from racer.errors import BoardError
from racer.leaderboard.database_schema import (
    CREATE_ALL,
    CREATE_RECORDS,
    SCHEMA_VERSION,
    migrate_body_to_version_2,
)
from racer.leaderboard.hash_chain import (
    GENESIS_HASH,
    ChainReport,
    canonical_json,
    chain_hash,
    check_chain,
)
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season
from racer.leaderboard.submissions import (
    ChainRecord,
    Submission,
    board_name,
    submission_body,
    submission_in,
    submissions_in,
)

HOUSE_DIGEST = "house"
"""Stands for the digest of a pilot, which is a part of racer and has no package."""
WRITE_LOCK_TIMEOUT_S = 30.0
"""How long one writer waits for another [s]."""
_COLUMNS: tuple[str, ...] = "id", "created", "kind", "season_digest", "name", "about", "body"


def board_folder() -> Path:
    """Where the board lies by default: the folder RACER_BOARD, or `board` where one works."""
    return Path(os.environ.get("RACER_BOARD") or "board")


class BoardStore:
    """A board's records, in `board.sqlite3`; each package in `entries/`, each run in `replays/`.

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
            for kept in ("entries", "replays"):
                (self.folder / kept).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise self._unwritable(problem) from problem
        with _alone_in(self.folder), self._connect() as database:
            self._prepare(database)

    def add(
        self,
        season: Season,
        name: str,
        entry: Entry | None,
        runs: Sequence[RunResult],
        box: str = "none",
        signer: str = "",
    ) -> Submission:
        """Append what the judge found, after the entry's package is safely kept.

        Args:
            season: The season it was judged by.
            name: What the board calls the entry.
            entry: The entry that was judged; None for a pilot, made again by its racer version.
            runs: The result of each of the season's runs, in the season's order.
            box: What held the policy while it was judged.
            signer: Who signed the entry.

        Returns:
            The row as it was stored.

        Raises:
            BoardError: It cannot be written; then the board has no part of the row.
        """
        name = board_name(name)
        digest = entry.sha256 if entry else HOUSE_DIGEST
        body = submission_body(digest, runs, box, signer, __version__)
        canonical_json(body)  # refused before anything is written
        if entry:
            self._keep(self.entry_path(entry.sha256), entry.content)
        with self._adding() as database:
            _refuse_closed(database, season)
            return submission_in(self._append(database, "submission", season, name, None, body))

    def withdraw(self, id: int, why: str) -> ChainRecord:
        """Take a submission out of the standing; its row stays.

        Raises:
            BoardError: See `refuse_remark`.
        """
        return self._remark("withdrawal", id, why)

    def dispute(self, id: int, why: str) -> ChainRecord:
        """Put a doubt beside a submission, which stays in the standing.

        Raises:
            BoardError: See `refuse_remark`.
        """
        return self._remark("dispute", id, why)

    def refuse_remark(self, id: int, why: str) -> Submission:
        """The submission that a withdrawal or a dispute is about, while it can be.

        Raises:
            BoardError: No submission has that number, it was withdrawn before, or `why` is not 1 to
                500 printable characters.
        """
        if not why.strip() or not why.isprintable() or len(why) > 500:
            got = f"{why!r:.80}" if why else "nothing"
            raise BoardError(f"why: got {got}; say why in 1 to 500 printable characters")
        row = self.row(id)
        if row.withdrawn is not None:
            raise _withdrawn_before(id, row.withdrawn)
        return row

    def open(self, season: Season) -> ChainRecord:
        """Publish a sealed season: from here on its secret's digest stands in the chain."""
        with self._adding() as database:
            body = {"sha256": season.sealed.sha256 if season.sealed else None}
            return self._append(database, "opening", season, "", None, body)

    def reveal(self, season: Season, secret: str) -> ChainRecord:
        """Publish a sealed season's secret, which closes the season."""
        with self._adding() as database:
            if found := _in_season(database, season.digest, "reveal"):
                return found[0]
            return self._append(database, "reveal", season, "", None, {"secret": secret})

    def revealed(self, digest: str) -> str | None:
        """The secret of the season with that digest, where it was revealed on this board."""
        with self._connect() as database:
            found = _in_season(database, digest, "reveal")
        return found[0].body["secret"] if found else None

    def refuse_closed(self, season: Season) -> None:
        """Nothing, while a season is open.

        Raises:
            BoardError: Its secret was revealed on this board.
        """
        with self._connect() as database:
            _refuse_closed(database, season)

    def rows(self, season: Season) -> list[Submission]:
        """All submissions of a season, in the order in which they were added.

        Those too that were added when the same season was written with fewer fields.
        """
        with self._connect() as database:
            known = database.execute(
                "SELECT digest, fields FROM season WHERE name = ?", (season.name,)
            )
            same = [digest for digest, fields in known.fetchall() if _is_same(fields, season)]
            marks = ", ".join("?" for _ in same)
            return submissions_in(_records(database, f"season_digest IN ({marks})", *same))

    def every_row(self) -> list[Submission]:
        """All submissions of the board, in the order in which they were added."""
        with self._connect() as database:
            return submissions_in(_records(database, "1"))

    def row(self, id: int) -> Submission:
        """One submission.

        Raises:
            BoardError: No submission has that number.
        """
        for row in self.every_row():
            if row.id == id:
                return row
        with self._connect() as database:
            found = _records(database, "id = ?", id) if 0 < id < 2**63 else []
        what = f"; record {id} is a {found[0].kind}" if found else ""
        about = f" of submission {found[0].about}" if found and found[0].about else ""
        raise BoardError(
            f"no submission {id} on the board {self.folder}{what}{about}; `racer board show` and "
            "`racer board history NAME` tell the ids"
        )

    def history(self, name: str) -> list[ChainRecord]:
        """All that happened to a name over all seasons, in its order."""
        with self._connect() as database:
            return _records(database, "record.name = ?", name)

    def season(self, digest: str) -> Season:
        """The rules that the board keeps under a digest.

        Raises:
            BoardError: It has no such season.
        """
        with self._connect() as database:
            found = database.execute(
                "SELECT fields FROM season WHERE digest = ?", (digest,)
            ).fetchone()
        if not found:
            raise BoardError(f"{self.path}: no season {digest[:12]}...")
        return Season.model_validate_json(found[0])

    def chain(self) -> ChainReport:
        """Walk along all records and check every hash, number and season's digest."""
        with self._connect() as database:
            columns = ", ".join(_COLUMNS)
            found = database.execute(f"SELECT {columns}, hash FROM record ORDER BY id").fetchall()
            seasons = dict(database.execute("SELECT digest, fields FROM season").fetchall())
        records = [(dict(zip(_COLUMNS, values)), kept) for *values, kept in found]
        return check_chain(records, seasons)

    def entry_path(self, sha256: str) -> Path:
        """Where the package with that digest is kept."""
        return self.folder / "entries" / f"{sha256}.entry.zip"

    def replay_path(self, sha256: str) -> Path:
        """Where the replay with that digest is kept."""
        return self.folder / "replays" / f"{sha256}.replay"

    def keep_replay(self, content: bytes) -> str:
        """Keep a run's replay before its row is added; returns the digest it is known by."""
        digest = hashlib.sha256(content).hexdigest()
        self._keep(self.replay_path(digest), content)
        return digest

    def snapshot(self, path: Path) -> None:
        """Write the database as it stands to a new file, while others may go on adding."""
        with self._connect() as database:
            copy = sqlite3.connect(path)
            try:
                database.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()

    def _remark(self, kind: str, id: int, why: str) -> ChainRecord:
        row = self.refuse_remark(id, why)
        with self._adding() as database:
            if gone := _about(database, id, "withdrawal"):
                raise _withdrawn_before(id, gone[0].body["why"])
            season = (row.season_digest, row.season)
            return self._append(database, kind, season, row.name, id, {"why": why.strip()})

    def _append(
        self,
        database: sqlite3.Connection,
        kind: str,
        season: Season | tuple[str, str],
        name: str,
        about: int | None,
        body: dict[str, Any],
    ) -> ChainRecord:
        """Add a record to the chain; called within a transaction."""
        if isinstance(season, Season):
            database.execute(
                "INSERT INTO season SELECT ?1, ?2, ?3 "
                "WHERE NOT EXISTS (SELECT 1 FROM season WHERE digest = ?1)",
                (season.digest, season.name, season.canonical),
            )
            season = season.digest, season.name
        digest, called = season
        # Taken inside the transaction, so that the clock's order is the records' order.
        created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        last = database.execute("SELECT id, hash FROM record ORDER BY id DESC LIMIT 1").fetchone()
        id, previous = (last[0] + 1, last[1]) if last else (1, GENESIS_HASH)
        text = canonical_json(body)
        hash = _insert(database, previous, (id, created, kind, digest, name, about, text))
        return ChainRecord(id, created, kind, called, digest, name, about, json.loads(text), hash)

    def _keep(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except OSError as problem:
            raise self._unwritable(problem) from problem

    @contextmanager
    def _adding(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is the only one to write; an error within leaves no part of it."""
        with self._connect() as database:
            database.execute("BEGIN IMMEDIATE")  # waits here for another writer, nowhere else
            yield database
            database.execute("COMMIT")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection for one call; closing it rolls back what was not committed."""
        try:
            database = sqlite3.connect(
                self.path, timeout=WRITE_LOCK_TIMEOUT_S, isolation_level=None
            )
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
        if version > SCHEMA_VERSION:
            raise BoardError(
                f"{self.path}: schema {version} is newer than this racer's {SCHEMA_VERSION}; "
                "update racer, or name another folder with RACER_BOARD"
            )
        if version:
            if database.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                database.execute("PRAGMA journal_mode = WAL")  # restored from one file
            if version == 1:
                _migrate(database)
            return
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BoardError(
                f"{self.path}: a database, but not a board; name another folder with RACER_BOARD"
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(
            f"BEGIN IMMEDIATE; {CREATE_ALL} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )

    def _unwritable(self, problem: OSError) -> BoardError:
        return BoardError(
            f"{self.folder}: the board's folder cannot be written: {problem.strerror}; name "
            "another with RACER_BOARD"
        )


def _insert(database: sqlite3.Connection, previous: str, values: tuple[Any, ...]) -> str:
    hash = chain_hash(previous, dict(zip(_COLUMNS, values)))
    marks = ", ".join("?" for _ in (*_COLUMNS, "hash"))
    columns = ", ".join(_COLUMNS)
    database.execute(f"INSERT INTO record ({columns}, hash) VALUES ({marks})", (*values, hash))
    return hash


def _migrate(database: sqlite3.Connection) -> None:
    """Make a board of version 1 one of version 2, all or nothing: its rows become the chain."""
    database.executescript(f"BEGIN IMMEDIATE; {CREATE_RECORDS}")
    old = database.execute(
        "SELECT created, season_digest, name, result, entry_sha256, racer_version "
        "FROM submission ORDER BY id"
    ).fetchall()
    previous = GENESIS_HASH
    for id, (created, digest, name, result, *rest) in enumerate(old, start=1):
        body = migrate_body_to_version_2(json.loads(result), *rest)
        values = (id, created, "submission", digest, name, None, body)
        previous = _insert(database, previous, values)
    database.execute("DROP TABLE submission")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.execute("COMMIT")


def _records(database: sqlite3.Connection, where: str, *values: Any) -> list[ChainRecord]:
    found = database.execute(
        "SELECT id, created, kind, season.name, season_digest, record.name, about, body, hash "
        f"FROM record JOIN season ON digest = season_digest WHERE {where} ORDER BY id",
        values,
    ).fetchall()
    return [ChainRecord(*head, body=json.loads(body), hash=hash) for *head, body, hash in found]


def _in_season(database: sqlite3.Connection, digest: str, kind: str) -> list[ChainRecord]:
    return _records(database, "season_digest = ? AND kind = ?", digest, kind)


def _is_same(fields: str, season: Season) -> bool:
    try:
        return Season.model_validate_json(fields) == season
    except ValidationError:
        return False


def _refuse_closed(database: sqlite3.Connection, season: Season) -> None:
    if _in_season(database, season.digest, "reveal"):
        raise BoardError(
            f"season {season.name} is closed: its secret was revealed; submit to one that is open",
            "closed",
        )


def _withdrawn_before(id: int, why: str) -> BoardError:
    return BoardError(f"submission {id} was withdrawn before ({why}); nothing is left to do")


def _about(database: sqlite3.Connection, id: int, kind: str) -> list[ChainRecord]:
    return _records(database, "about = ? AND kind = ?", id, kind)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes out while a board is made: SQLite does not wait to change to WAL."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
