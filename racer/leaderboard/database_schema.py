"""The SQL of the board's tables, and the migration of an older version's rows."""

from __future__ import annotations

from typing import Any

from racer.leaderboard.hash_chain import canonical_json

SCHEMA_VERSION = 2
RECORD_KINDS = ("submission", "withdrawal", "dispute", "opening", "reveal")

_TABLES = """
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    created TEXT NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ({kinds})),
    season_digest TEXT NOT NULL REFERENCES season (digest),
    name TEXT NOT NULL,
    about INTEGER REFERENCES record (id),
    body TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
);
CREATE INDEX record_season ON record (season_digest);
CREATE INDEX record_name ON record (name);
CREATE TRIGGER record_next BEFORE INSERT ON record
WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM record)
BEGIN SELECT RAISE(ABORT, 'a board is append-only: a record takes the next number'); END;
"""
_SEASONS = """
CREATE TABLE season (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    fields TEXT NOT NULL
);
"""
# INSERT OR REPLACE deletes a row without firing the DELETE trigger, so it has its own trigger.
_GUARDS = """
CREATE TRIGGER {table}_keep BEFORE DELETE ON {table}
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no DELETE'); END;
CREATE TRIGGER {table}_fix BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no UPDATE'); END;
CREATE TRIGGER {table}_new BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no REPLACE'); END;
"""
_QUOTED = ", ".join(f"'{kind}'" for kind in RECORD_KINDS)
CREATE_RECORDS = _TABLES.format(kinds=_QUOTED) + _GUARDS.format(table="record", key="id")
"""Creates what version 1 does not have; its table of seasons is the same."""
CREATE_ALL = _SEASONS + _GUARDS.format(table="season", key="digest") + CREATE_RECORDS


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
