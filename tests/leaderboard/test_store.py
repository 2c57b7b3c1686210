"""The board on disk: what is added stays, whoever else adds at the same time."""

import re
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from racer import __version__
from racer.entries.package import read_entry
from racer.errors import BoardError
from racer.leaderboard import board_database, board_files, database_schema
from racer.leaderboard.season import SeasonRaceConfig
from racer.leaderboard.store import BoardStore, Submission
from tests.helpers.boards import RESULT, SPRING, make_entry, sql


def test_what_is_added_is_read_back_digit_for_digit(store, entry):
    added = store.add(SPRING, "Łódź 🏎", entry, [RESULT])
    assert store.rows(SPRING) == [added]
    assert BoardStore(store.folder).rows(SPRING) == [added]
    assert added == Submission(
        id=1,
        created=added.created,
        season="spring",
        season_digest=SPRING.digest,
        name="Łódź 🏎",
        entry_sha256=entry.sha256,
        runs=[RESULT],
        racer_version=__version__,
        box="none",
        signer="",
        hash=added.hash,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", added.created)


def test_a_season_shows_its_own_rows_only_in_the_order_they_came(store, entry):
    other = SPRING.model_copy(update={"race": SeasonRaceConfig(laps=5, time_limit=60)})
    for season, name in ((SPRING, "one"), (other, "two"), (SPRING, "three")):
        store.add(season, name, entry, [RESULT])
    assert [row.name for row in store.rows(SPRING)] == ["one", "three"]
    assert [row.name for row in store.rows(other)] == ["two"]
    assert store.rows(SPRING.model_copy(update={"seeds": (9,)})) == []


def test_the_board_keeps_the_rules_of_each_season(store, entry):
    store.add(SPRING, "one", entry, [RESULT])
    store.add(SPRING, "two", entry, [RESULT])
    ((digest, name, fields),) = sql(store, "SELECT digest, name, fields FROM season")
    assert (digest, name) == (SPRING.digest, "spring")
    assert fields == SPRING.canonical


def test_the_board_keeps_the_package_as_it_was_judged(store, entry, tmp_path):
    """Even where the file that was read has changed since."""
    make_entry(tmp_path, b"another graph")
    store.add(SPRING, "swift", entry, [RESULT])
    kept = read_entry(store.entry_path(entry.sha256))
    assert (kept.sha256, kept.policy) == (entry.sha256, b"a graph")


def test_the_board_is_in_the_folder_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RACER_BOARD", raising=False)
    assert BoardStore().folder == Path("board")
    assert (tmp_path / "board" / "board.sqlite3").is_file()
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "elsewhere"))
    assert BoardStore().folder == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET name = 'x'",
        "DELETE FROM record",
        "UPDATE season SET name = 'x'",
        "DELETE FROM season",
        "INSERT OR REPLACE INTO record SELECT 1, created, kind, season_digest, 'x', about, body, "
        "hash FROM record",
        "INSERT OR REPLACE INTO season SELECT digest, 'x', fields FROM season",
        "INSERT INTO record SELECT 9, created, kind, season_digest, 'x', about, body, 'h' "
        "FROM record",
    ],
)
def test_what_is_added_cannot_be_changed_or_taken_away(store, entry, statement):
    added = store.add(SPRING, "swift", entry, [RESULT])
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        sql(store, statement)
    assert store.rows(SPRING) == [added]


def test_a_row_without_its_season_is_refused_by_the_database(store):
    row = "INSERT INTO record VALUES (1, '', 'submission', 'none', '', NULL, '{}', 'hash')"
    with pytest.raises(BoardError, match="FOREIGN KEY"), store.database.writing() as connection:
        connection.exec_driver_sql(row)


def test_a_name_that_could_forge_a_line_is_refused(subtests, store, entry):
    for name in ["", "x" * 61, "two\nlines", "\x1b[2J", "\u202eback", " x"]:
        with subtests.test(name=name):
            with pytest.raises(BoardError, match="does not fit a board"):
                store.add(SPRING, name, entry, [RESULT])
            assert store.rows(SPRING) == []


def test_a_result_that_is_not_plain_json_leaves_nothing(store, entry):
    with pytest.raises(ValueError, match="JSON"):
        store.add(SPRING, "swift", entry, [replace(RESULT, best_lap_s=float("nan"))])
    assert store.rows(SPRING) == []
    assert list((store.folder / "entries").iterdir()) == []


