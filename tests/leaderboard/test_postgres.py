"""A board on a real PostgreSQL server: the same records, triggers and chain as in a file."""

import itertools
import os
import random
import signal
import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import replace

import pytest

from racer.errors import BoardError
from racer.leaderboard.backup import write_backup
from racer.leaderboard.board_copy import copy_board, restore_board
from racer.leaderboard.board_database import BoardDatabase
from racer.leaderboard.database_schema import SCHEMA_VERSION
from racer.leaderboard.store import BoardStore
from tests.helpers.boards import RESULT, SPRING, forked
from tests.helpers.stores import running_postgres

pytest.importorskip("psycopg", reason="needs racer's extra board: psycopg")


@pytest.fixture(scope="module")
def postgres():
    with running_postgres() as server:
        yield server


@pytest.fixture
def schema():
    return f"board_{uuid.uuid4().hex}"


@pytest.fixture
def url(postgres, schema):
    return postgres.url(schema)


@pytest.fixture
def shared(url, tmp_path):
    return BoardStore(url, tmp_path / "files")


def test_what_is_added_on_a_server_is_read_back_and_chained_as_in_a_file(shared, store, entry, url):
    for board in (shared, store):
        replay = board.keep_replay(b"a replay")
        board.add(SPRING, "Łódź 🏎", entry, [replace(RESULT, replay=replay)], signer="c" * 64)
        board.dispute(1, "cuts the last bend")
        board.withdraw(1, "the wrong file")
        board.open(SPRING)
        board.reveal(SPRING, "secret")
    assert BoardStore(url).every_row() == shared.every_row(), "the place of the files is known"
    assert BoardStore(url).replay_path(replay).read_bytes() == b"a replay"
    assert [replace(one, created="", hash="") for one in shared.history("Łódź 🏎")] == [
        replace(one, created="", hash="") for one in store.history("Łódź 🏎")
    ]
    assert shared.chain().fault is None
    assert len(shared.chain().hashes) == 5
    assert shared.revealed(SPRING.digest) == "secret"
    with pytest.raises(BoardError, match="spring is closed"):
        shared.add(SPRING, "late", None, [RESULT])
    with pytest.raises(BoardError, match="withdrawn before"):
        shared.withdraw(1, "again")


def test_the_server_refuses_what_a_board_never_does(subtests, postgres, schema, shared, entry):
    import psycopg

    added = shared.add(SPRING, "swift", entry, [RESULT])
    columns = "created, kind, season_digest, 'x', about, body"
    for statement in [
        "UPDATE record SET name = 'x'",
        "DELETE FROM record",
        "TRUNCATE record CASCADE",
        "UPDATE season SET name = 'x'",
        "DELETE FROM season",
        "TRUNCATE season CASCADE",
        f"INSERT INTO record SELECT 1, {columns}, hash FROM record "
        "ON CONFLICT (id) DO UPDATE SET name = 'x'",
        "INSERT INTO season SELECT digest, 'x', fields FROM season "
        "ON CONFLICT (digest) DO UPDATE SET name = 'x'",
        f"INSERT INTO record SELECT 9, {columns}, 'h' FROM record",
    ]:
        with (
            subtests.test(statement=statement),
            pytest.raises(psycopg.errors.RaiseException, match="append-only"),
        ):
            postgres.execute(f"SET search_path = {schema}", statement)
    assert shared.rows(SPRING) == [added]


def test_a_record_that_was_changed_on_the_server_is_found(postgres, schema, shared):
    for name in ("one", "two"):
        shared.add(SPRING, name, None, [RESULT])
    postgres.execute(
        f"SET search_path = {schema}",
        "ALTER TABLE record DISABLE TRIGGER ALL",
        "UPDATE record SET name = 'x' WHERE id = 2",
        "ALTER TABLE record ENABLE TRIGGER ALL",
    )
    assert "record 2 was changed" in (shared.chain().fault or "")


@pytest.mark.slow
def test_many_at_once_create_and_fill_one_board_in_one_chain(url, tmp_path):
    problems = []

    def submit():
        try:
            board = BoardStore(url, tmp_path / "files")
            for k in range(5):
                board.add(SPRING, f"car {k}", None, [RESULT])
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    board = BoardStore(url)
    assert [row.id for row in board.every_row()] == list(range(1, 41))
    assert board.chain().fault is None
    created = [row.created for row in board.every_row()]
    assert created == sorted(created)


