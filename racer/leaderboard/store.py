"""The board on disk: records that are added and never changed. Only this module uses SQLite."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock
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
"""Used as the digest of a pilot, a controller that is built into racer and has no package."""
WRITE_LOCK_TIMEOUT_S = 30.0
"""How long a process waits for another one to finish writing [s]."""
_COLUMNS: tuple[str, ...] = "id", "created", "kind", "season_digest", "name", "about", "body"


def board_folder() -> Path:
    """Return the board's folder: RACER_BOARD, or `board` in the working directory."""
    return Path(os.environ.get("RACER_BOARD") or "board")


class BoardStore:
    """A board: records in `board.sqlite3`, packages in `entries/`, replays in `replays/`.

    Its file `lock` is locked while the database is created.

    Several processes may use it at once. Each method opens the database and closes it again.

    Args:
        folder: The board's folder, created if it is missing; `board_folder()` if not given.

    Raises:
        BoardError: The folder cannot be written, or holds a database that is not a board or is of
            a newer racer.
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
        digest: str = HOUSE_DIGEST,
    ) -> Submission:
        """Store an entry's package, then add a submission, and return it.

        Args:
            season: The season.
            name: Name of the entry on the board.
            entry: The evaluated entry; None for a pilot or a person.
            runs: The result of each of the season's runs, in the season's order.
            box: The sandbox that held the policy during the evaluation; `none` if none did.
            signer: Key that signed the entry; empty if it is not signed.
            digest: Used in place of a package's digest if there is no entry: `HOUSE_DIGEST` or
                `PERSON_DIGEST`.

        Raises:
            BoardError: The season is closed, the name is not allowed, or the board cannot be
                written; then no part of the submission is added.
        """
        name = board_name(name)
        digest = entry.sha256 if entry else digest
        body = submission_body(digest, runs, box, signer, __version__)
        canonical_json(body)  # raises ValueError for NaN before anything is written
        if entry:
            self._keep(self.entry_path(entry.sha256), entry.content)
        with self._adding() as database:
            _refuse_closed(database, season)
            return submission_in(self._append(database, "submission", season, name, None, body))

    def withdraw(self, id: int, why: str) -> ChainRecord:
        """Add and return a withdrawal, which takes a submission out of the ranking.

        Raises:
            BoardError: See `refuse_remark`.
        """
        return self._remark("withdrawal", id, why)

    def dispute(self, id: int, why: str) -> ChainRecord:
        """Add and return a dispute about a submission, which stays in the ranking.

        Raises:
            BoardError: See `refuse_remark`.
        """
        return self._remark("dispute", id, why)

    def refuse_remark(self, id: int, why: str) -> Submission:
        """Return the submission that can be withdrawn or disputed for a reason.

        Raises:
            BoardError: No submission has that id, it is withdrawn already, or `why` is not 1 to
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
        """Add and return the opening of a sealed season, with the SHA-256 of its secret."""
        with self._adding() as database:
            body = {"sha256": season.sealed.sha256 if season.sealed else None}
            return self._append(database, "opening", season, "", None, body)

    def reveal(self, season: Season, secret: str) -> ChainRecord:
        """Add and return the reveal of a sealed season's secret, which closes the season."""
        with self._adding() as database:
            if found := _in_season(database, season.digest, "reveal"):
                return found[0]
            return self._append(database, "reveal", season, "", None, {"secret": secret})

    def revealed(self, digest: str) -> str | None:
        """Return the revealed secret of the season with a digest; None if it is not revealed."""
        with self._connect() as database:
            found = _in_season(database, digest, "reveal")
        return found[0].body["secret"] if found else None

    def refuse_closed(self, season: Season) -> None:
        """Raise BoardError if a season is closed: its secret was revealed on this board."""
        with self._connect() as database:
            _refuse_closed(database, season)

    def rows(self, season: Season) -> list[Submission]:
        """Return all submissions of a season, in the order in which they were added.

        Seasons of older boards have fewer fields; those with the same rules are the same season.
        """
        with self._connect() as database:
            known = database.execute(
                "SELECT digest, fields FROM season WHERE name = ?", (season.name,)
            )
            same = [digest for digest, fields in known.fetchall() if _is_same(fields, season)]
            marks = ", ".join("?" for _ in same)
            return submissions_in(_records(database, f"season_digest IN ({marks})", *same))

    def every_row(self) -> list[Submission]:
        """Return all submissions of the board, in the order in which they were added."""
        with self._connect() as database:
            return submissions_in(_records(database, "1"))

    def row(self, id: int) -> Submission:
        """Return one submission; raise BoardError if no submission has that id."""
        for row in self.every_row():
            if row.id == id:
                return row
        with self._connect() as database:
            found = _records(database, "id = ?", id) if 0 < id < 2**63 else []
        what = f"; record {id} is a {found[0].kind}" if found else ""
        about = f" of submission {found[0].about}" if found and found[0].about else ""
        raise BoardError(
            f"no submission {id} on the board {self.folder}{what}{about}; `racer board show` and "
            "`racer board history NAME` show the ids"
        )

    def history(self, name: str) -> list[ChainRecord]:
        """Return all records of a name in all seasons, in the order in which they were added."""
        with self._connect() as database:
            return _records(database, "record.name = ?", name)

    def season(self, digest: str) -> Season:
        """Return the season with a digest; raise BoardError if the board has no such season."""
        with self._connect() as database:
            found = database.execute(
                "SELECT fields FROM season WHERE digest = ?", (digest,)
            ).fetchone()
        if not found:
            raise BoardError(f"{self.path}: no season {digest[:12]}...")
        return Season.model_validate_json(found[0])

    def chain(self) -> ChainReport:
        """Return the result of checking the chain of all records; see `check_chain`."""
        with self._connect() as database:
            columns = ", ".join(_COLUMNS)
            found = database.execute(f"SELECT {columns}, hash FROM record ORDER BY id").fetchall()
            seasons = dict(database.execute("SELECT digest, fields FROM season").fetchall())
        records = [(dict(zip(_COLUMNS, values)), kept) for *values, kept in found]
        return check_chain(records, seasons)

    def entry_path(self, sha256: str) -> Path:
        """Return the path of the package with a SHA-256."""
        return self.folder / "entries" / f"{sha256}.entry.zip"

    def replay_path(self, sha256: str) -> Path:
        """Return the path of the replay with a SHA-256."""
        return self.folder / "replays" / f"{sha256}.replay"

    def keep_replay(self, content: bytes) -> str:
        """Write a replay's file, and return its SHA-256; call it before `add`."""
        digest = hashlib.sha256(content).hexdigest()
        self._keep(self.replay_path(digest), content)
        return digest

    def snapshot(self, path: Path) -> None:
        """Copy the database to a new file; other processes may add records meanwhile."""
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
        # Within the transaction, so that the times have the same order as the records.
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
        """Open the only writing transaction; if an error is raised in it, nothing is written."""
        with self._connect() as database:
            database.execute("BEGIN IMMEDIATE")  # waits here, and only here, for other writers
            yield database
            database.execute("COMMIT")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one call; changes that are not committed are rolled back."""
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
                database.execute(
                    "PRAGMA journal_mode = WAL"
                )  # the board was restored from a backup
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
    """Migrate a board of version 1 in one transaction: its submissions become chained records."""
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
    """Lock the folder while a board is created: SQLite does not wait for a change to WAL."""
    with ExitStack() as locked:
        with suppress(OSError):  # a folder that cannot be written: no board is created there
            locked.enter_context(FileLock(folder / "lock"))
        yield
