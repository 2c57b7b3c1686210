"""The board: records that are added and never changed, and the files that they refer to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, insert, select

from racer import __version__
from racer.assets.caches import user_cache
from racer.assets.remote_files import is_remote
from racer.entries.package import Entry
from racer.errors import BoardError
from racer.leaderboard.board_database import (
    RECORD_COLUMNS,
    BoardDatabase,
    copy_tables,
    insert_record,
    is_database_url,
)
from racer.leaderboard.board_files import BoardFiles, folder_unwritable
from racer.leaderboard.database_schema import RECORD_TABLE, SEASON_TABLE
from racer.leaderboard.hash_chain import (
    GENESIS_HASH,
    ChainReport,
    canonical_json,
    check_chain,
)
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season
from racer.leaderboard.season_event import utc_text
from racer.leaderboard.submissions import (
    PERSON_DIGEST,
    ChainRecord,
    Submission,
    board_name,
    person_of,
    submission_body,
    submission_in,
    submissions_in,
)

HOUSE_DIGEST = "house"
"""Used as the digest of a pilot, a controller that is built into racer and has no package."""
DATABASE_FILE = "board.sqlite3"
_RECORD, _SEASON = RECORD_TABLE.c, SEASON_TABLE.c


def board_place() -> Path | str:
    """Return where the board is: RACER_BOARD, a folder or a URL, or `board` where one works."""
    place = os.environ.get("RACER_BOARD") or "board"
    return place if is_database_url(place) else Path(place)


def files_place() -> str | None:
    """Return where the files of a new board are to be: RACER_BOARD_FILES; None if not given."""
    return os.environ.get("RACER_BOARD_FILES") or None


def has_board() -> bool:
    """Return whether there is a board at `board_place`; opening one in a folder makes it."""
    place = board_place()
    return isinstance(place, str) or (place / DATABASE_FILE).is_file()


class BoardStore:
    """A board: records in a database, packages in `entries/`, replays in `replays/`.

    In a folder, the database is `board.sqlite3`, and its file `lock` is locked while the database
    is created. On PostgreSQL, the files are where RACER_BOARD_FILES said when the board was
    created.

    Several processes, on PostgreSQL on several machines, may use it at once. Each method opens the
    database and closes it again.

    Args:
        place: The board's folder, created if it is missing, or the URL of a PostgreSQL database;
            `board_place()` if not given.
        files: Where the files of a board without records are to be: a folder, or a URL that fsspec
            knows. If `place` is not given, RACER_BOARD_FILES. A board in a folder has them there by
            default.

    Raises:
        BoardError: The folder cannot be written, the database cannot be reached, is not a board or
            is of a newer racer, or the board's files are at another place.
    """

    def __init__(self, place: Path | str | None = None, files: Path | str | None = None) -> None:
        if place is None:
            place, files = board_place(), files or files_place()
        wanted = None if files is None else str(files)
        if wanted is not None and not is_remote(wanted):
            wanted = str(Path(wanted).resolve())
        if wanted is not None and is_remote(wanted):
            BoardFiles(_cache_folder(wanted), wanted)  # refuses what cannot be used
        if is_database_url(place):
            self.database = BoardDatabase(str(place))
        else:
            try:
                Path(place).mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise folder_unwritable(Path(place), problem) from problem
            self.database = BoardDatabase(Path(place) / DATABASE_FILE)
        kept = self.database.prepare(wanted) or str(place)
        has_url = is_remote(kept)
        folder = _cache_folder(kept) if has_url else Path(kept)
        self.files = BoardFiles(folder, kept if has_url else None)

    @property
    def place(self) -> str:
        """The board's folder or URL, without a password, for messages."""
        path = self.database.path
        return str(path.parent) if path else self.database.place

    @property
    def folder(self) -> Path:
        """The local folder of the board's files, or of their cache."""
        return self.files.folder

    @property
    def path(self) -> Path:
        """The database's file; raise BoardError if it is on a server."""
        if self.database.path is None:
            raise BoardError(f"{self.place}: the board has no file; it is on a server")
        return self.database.path

    def add(
        self,
        season: Season,
        name: str,
        entry: Entry | None,
        runs: Sequence[RunResult],
        box: str = "none",
        signer: str = "",
        digest: str = HOUSE_DIGEST,
        handed_in: str = "",
        within: Callable[[Connection, Submission], None] = lambda connection, added: None,
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
            handed_in: What `admit` returned before the evaluation; now by default. It is stored if
                the season has an `event`.
            within: Called in the same transaction with the added submission; if it raises an
                error, nothing is added.

        Raises:
            BoardError: The season takes no entries or no more of that person, the name is not
                allowed, or the board cannot be written; then no part of the submission is added.
        """
        name = board_name(name)
        digest = entry.sha256 if entry else digest
        body = submission_body(digest, runs, box, signer, __version__)
        canonical_json(body)  # raises ValueError for NaN before anything is written
        if entry:
            self.files.keep(_entry_file(entry.sha256), entry.content)
        with self.database.writing() as connection:
            now = utc_text(self.database.now(connection))
            _refuse_closed(connection, season)
            if season.event:
                handed_in = min(handed_in or now, now)
                _refuse_more(connection, season, (name, signer), handed_in)
                body["handed_in"] = handed_in
            added = submission_in(self._append(connection, "submission", season, name, None, body))
            within(connection, added)
            return added

    def admit(self, season: Season, name: str = "", signer: str = "", handed_in: str = "") -> str:
        """Return the time at which an entry is handed in, now by the store's clock.

        Args:
            season: The season.
            name: Name of the entry on the board; empty if it is not known yet.
            signer: Key that signed the entry; empty if it is not signed.
            handed_in: The time at which the entry was handed in, if that was before.

        Raises:
            BoardError: The season takes no entries at that time (code `early` or `closed`), or no
                more of that person (`limit`).
        """
        with self.database.reading() as connection:
            handed_in = handed_in or utc_text(self.database.now(connection))
            _refuse_closed(connection, season)
            if season.event:
                season.event.refuse_closed_at(handed_in, season.name)
                if name:
                    _refuse_more(connection, season, (name, signer), handed_in)
        return handed_in

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
        with self.database.writing() as connection:
            body = {"sha256": season.sealed.sha256 if season.sealed else None}
            return self._append(connection, "opening", season, "", None, body)

    def reveal(self, season: Season, secret: str) -> ChainRecord:
        """Add and return the reveal of a sealed season's secret, which closes the season."""
        with self.database.writing() as connection:
            if found := _in_season(connection, season.digest, "reveal"):
                return found[0]
            return self._append(connection, "reveal", season, "", None, {"secret": secret})

    def revealed(self, digest: str) -> str | None:
        """Return the revealed secret of the season with a digest; None if it is not revealed."""
        with self.database.reading() as connection:
            found = _in_season(connection, digest, "reveal")
        return found[0].body["secret"] if found else None

    def rows(self, season: Season) -> list[Submission]:
        """Return all submissions of a season, in the order in which they were added.

        Seasons of older boards have fewer fields; those with the same rules are the same season.
        """
        with self.database.reading() as connection:
            known = connection.execute(
                select(_SEASON.digest, _SEASON.fields).where(_SEASON.name == season.name)
            )
            same = [digest for digest, fields in known if _is_same(fields, season)]
            return submissions_in(_records(connection, _RECORD.season_digest.in_(same)))

    def every_row(self) -> list[Submission]:
        """Return all submissions of the board, in the order in which they were added."""
        with self.database.reading() as connection:
            return submissions_in(_records(connection))

    def row(self, id: int) -> Submission:
        """Return one submission; raise BoardError if no submission has that id."""
        for row in self.every_row():
            if row.id == id:
                return row
        with self.database.reading() as connection:
            found = _records(connection, _RECORD.id == id) if 0 < id < 2**31 else []
        what = f"; record {id} is a {found[0].kind}" if found else ""
        about = f" of submission {found[0].about}" if found and found[0].about else ""
        raise BoardError(
            f"no submission {id} on the board {self.place}{what}{about}; `racer board show` and "
            "`racer board history NAME` show the ids"
        )

    def history(self, name: str) -> list[ChainRecord]:
        """Return all records of a name in all seasons, in the order in which they were added."""
        with self.database.reading() as connection:
            return _records(connection, _RECORD.name == name)

    def season(self, digest: str) -> Season:
        """Return the season with a digest; raise BoardError if the board has no such season."""
        with self.database.reading() as connection:
            fields = connection.execute(
                select(_SEASON.fields).where(_SEASON.digest == digest)
            ).scalar()
        if fields is None:
            raise BoardError(f"{self.place}: no season {digest[:12]}...")
        return Season.model_validate_json(fields)

    def chain(self) -> ChainReport:
        """Return the result of checking the chain of all records; see `check_chain`."""
        with self.database.reading() as connection:
            columns = [RECORD_TABLE.c[column] for column in (*RECORD_COLUMNS, "hash")]
            found = connection.execute(select(*columns).order_by(_RECORD.id)).fetchall()
            known = connection.execute(select(_SEASON.digest, _SEASON.fields))
            seasons = {row.digest: row.fields for row in known}
        records = [(dict(zip(RECORD_COLUMNS, values)), kept) for *values, kept in found]
        return check_chain(records, seasons)

    def head(self) -> tuple[int, str]:
        """Return number and hash of the last record, which differ after each added one."""
        with self.database.reading() as connection:
            return _last(connection)

    def entry_path(self, sha256: str) -> Path:
        """Return the local path of the package with a SHA-256; it is fetched if it is elsewhere."""
        return self.files.path(_entry_file(sha256))

    def replay_path(self, sha256: str) -> Path:
        """Return the local path of the replay with a SHA-256; it is fetched if it is elsewhere."""
        return self.files.path(_replay_file(sha256))

    def keep_replay(self, content: bytes) -> str:
        """Write a replay's file, and return its SHA-256; call it before `add`."""
        digest = hashlib.sha256(content).hexdigest()
        self.files.keep(_replay_file(digest), content)
        return digest

    def snapshot(self, path: Path) -> None:
        """Copy the records to a new SQLite file; other processes may add records meanwhile."""
        self.database.snapshot(path)

    def copy_records(self, other: BoardStore) -> None:
        """Copy all seasons and records to another board, in one transaction.

        Raises:
            BoardError: The other board has records already.
        """
        with (
            self.database.reading() as source,
            other.database.writing() as target,
        ):
            if _last(target)[0]:
                raise BoardError(
                    f"{other.place} has records already; name an empty board as the target"
                )
            copy_tables(source, target)

    def _remark(self, kind: str, id: int, why: str) -> ChainRecord:
        row = self.refuse_remark(id, why)
        with self.database.writing() as connection:
            if gone := _about(connection, id, "withdrawal"):
                raise _withdrawn_before(id, gone[0].body["why"])
            season = (row.season_digest, row.season)
            return self._append(connection, kind, season, row.name, id, {"why": why.strip()})

    def _append(
        self,
        connection: Connection,
        kind: str,
        season: Season | tuple[str, str],
        name: str,
        about: int | None,
        body: dict[str, Any],
    ) -> ChainRecord:
        """Add a record to the chain; called within a writing transaction."""
        if isinstance(season, Season):
            keep_season(connection, season)
            season = season.digest, season.name
        digest, called = season
        # Within the transaction, so that the times have the same order as the records.
        created = utc_text(self.database.now(connection))
        id, previous = _last(connection)
        text = canonical_json(body)
        values = (id + 1, created, kind, digest, name, about, text)
        hash = insert_record(connection, previous, values)
        return ChainRecord(
            id + 1, created, kind, called, digest, name, about, json.loads(text), hash
        )


def keep_season(connection: Connection, season: Season) -> None:
    """Store a season's rules if they are not there; called within a writing transaction."""
    there = select(_SEASON.digest).where(_SEASON.digest == season.digest)
    if connection.execute(there).first() is None:
        values = {"digest": season.digest, "name": season.name, "fields": season.canonical}
        connection.execute(insert(SEASON_TABLE).values(**values))


def packages_and_replays(rows: Sequence[Submission]) -> list[str]:
    """Return the names of the files that submissions refer to, each once, in order."""
    entries = {row.entry_sha256 for row in rows} - {HOUSE_DIGEST, PERSON_DIGEST}
    replays = {run.replay for row in rows for run in row.runs if run.replay}
    return sorted([_entry_file(one) for one in entries] + [_replay_file(one) for one in replays])


def _entry_file(sha256: str) -> str:
    return f"entries/{sha256}.entry.zip"


def _replay_file(sha256: str) -> str:
    return f"replays/{sha256}.replay"


def _cache_folder(url: str) -> Path:
    """Return the local folder in which the files at a URL are kept."""
    cache = user_cache()
    if cache is None:
        raise BoardError(f"files at {url} want a local folder: name one with XDG_CACHE_HOME")
    return cache / "racer" / "boards" / hashlib.sha256(url.encode()).hexdigest()[:16]


def _last(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last record; 0 and `GENESIS_HASH` without any."""
    newest = select(_RECORD.id, _RECORD.hash).order_by(_RECORD.id.desc()).limit(1)
    found = connection.execute(newest).first()
    return (found[0], found[1]) if found else (0, GENESIS_HASH)


def _records(connection: Connection, *conditions: ColumnElement[bool]) -> list[ChainRecord]:
    columns = (
        *(_RECORD.id, _RECORD.created, _RECORD.kind, _SEASON.name, _RECORD.season_digest),
        *(_RECORD.name, _RECORD.about, _RECORD.body, _RECORD.hash),
    )
    joined = RECORD_TABLE.join(SEASON_TABLE, _SEASON.digest == _RECORD.season_digest)
    asked = select(*columns).select_from(joined).where(*conditions).order_by(_RECORD.id)
    return [
        ChainRecord(*head, body=json.loads(body), hash=hash)
        for *head, body, hash in connection.execute(asked).fetchall()
    ]


def _in_season(connection: Connection, digest: str, kind: str) -> list[ChainRecord]:
    return _records(connection, _RECORD.season_digest == digest, _RECORD.kind == kind)


def _is_same(fields: str, season: Season) -> bool:
    try:
        return Season.model_validate_json(fields) == season
    except ValidationError:
        return False


def _refuse_closed(connection: Connection, season: Season) -> None:
    if _in_season(connection, season.digest, "reveal"):
        raise BoardError(
            f"season {season.name} is closed: its secret was revealed; submit to one that is open",
            "closed",
        )


def _refuse_more(
    connection: Connection, season: Season, competitor: tuple[str, str], handed_in: str
) -> None:
    """Raise BoardError if a season's event takes no entry of a person at a time."""
    rules = season.event
    if rules is None:
        return
    phase = rules.refuse_closed_at(handed_in, season.name)
    if rules.entries_per_person is None:
        return
    person = person_of(season, *competitor)
    rows = _in_season(connection, season.digest, "submission")
    count = sum(
        person_of(season, row.name, row.signer) == person
        and season.phase_at(row.submitted) == phase
        for row in map(submission_in, rows)
    )
    if count >= rules.entries_per_person:
        who = f"the key {competitor[1][:8]}" if competitor[1] else competitor[0]
        raise BoardError(
            f"season {season.name} takes {rules.entries_per_person} entries of a person in its "
            f"{phase} phase, and {who} has handed in {count}",
            "limit",
        )


def _withdrawn_before(id: int, why: str) -> BoardError:
    return BoardError(f"submission {id} was withdrawn before ({why}); nothing is left to do")


def _about(connection: Connection, id: int, kind: str) -> list[ChainRecord]:
    return _records(connection, _RECORD.about == id, _RECORD.kind == kind)
