"""The board's database: SQLite in a file, or PostgreSQL by its URL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from racer.assets.extras import how_to_install
from racer.errors import BoardError
from racer.leaderboard.database_schema import (
    JOB_TABLE,
    METADATA,
    RECORD_TABLE,
    SCHEMA_VERSION,
    SETTING_TABLE,
    migrate_body_to_version_2,
)
from racer.leaderboard.hash_chain import GENESIS_HASH, chain_hash

WRITE_LOCK_TIMEOUT_S = 30.0
"""How long a process waits for another one to finish writing [s]."""
POSTGRESQL_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_CREATION_LOCK = 0x7261636572
"""Number of the advisory lock under which a board is created in PostgreSQL: `racer` in ASCII."""
RECORD_COLUMNS: tuple[str, ...] = (
    "id",
    "created",
    "kind",
    "season_digest",
    "name",
    "about",
    "body",
)


def is_database_url(place: str | Path) -> bool:
    """Return whether a board's place is a URL and not a folder."""
    return "://" in str(place)


class BoardDatabase:
    """The database of a board. Several processes and machines may use it at once.

    Each use opens a connection and closes it again.

    Args:
        place: The path of an SQLite file, or a URL `postgresql://USER:PASSWORD@HOST/DATABASE`.

    Raises:
        BoardError: The URL is not of PostgreSQL, or the packages for it are not installed.
    """

    def __init__(self, place: Path | str) -> None:
        self.path = None if is_database_url(place) else Path(place)
        url = _postgresql_url(str(place)) if self.path is None else _sqlite_url(self.path)
        self.place = str(self.path) if self.path else _without_secrets(url)
        """The path, or the URL without password and options: for messages."""
        more: dict[str, Any] = {}
        if self.path:
            more["connect_args"] = {"timeout": WRITE_LOCK_TIMEOUT_S}
        try:
            self._engine = create_engine(url, poolclass=NullPool, **more)
        except ModuleNotFoundError as problem:
            raise BoardError(
                f"a board on PostgreSQL wants {problem.name}, which is not installed; "
                f"{how_to_install('board')}"
            ) from problem
        if self.path:
            _let_transactions_begin_by_hand(self._engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the board while other processes write."""
        with self._connection() as connection:
            if self.path is None:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open the only writing transaction; if an error is raised in it, nothing is written."""
        with self._connection() as connection:
            if self.path:
                connection = connection.execution_options(begin_sqlite="BEGIN IMMEDIATE")
            else:
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():  # waits here, and only here, for other writers
                if self.path is None:
                    wait_ms = int(1000 * WRITE_LOCK_TIMEOUT_S)
                    connection.execute(text(f"SET LOCAL lock_timeout = {wait_ms}"))
                    # An acknowledged record survives a crash of the server.
                    connection.execute(text("SET LOCAL synchronous_commit = on"))
                    connection.execute(text("LOCK TABLE record IN EXCLUSIVE MODE"))
                yield connection

    def now(self, connection: Connection) -> datetime:
        """Return the store's time in UTC: PostgreSQL's, or this machine's for a file."""
        if self.path:
            return machine_time()
        return (
            connection.execute(select(func.clock_timestamp())).scalar_one().astimezone(timezone.utc)
        )

    def prepare(self, files: str | None) -> str | None:
        """Create the tables if there are none, migrate older ones, and return `files` as recorded.

        Args:
            files: Where the files are to be, of a board without records; None if they are where
                they were, and for a new board beside its database.

        Raises:
            BoardError: The database is not a board, is of a newer racer, or has its files at
                another place.
        """
        if self.path:
            with _alone_in(self.path.parent), self._connection() as connection:
                self._prepare_file(connection, files)
        else:
            self._prepare_server(files)
        with self.reading() as connection:
            kept = _setting(connection, "files")
            is_empty = not any(_has_rows(connection, one) for one in (RECORD_TABLE, JOB_TABLE))
        if files is None or files == kept:
            return kept
        if not is_empty:
            raise BoardError(
                f"{self.place}: the board's files are {f'at {kept}' if kept else 'beside it'}, not "
                f"at {files}: unset RACER_BOARD_FILES, or copy the board there with "
                "`racer board migrate`"
            )
        with self.writing() as connection:
            connection.execute(delete(SETTING_TABLE).where(SETTING_TABLE.c.name == "files"))
            _set(connection, "files", files)
        return files

    def snapshot(self, path: Path) -> None:
        """Copy seasons and records to a new SQLite file; others may write meanwhile."""
        copy = BoardDatabase(path)
        if self.path is None:
            copy.prepare(None)
            with self.reading() as source, copy.writing() as target:
                copy_tables(source, target)
            return
        with self._connection() as connection:
            _driver(connection).execute("VACUUM INTO ?", (str(path),))
        with copy.writing() as target:  # the queue and the place of the files are not copied
            for table in (JOB_TABLE, SETTING_TABLE):
                target.execute(delete(table))

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Open a connection for one use; changes that are not committed are rolled back."""
        driver_error = self._engine.dialect.loaded_dbapi.Error
        try:
            with self._engine.connect() as connection:
                yield connection
        except (DBAPIError, driver_error) as problem:
            said = problem.orig if isinstance(problem, DBAPIError) else problem
            is_passing = isinstance(said, self._engine.dialect.loaded_dbapi.OperationalError)
            remedy = (
                "check that the file is a board and may be written, or name another folder"
                if self.path
                else "check that the server runs and the URL is right, or name another board"
            )
            raise BoardError(
                f"{self.place}: the board cannot be used: {' '.join(str(said).split())}; {remedy} "
                "with RACER_BOARD",
                "unreachable" if is_passing else "board",
            ) from problem

    def _prepare_file(self, connection: Connection, files: str | None) -> None:
        driver = _driver(connection)
        (version,) = driver.execute("PRAGMA user_version").fetchone()
        self._refuse_newer(version)
        if not version and driver.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise self._no_board()
        if driver.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            driver.execute("PRAGMA journal_mode = WAL")  # it is new, or restored from a backup
        if version == SCHEMA_VERSION:
            return
        with connection.execution_options(begin_sqlite="BEGIN IMMEDIATE").begin():
            if version == 1:
                RECORD_TABLE.create(connection)
                _chain_rows_of_version_1(connection)
            METADATA.create_all(connection)
            if not version:
                _set(connection, "files", files)
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))

    def _prepare_server(self, files: str | None) -> None:
        with self._connection() as connection, connection.begin():
            connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
            there = inspect(connection)
            if there.has_table(SETTING_TABLE.name):
                version = _setting(connection, "schema_version")
                self._refuse_newer(int(version or 0))
                return
            if there.has_table(RECORD_TABLE.name) or there.has_table("season"):
                raise self._no_board()
            if files is None:
                raise BoardError(
                    f"{self.place}: a new board on PostgreSQL wants a place for its packages and "
                    "replays: name a folder, or a URL such as s3://BUCKET/PREFIX that every "
                    "machine reaches, with RACER_BOARD_FILES"
                )
            METADATA.create_all(connection)
            _set(connection, "files", files)
            _set(connection, "schema_version", str(SCHEMA_VERSION))

    def _refuse_newer(self, version: int) -> None:
        if version > SCHEMA_VERSION:
            raise BoardError(
                f"{self.place}: schema {version} is newer than this racer's {SCHEMA_VERSION}; "
                "update racer, or name another board with RACER_BOARD"
            )

    def _no_board(self) -> BoardError:
        return BoardError(
            f"{self.place}: a database, but not a board; name another one with RACER_BOARD"
        )


def machine_time() -> datetime:
    """Return this machine's time in UTC."""
    return datetime.now(timezone.utc)


def copy_tables(source: Connection, target: Connection) -> int:
    """Copy all seasons and records to an empty board, and return the number of records.

    Args:
        source: A connection to the board.
        target: A writing connection to the other board.
    """
    count = 0
    for table in (METADATA.tables["season"], RECORD_TABLE):
        rows = source.execute(select(table).order_by(*table.primary_key)).yield_per(1000)
        for part in rows.mappings().partitions(1000):
            target.execute(insert(table), [dict(row) for row in part])
            count += len(part) * (table is RECORD_TABLE)
    return count


def _postgresql_url(place: str) -> URL:
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):  # its message would repeat the password
        url = None
    if url is None or url.drivername not in POSTGRESQL_SCHEMES:
        scheme = place.partition("://")[0]
        raise BoardError(
            f"{scheme:.20}://...: no board; wanted is a folder, or postgresql://USER@HOST/DATABASE"
        )
    return url.set(drivername="postgresql+psycopg")


