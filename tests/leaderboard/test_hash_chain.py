"""The chain tells of every byte that was changed behind the board's back."""

import hashlib
import json
import sqlite3

import pytest

from racer.leaderboard.hash_chain import GENESIS_HASH
from racer.leaderboard.ranking import rank
from racer.leaderboard.season import SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from tests.helpers.boards import RESULT, SPRING, forge, sql

OLD = """
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
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
CREATE TRIGGER season_keep BEFORE DELETE ON season
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no DELETE'); END;
CREATE TRIGGER season_fix BEFORE UPDATE ON season
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no UPDATE'); END;
CREATE TRIGGER season_new BEFORE INSERT ON season
WHEN EXISTS (SELECT 1 FROM season WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no REPLACE'); END;
CREATE TRIGGER submission_keep BEFORE DELETE ON submission
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no DELETE'); END;
CREATE TRIGGER submission_fix BEFORE UPDATE ON submission
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no UPDATE'); END;
CREATE TRIGGER submission_new BEFORE INSERT ON submission
WHEN EXISTS (SELECT 1 FROM submission WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a board is append-only: no REPLACE'); END;
PRAGMA user_version = 1;
COMMIT;
"""
"""The schema of version 1, and the season of its time."""
FIELDS = (
    '{"description":"","laps":3,"name":"spring","off_track_penalty":3.0,"ranking":"total",'
    '"seed":0,"time_limit":60.0,"track":"bowtie"}'
)


@pytest.fixture
def filled(store, entry):
    for name in ("one", "two", "three"):
        store.add(SPRING, name, entry, [RESULT])
    return store


def old_board(folder):
    (folder / "entries").mkdir(parents=True)
    database = sqlite3.connect(folder / "board.sqlite3", isolation_level=None)
    database.executescript(OLD)
    digest = hashlib.sha256(FIELDS.encode()).hexdigest()
    database.execute("INSERT INTO season VALUES (?, 'spring', ?)", (digest, FIELDS))
    for name in ("one", "two", "three"):
        values = (
            "2026-01-01T00:00:00Z",
            digest,
            name,
            "house",
            json.dumps(RESULT.as_json()),
            "0.1.0",
        )
        database.execute(
            "INSERT INTO submission (created, season_digest, name, entry_sha256, result, "
            "racer_version) VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )
    database.close()
    return digest


def test_each_record_is_hashed_with_the_one_before(filled):
    first, second, third = sql(filled, "SELECT * FROM record ORDER BY id")
    for before, (*values, kept) in (
        (GENESIS_HASH, first),
        (first[-1], second),
        (second[-1], third),
    ):
        keys = ("id", "created", "kind", "season_digest", "name", "about", "body")
        text = json.dumps(dict(zip(keys, values)), sort_keys=True, separators=(",", ":"))
        assert kept == hashlib.sha256((before + text).encode()).hexdigest()
    chain = filled.chain()
    assert chain.fault is None
    assert chain.hashes == [row.hash for row in filled.rows(SPRING)]
    assert chain.head == third[-1]


def test_an_empty_board_has_an_empty_chain(store):
    assert (store.chain().head, store.chain().fault) == (GENESIS_HASH, None)


@pytest.mark.parametrize(
    ("statement", "fault", "whole"),
    [
        ("UPDATE record SET name = 'x' WHERE id = 2", "record 2 was changed", 1),
        ("UPDATE record SET created = created || 'Z' WHERE id = 1", "record 1 was changed", 0),
        ("UPDATE record SET body = replace(body, '9.123', '8.123')", "record 1 was changed", 0),
        ("UPDATE record SET kind = 'dispute' WHERE id = 3", "record 3 was changed", 2),
        ("UPDATE record SET about = 1 WHERE id = 3", "record 3 was changed", 2),
        ("DELETE FROM record WHERE id = 2", "record 2 is missing", 1),
        ("UPDATE season SET fields = replace(fields, '60', '61')", "season of record 1", 0),
    ],
)
def test_what_was_changed_is_found(filled, statement, fault, whole):
    forge(filled, (statement,))
    chain = filled.chain()
    assert fault in (chain.fault or "")
    assert len(chain.hashes) == whole


def test_a_tail_that_was_cut_off_is_told_by_whoever_noted_the_head(filled):
    head = filled.chain().head
    forge(filled, ("DELETE FROM record WHERE id = 3",))
    assert filled.chain().fault is None
    assert head not in filled.chain().hashes


def test_a_board_of_version_1_is_taken_over_with_its_rows_chained(tmp_path):
    digest = old_board(tmp_path / "board")
    store = BoardStore(tmp_path / "board")
    rows = store.every_row()
    assert [(row.id, row.name, row.season) for row in rows] == [
        (1, "one", "spring"),
        (2, "two", "spring"),
        (3, "three", "spring"),
    ]
    for row in rows:
        assert (row.runs, row.entry_sha256, row.racer_version) == ([RESULT], "house", "0.1.0")
        assert (row.created, row.season_digest) == ("2026-01-01T00:00:00Z", digest)
        assert (row.box, row.signer) == ("none", "")
    assert store.chain().fault is None
    assert len(store.chain().hashes) == 3
    assert store.add(SPRING, "four", None, [RESULT]).id == 4
    assert [row.id for row in store.rows(SPRING)] == [1, 2, 3, 4], "of one season all the while"
    assert (
        store.rows(SPRING.model_copy(update={"race": SeasonRaceConfig(laps=4, time_limit=60)}))
        == []
    )
    assert [line.name for line in rank(rows, SPRING)] == ["one", "two", "three"]
    assert BoardStore(tmp_path / "board").chain().hashes == store.chain().hashes
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        sql(store, "UPDATE record SET name = 'x'")


def test_a_migration_that_fails_halfway_leaves_the_old_board(tmp_path, monkeypatch):
    old_board(tmp_path / "board")
    with monkeypatch.context() as broken:
        broken.setattr(
            "racer.leaderboard.board_database.migrate_body_to_version_2", lambda *_: 1 / 0
        )
        with pytest.raises(ZeroDivisionError):
            BoardStore(tmp_path / "board")
    assert len(BoardStore(tmp_path / "board").every_row()) == 3
