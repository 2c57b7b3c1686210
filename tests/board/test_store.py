"""The board on disk: what is added stays, whoever else adds at the same time."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from racer import __version__
from racer.board import store as room
from racer.board.season import Season
from racer.board.store import Row, Store
from racer.car.actions import ActionSpace
from racer.errors import BoardError
from racer.policy.entry import TrainedOn, read_entry, write_entry
from racer.sensors.config import CameraConfig

SPRING = Season(name="spring", track="bowtie", time_limit=60)
RESULT: dict[str, Any] = {
    "track": "bowtie",
    "seed": 0,
    "laps": 3,
    "laps_completed": 2,
    "lap_times_s": [9.123456789012345, 1 / 3],
    "off_tracks": 1,
    "total_time_s": None,
    "best_lap_s": 1 / 3,
}


@pytest.fixture
def entry(tmp_path):
    return make_entry(tmp_path, b"a graph")


def make_entry(folder, policy):
    path = folder / "swift.entry.zip"
    trained = TrainedOn(
        track="bowtie", config_sha256="a" * 64, reward_sha256="b" * 64, steps=1, seed=0
    )
    write_entry(
        path,
        policy,
        name="swift",
        env="racer/TimeTrial-v0",
        sensor=(CameraConfig(),),
        actions=ActionSpace(),
        trained_on=trained,
    )
    return read_entry(path)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "deep" / "board")


def sql(store, *statement):
    database = sqlite3.connect(store.path, isolation_level=None)
    try:
        return database.execute(*statement).fetchall()
    finally:
        database.close()


def test_what_is_added_is_read_back_digit_for_digit(store, entry):
    added = store.add(SPRING, "Łódź 🏎", entry, RESULT)
    assert store.rows(SPRING) == [added]
    assert Store(store.folder).rows(SPRING) == [added]
    assert added == Row(
        id=1,
        created=added.created,
        season="spring",
        season_digest=SPRING.digest,
        name="Łódź 🏎",
        entry_sha256=entry.sha256,
        result=RESULT,
        racer_version=__version__,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", added.created)


def test_a_season_shows_its_own_rows_only_in_the_order_they_came(store, entry):
    other = SPRING.model_copy(update={"laps": 5})
    for season, name in ((SPRING, "one"), (other, "two"), (SPRING, "three")):
        store.add(season, name, entry, RESULT)
    assert [row.name for row in store.rows(SPRING)] == ["one", "three"]
    assert [row.name for row in store.rows(other)] == ["two"]
    assert store.rows(SPRING.model_copy(update={"seed": 9})) == []


def test_the_board_keeps_the_rules_of_each_season(store, entry):
    store.add(SPRING, "one", entry, RESULT)
    store.add(SPRING, "two", entry, RESULT)
    ((digest, name, fields),) = sql(store, "SELECT digest, name, fields FROM season")
    assert (digest, name) == (SPRING.digest, "spring")
    assert Season.model_validate_json(fields) == SPRING


def test_the_board_keeps_the_package_as_it_was_judged(store, entry, tmp_path):
    """Even where the file that was read has changed since."""
    make_entry(tmp_path, b"another graph")
    store.add(SPRING, "swift", entry, RESULT)
    kept = read_entry(store.entry_path(entry.sha256))
    assert (kept.sha256, kept.policy) == (entry.sha256, b"a graph")


def test_the_board_is_in_the_folder_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RACER_BOARD", raising=False)
    assert Store().folder == Path("board")
    assert (tmp_path / "board" / "board.sqlite3").is_file()
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "elsewhere"))
    assert Store().folder == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE submission SET name = 'x'",
        "DELETE FROM submission",
        "UPDATE season SET name = 'x'",
        "DELETE FROM season",
        "INSERT OR REPLACE INTO submission SELECT 1, created, season_digest, 'x', entry_sha256, "
        "result, racer_version FROM submission",
        "INSERT OR REPLACE INTO season SELECT digest, 'x', fields FROM season",
    ],
)
def test_what_is_added_cannot_be_changed_or_taken_away(store, entry, statement):
    added = store.add(SPRING, "swift", entry, RESULT)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        sql(store, statement)
    assert store.rows(SPRING) == [added]


def test_a_row_without_its_season_is_refused_by_the_database(store):
    with pytest.raises(BoardError, match="FOREIGN KEY"), store._connect() as database:
        database.execute(
            "INSERT INTO submission (created, season_digest, name, entry_sha256, result, "
            "racer_version) VALUES ('', 'none', '', '', '', '')"
        )


@pytest.mark.parametrize("name", ["", "x" * 61, "two\nlines", "\x1b[2J", "\u202eback", " x"])
def test_a_name_that_could_forge_a_line_is_refused(store, entry, name):
    with pytest.raises(BoardError, match="does not fit a board"):
        store.add(SPRING, name, entry, RESULT)
    assert store.rows(SPRING) == []


def test_a_result_that_is_not_plain_json_leaves_nothing(store, entry):
    with pytest.raises(ValueError, match="JSON"):
        store.add(SPRING, "swift", entry, RESULT | {"best_lap_s": float("nan")})
    assert store.rows(SPRING) == []
    assert list((store.folder / "entries").iterdir()) == []


def test_a_row_that_fails_halfway_leaves_nothing_and_a_second_try_works(store, entry, monkeypatch):
    monkeypatch.setattr(room, "__version__", None)
    with pytest.raises(BoardError, match="NOT NULL"):
        store.add(SPRING, "swift", entry, RESULT)
    assert sql(store, "SELECT count(*) FROM season") == [(0,)]
    monkeypatch.undo()
    assert store.add(SPRING, "swift", entry, RESULT).name == "swift"


def test_a_full_disk_is_a_sentence_and_leaves_nothing(store, entry, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "write_atomically", full)
    with pytest.raises(BoardError, match="No space left on device"):
        store.add(SPRING, "swift", entry, RESULT)
    assert store.rows(SPRING) == []


def test_a_file_in_the_folders_place_is_a_sentence(tmp_path):
    (tmp_path / "board").write_text("")
    with pytest.raises(BoardError, match="folder cannot be written"):
        Store(tmp_path / "board")


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    path = tmp_path / "board.sqlite3"
    path.write_bytes(b"my diary, page 1" * 100)
    with pytest.raises(BoardError, match="not a database"):
        Store(tmp_path)
    assert path.read_bytes() == b"my diary, page 1" * 100


def test_a_database_that_is_no_board_is_refused_and_kept(tmp_path):
    path = tmp_path / "board.sqlite3"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE recipes (name)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(BoardError, match="not a board"):
        Store(tmp_path)
    assert path.read_bytes() == before


def test_a_board_of_a_newer_racer_is_refused(store):
    sql(store, f"PRAGMA user_version = {room.SCHEMA_VERSION + 1}")
    with pytest.raises(BoardError, match="newer than this racer's"):
        Store(store.folder)


def test_the_board_is_ready_for_several_readers_and_a_crash(store):
    assert sql(store, "PRAGMA journal_mode") == [("wal",)]
    assert sql(store, "PRAGMA user_version") == [(room.SCHEMA_VERSION,)]
    with store._connect() as database:
        pragmas = {
            name: database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragmas == {"foreign_keys": 1, "synchronous": 2, "busy_timeout": 30_000}


ADDING = """
import json, sys
from racer.board.season import Season
from racer.board.store import Store
from racer.policy.entry import read_entry