def _sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def _without_secrets(url: URL) -> str:
    """Return a URL of PostgreSQL as a message may show it."""
    shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database)
    return shown.render_as_string()


def _let_transactions_begin_by_hand(engine: Engine) -> None:
    """Let SQLite's transactions begin as SQLAlchemy says, not as Python's sqlite3 guesses."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin_sqlite", "BEGIN"))


def _driver(connection: Connection) -> Any:
    """Return the driver's own connection, on which no transaction has begun."""
    return connection.connection.driver_connection


def _setting(connection: Connection, name: str) -> str | None:
    column = SETTING_TABLE.c
    return connection.execute(select(column.value).where(column.name == name)).scalar()


def _has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(table).limit(1)).first() is not None


def _set(connection: Connection, name: str, value: str | None) -> None:
    if value is not None:
        connection.execute(insert(SETTING_TABLE).values(name=name, value=value))


def insert_record(connection: Connection, previous: str, values: tuple[Any, ...]) -> str:
    """Add a record, and return its hash; called within a writing transaction.

    Args:
        connection: The connection.
        previous: The hash of the record before, or `GENESIS_HASH`.
        values: Every column but the hash: id, created, kind, season_digest, name, about, body.
    """
    record = dict(zip(RECORD_COLUMNS, values, strict=True))
    hash = chain_hash(previous, record)
    connection.execute(insert(RECORD_TABLE).values(**record, hash=hash))
    return hash


def _chain_rows_of_version_1(connection: Connection) -> None:
    """Turn the submissions of a board of version 1 into chained records."""
    old = connection.execute(
        text(
            "SELECT created, season_digest, name, result, entry_sha256, racer_version "
            "FROM submission ORDER BY id"
        )
    ).fetchall()
    previous = GENESIS_HASH
    for id, (created, digest, name, result, *rest) in enumerate(old, start=1):
        body = migrate_body_to_version_2(json.loads(result), *rest)
        values = (id, created, "submission", digest, name, None, body)
        previous = insert_record(connection, previous, values)
    connection.execute(text("DROP TABLE submission"))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder while a board is created: SQLite does not wait for a change to WAL."""
    with ExitStack() as locked:
        with suppress(OSError):  # a folder that cannot be written: no board is created there
            locked.enter_context(FileLock(folder / "lock"))
        yield