def test_a_row_that_fails_halfway_leaves_nothing_and_a_second_try_works(store, entry, monkeypatch):
    monkeypatch.setattr(board_database, "chain_hash", lambda *_: None)
    with pytest.raises(BoardError, match="NOT NULL"):
        store.add(SPRING, "swift", entry, [RESULT])
    assert sql(store, "SELECT count(*) FROM season") == [(0,)]
    monkeypatch.undo()
    assert store.add(SPRING, "swift", entry, [RESULT]).name == "swift"


def test_a_full_disk_is_a_sentence_and_leaves_nothing(store, entry, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(board_files, "write_atomically", full)
    with pytest.raises(BoardError, match="No space left on device"):
        store.add(SPRING, "swift", entry, [RESULT])
    assert store.rows(SPRING) == []


def test_a_board_on_a_server_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BoardError, match=r"not installed; pip install .*psycopg"):
        BoardStore("postgresql://racer@localhost/racer")


def test_files_at_a_url_without_the_extra_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(BoardError, match=r"not installed .*pip install .*fsspec"):
        BoardStore(tmp_path, "s3://bucket/board")


def test_a_file_in_the_folders_place_is_a_sentence(tmp_path):
    (tmp_path / "board").write_text("")
    with pytest.raises(BoardError, match="folder cannot be written"):
        BoardStore(tmp_path / "board")


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    path = tmp_path / "board.sqlite3"
    path.write_bytes(b"my diary, page 1" * 100)
    with pytest.raises(BoardError, match="not a database"):
        BoardStore(tmp_path)
    assert path.read_bytes() == b"my diary, page 1" * 100


def test_a_database_that_is_no_board_is_refused_and_kept(tmp_path):
    path = tmp_path / "board.sqlite3"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE recipes (name)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(BoardError, match="not a board"):
        BoardStore(tmp_path)
    assert path.read_bytes() == before


def test_a_board_of_a_newer_racer_is_refused(store):
    sql(store, f"PRAGMA user_version = {database_schema.SCHEMA_VERSION + 1}")
    with pytest.raises(BoardError, match="newer than this racer's"):
        BoardStore(store.folder)


def test_the_board_is_ready_for_several_readers_and_a_crash(store):
    assert sql(store, "PRAGMA journal_mode") == [("wal",)]
    assert sql(store, "PRAGMA user_version") == [(database_schema.SCHEMA_VERSION,)]
    with store.database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragmas == {"foreign_keys": 1, "synchronous": 2, "busy_timeout": 30_000}


def test_a_withdrawal_and_a_dispute_are_rows_that_stand_beside_the_submission(store, entry):
    for name in ("one", "two"):
        store.add(SPRING, name, entry, [RESULT])
    store.dispute(1, "cuts the last bend")
    store.withdraw(1, "the wrong file")
    one, two = store.rows(SPRING)
    assert (one.withdrawn, one.disputes) == ("the wrong file", ("cuts the last bend",))
    assert (two.withdrawn, two.disputes) == (None, ())
    assert store.row(1) == one
    assert [record.kind for record in store.history("one")] == [
        "submission",
        "dispute",
        "withdrawal",
    ]
    assert [record.about for record in store.history("one")] == [None, 1, 1]
    assert store.chain().fault is None


def test_a_submission_is_withdrawn_once_and_only_one_that_is_there(store, entry):
    store.add(SPRING, "one", entry, [RESULT])
    store.withdraw(1, "the wrong file")
    with pytest.raises(BoardError, match="withdrawn before"):
        store.withdraw(1, "again")
    with pytest.raises(BoardError, match="no submission 2"):
        store.dispute(2, "a withdrawal is no submission")
    with pytest.raises(BoardError, match="1 to 500 printable"):
        store.dispute(1, "two\nlines")


def test_a_name_has_its_history_over_all_seasons(store, entry):
    other = SPRING.model_copy(update={"name": "autumn"})
    for season, name in ((SPRING, "one"), (SPRING, "two"), (other, "one")):
        store.add(season, name, entry, [RESULT])
    assert [(record.id, record.season) for record in store.history("one")] == [
        (1, "spring"),
        (3, "autumn"),
    ]


def test_a_season_whose_secret_is_out_takes_no_more(store, entry):
    store.add(SPRING, "one", entry, [RESULT])
    store.reveal(SPRING, "secret")
    assert store.reveal(SPRING, "secret").id == 2, "and is revealed once"
    with pytest.raises(BoardError, match="spring is closed"):
        store.add(SPRING, "late", entry, [RESULT])
    assert len(store.rows(SPRING)) == 1
