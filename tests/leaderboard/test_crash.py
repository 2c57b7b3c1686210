"""Several at once, a kill at any moment, a full disk: nothing is lost and the chain holds."""

import os
import random
import resource
import signal
import time

import pytest

from racer.leaderboard.store import BoardStore
from tests.helpers.boards import RESULT, SPRING, forked, sql


def is_whole(store):
    """Every record holds, and each submission is as it was given."""
    assert sql(store, "PRAGMA integrity_check") == [("ok",)]
    assert store.chain().fault is None
    rows = store.every_row()
    assert all(row.runs == [RESULT] for row in rows)
    assert len(store.chain().hashes) == len(rows)
    return rows


def test_eight_processes_that_make_and_fill_a_board_at_once_lose_nothing(tmp_path, entry):
    folder, each = tmp_path / "board", 10
    go, going = os.pipe()

    def work(_):
        os.close(going)
        os.read(go, 1)  # ends when all have been made
        for k in range(each):
            BoardStore(folder).add(SPRING, f"car {k}", entry, [RESULT])

    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            try:
                work(None)
            except BaseException as problem:
                os.write(2, f"{problem!r}\n".encode())
                os._exit(1)
            os._exit(0)
        children.append(child)
    assert not folder.exists()
    os.close(go)
    os.close(going)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    rows = is_whole(BoardStore(folder))
    assert [row.id for row in rows] == list(range(1, 8 * each + 1))
    assert sorted(row.name for row in rows) == sorted(f"car {k % each}" for k in range(8 * each))
    assert [row.created for row in rows] == sorted(row.created for row in rows)
    assert len(list((folder / "entries").iterdir())) == 1


def kill_again_and_again(store, entry, times):
    random_ = random.Random(0)
    known = 0
    for _ in range(times):

        def work(tell):
            while True:
                tell(f"{store.add(SPRING, 'car', entry, [RESULT]).id}\n")

        with forked(work) as (child, answers):
            answers.readline()
            time.sleep(random_.uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
            told = [int(line) for line in answers.read().split("\n")[:-1]]
        rows = is_whole(store)
        assert len(rows) > known
        assert len(rows) >= max(told, default=0), "what was answered for is there"
        known = len(rows)
    assert store.add(SPRING, "after", entry, [RESULT]).id == known + 1


@pytest.mark.slow
def test_a_process_killed_at_ten_moments_leaves_whole_rows_only(store, entry):
    kill_again_and_again(store, entry, 10)


@pytest.mark.slow
def test_a_process_killed_at_a_hundred_moments_leaves_whole_rows_only(store, entry):
    kill_again_and_again(store, entry, 100)


@pytest.mark.slow
@pytest.mark.parametrize("more", [0, 5_000, 20_000, 60_000])
def test_a_disk_that_is_full_leaves_whole_rows_and_a_second_try_works(store, entry, more):
    store.add(SPRING, "before", entry, [RESULT])

    def work(tell):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        room = store.path.stat().st_size + more
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        count = 1
        try:
            for _ in range(2000):
                count = store.add(SPRING, "car", entry, [RESULT]).id
        except Exception as problem:
            tell(f"{count}\n{type(problem).__name__}: {problem}\n")

    with forked(work) as (_, answers):
        count, said = answers.read().split("\n", 1)
    assert said.startswith("BoardError: "), said
    rows = is_whole(store)
    assert len(rows) == int(count)
    assert store.add(SPRING, "after", entry, [RESULT]).id == len(rows) + 1
    is_whole(store)