folder, path, season, result, count = sys.argv[1:]
entry, season = read_entry(path), Season.model_validate_json(season)
print("ready", flush=True)
sys.stdin.readline()
for k in range(int(count)):
    Store(folder).add(season, f"car {k}", entry, json.loads(result))
"""


def adding(folder, entry, count):
    words = [str(folder), str(entry.path), SPRING.model_dump_json(), json.dumps(RESULT), str(count)]
    return subprocess.Popen(
        [sys.executable, "-c", ADDING, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_make_and_fill_a_board_at_once_lose_nothing(tmp_path, entry):
    folder, count = tmp_path / "board", 20
    processes = [adding(folder, entry, count) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    assert not folder.exists()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert errors == ""
        assert process.returncode == 0
    rows = Store(folder).rows(SPRING)
    assert [row.id for row in rows] == list(range(1, 3 * count + 1))
    names = [f"car {k}" for k in range(count)]
    assert sorted(row.name for row in rows) == sorted(names * 3)
    assert [row.created for row in rows] == sorted(row.created for row in rows)
    assert len(list((folder / "entries").iterdir())) == 1


def test_a_process_killed_while_it_adds_leaves_whole_rows_only(store, entry):
    process = adding(store.folder, entry, 10_000)
    try:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        while len(store.rows(SPRING)) < 5:
            assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    rows = store.rows(SPRING)
    assert [row.result for row in rows] == [RESULT] * len(rows)
    assert sql(store, "PRAGMA integrity_check") == [("ok",)]
    assert store.add(SPRING, "after", entry, RESULT).id == len(rows) + 1
