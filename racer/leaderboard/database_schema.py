"""The board's tables and their triggers, in SQLite and in PostgreSQL, and older boards' rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    event,
)

from racer.leaderboard.hash_chain import canonical_json

SCHEMA_VERSION = 3
RECORD_KINDS = ("submission", "withdrawal", "dispute", "opening", "reveal")
JOB_STATES = ("waiting", "judging", "done", "refused")

METADATA = MetaData()
SEASON_TABLE = Table(
    "season",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("fields", Text, nullable=False),
)
RECORD_TABLE = Table(
    "record",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("created", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("season_digest", Text, ForeignKey("season.digest"), nullable=False),
    Column("name", Text, nullable=False),
    Column("about", Integer, ForeignKey("record.id")),
    Column("body", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    CheckConstraint("kind IN ({})".format(", ".join(f"'{one}'" for one in RECORD_KINDS))),
    Index("record_season", "season_digest"),
    Index("record_name", "name"),
)
"""The chained records, which are added and never changed."""
JOB_TABLE = Table(
    "job",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("handed_in", Text, nullable=False),
    Column("season_digest", Text, ForeignKey("season.digest"), nullable=False),
    Column("upload", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("ahead", Integer, nullable=False),
    Column("done", Integer, nullable=False, default=0),
    Column("races", Integer, nullable=False, default=0),
    Column("code", Text, nullable=False, default=""),
    Column("said", Text, nullable=False, default=""),
    Column("record_id", Integer, ForeignKey("record.id")),
    Column("place", Integer),
    Column("ranked", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("worker", Text, nullable=False, default=""),
    Column("leased_until_s", Float, nullable=False, default=0.0),
    CheckConstraint("state IN ({})".format(", ".join(f"'{one}'" for one in JOB_STATES))),
    Index("job_state", "state"),
)
"""The submission queue, whose rows change as the entries are evaluated."""
SETTING_TABLE = Table(
    "board_setting",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""`schema_version` where the database itself has no place for it, and `files`, where they are."""

# INSERT OR REPLACE deletes a row without firing the DELETE trigger, so it has its own trigger.
_SQLITE_GUARDS = (
    "CREATE TRIGGER {table}_keep BEFORE DELETE ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'a board is append-only: no DELETE'); END",
    "CREATE TRIGGER {table}_fix BEFORE UPDATE ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'a board is append-only: no UPDATE'); END",
    "CREATE TRIGGER {table}_new BEFORE INSERT ON {table} "
    "WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "
    "BEGIN SELECT RAISE(ABORT, 'a board is append-only: no REPLACE'); END",
)
_SQLITE_NEXT = (
    "CREATE TRIGGER record_next BEFORE INSERT ON record "
    "WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM record) "
    "BEGIN SELECT RAISE(ABORT, 'a board is append-only: a record takes the next number'); END"
)
_POSTGRESQL_GUARDS = (
    "CREATE FUNCTION {table}_keep() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "BEGIN RAISE EXCEPTION 'a board is append-only: no %%', TG_OP; END $$",
    "CREATE TRIGGER {table}_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION {table}_keep()",
)
_POSTGRESQL_NEXT = (
    "CREATE FUNCTION record_next() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "BEGIN IF NEW.id IS DISTINCT FROM (SELECT coalesce(max(id), 0) + 1 FROM record) THEN "
    "RAISE EXCEPTION 'a board is append-only: a record takes the next number'; END IF; "
    "RETURN NEW; END $$",
    "CREATE TRIGGER record_next BEFORE INSERT ON record "
    "FOR EACH ROW EXECUTE FUNCTION record_next()",
)


def _guard(table: Table, key: str) -> None:
    """Let the database refuse every change of a table's rows, from the table's creation on."""
    for dialect, statements in (("sqlite", _SQLITE_GUARDS), ("postgresql", _POSTGRESQL_GUARDS)):
        for statement in statements:
            ddl = DDL(statement.replace("{table}", table.name).replace("{key}", key))
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


_guard(SEASON_TABLE, "digest")
_guard(RECORD_TABLE, "id")
event.listen(RECORD_TABLE, "after_create", DDL(_SQLITE_NEXT).execute_if(dialect="sqlite"))
for _statement in _POSTGRESQL_NEXT:
    event.listen(RECORD_TABLE, "after_create", DDL(_statement).execute_if(dialect="postgresql"))


def migrate_body_to_version_2(result: dict[str, Any], entry_sha256: str, racer_version: str) -> str:
    """Return the body of a submission, as JSON, from the columns of version 1.

    Args:
        result: The result of the submission's only run.
        entry_sha256: SHA-256 of the entry's package; `HOUSE_DIGEST` for a pilot.
        racer_version: Version of racer that evaluated the entry.
    """
    return canonical_json(
        {
            "box": "none",
            "entry_sha256": entry_sha256,
            "racer_version": racer_version,
            "runs": [result],
            "signer": "",
        }
    )