def test_a_database_that_is_no_board_or_a_newer_one_is_refused(postgres, schema, url, tmp_path):
    with pytest.raises(BoardError, match="RACER_BOARD_FILES"):
        BoardStore(url)
    postgres.execute(f"CREATE TABLE {schema}.record (id int)")
    with pytest.raises(BoardError, match="not a board"):
        BoardStore(url, tmp_path)
    postgres.execute(f"DROP TABLE {schema}.record")
    BoardStore(url, tmp_path).open(SPRING)
    with pytest.raises(BoardError, match="board's files are at"):
        BoardStore(url, tmp_path / "elsewhere")
    postgres.execute(
        f"UPDATE {schema}.board_setting SET value = '{SCHEMA_VERSION + 1}' "
        "WHERE name = 'schema_version'"
    )
    with pytest.raises(BoardError, match="newer than this racer's"):
        BoardStore(url)


def test_no_message_shows_the_password(monkeypatch):
    place = "postgresql://ann:geheim@127.0.0.1:1/board?password=geheim&connect_timeout=2"
    with pytest.raises(BoardError, match="check that the server runs") as problem:
        BoardStore(place, "files")
    assert problem.value.code == "unreachable"
    assert "geheim" not in str(problem.value)
    assert BoardDatabase(place).place == "postgresql://ann@127.0.0.1:1/board"
    for wrong in ("mysql://ann:geheim@host/board", "postgresql://ann:geheim@host:x/board"):
        with pytest.raises(BoardError, match="wanted is a folder, or postgresql") as problem:
            BoardStore(wrong)
        assert "geheim" not in str(problem.value)


def test_a_board_moves_from_a_file_to_a_server_and_back(shared, store, entry, tmp_path):
    replay = store.keep_replay(b"a replay")
    store.add(SPRING, "swift", entry, [replace(RESULT, replay=replay)])
    store.withdraw(1, "the wrong file")
    copied = copy_board(store, shared)
    assert (copied.records, copied.head, copied.files) == (2, store.chain().head, 2)
    assert shared.every_row() == store.every_row()
    assert shared.entry_path(entry.sha256).read_bytes() == entry.content
    again = BoardStore(tmp_path / "again")
    assert copy_board(shared, again).head == copied.head
    assert again.every_row() == store.every_row()
    with pytest.raises(BoardError, match="records already"):
        copy_board(store, shared)
    assert again.add(SPRING, "after", None, [RESULT]).id == 3


def test_a_board_on_a_server_is_backed_up_and_restored_there(shared, postgres, entry, tmp_path):
    shared.add(SPRING, "swift", entry, [RESULT])
    assert write_backup(shared, tmp_path / "board.backup") == 1
    assert restore_board(tmp_path / "board.backup", tmp_path / "file").chain() == shared.chain()
    other = postgres.url(f"board_{uuid.uuid4().hex}")
    restored = restore_board(tmp_path / "board.backup", other, str(tmp_path / "other"))
    assert restored.chain() == shared.chain()
    assert restored.entry_path(entry.sha256).read_bytes() == entry.content


@pytest.mark.ci
@pytest.mark.slow
def test_eight_submitters_lose_nothing_when_they_and_the_server_are_killed(
    postgres, url, tmp_path, entry
):
    """Each adds rows without end and tries again if the server is away, until it is killed."""
    board, random_, acknowledged = BoardStore(url, tmp_path / "files"), random.Random(0), []

    def work(tell):
        for k in itertools.count():
            while True:
                try:
                    added = BoardStore(url).add(SPRING, f"car {os.getpid()} {k}", entry, [RESULT])
                    break
                except BoardError as problem:
                    if problem.code != "unreachable":
                        raise
                    time.sleep(0.05)
            tell(f"{added.id} car {os.getpid()} {k}\n")

    def take_answers(child, answers):
        os.kill(child, signal.SIGKILL)
        acknowledged.extend(line.split(" ", 1) for line in answers.read().split("\n")[:-1])

    with ExitStack() as running:
        submitters = [running.enter_context(forked(work)) for _ in range(8)]
        for _ in range(5):
            before, until = board.head()[0], time.monotonic() + 60
            while board.head()[0] < before + 20:
                assert time.monotonic() < until
                time.sleep(random_.uniform(0.0, 0.05))
            postgres.kill()
            take_answers(*submitters.pop(0))
            submitters.append(running.enter_context(forked(work)))
            postgres.start()
        for submitter in submitters:
            take_answers(*submitter)
    rows = {row.id: row for row in board.every_row()}
    assert board.chain().fault is None
    assert len(board.chain().hashes) == len(rows)
    assert len(acknowledged) > 40, "each kill of the server can lose eight answers"
    for id, name in acknowledged:
        assert rows[int(id)].name == name
    assert all(row.runs == [RESULT] for row in rows.values())
    assert board.add(SPRING, "after", entry, [RESULT]).id == len(rows) + 1
