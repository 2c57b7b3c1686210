"""The queue in the store: it survives its processes, and each entry is judged once."""

import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from racer.cli import main
from racer.errors import BoardError
from racer.leaderboard import board_database, submission_queue
from racer.leaderboard.season import SealedDraws
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_judge import SubmissionJudge
from racer.leaderboard.submission_queue import (
    LEASE_S,
    MAX_BROKEN_OFF,
    LeaseLostError,
    SubmissionQueue,
)
from tests.helpers.boards import FAIR, LOOK, RESULT, package
from tests.helpers.stores import running_postgres

SEASONS = {FAIR.digest: FAIR}
QUICK = FAIR.model_copy(update={"name": "quick", "seeds": (0,)})


@pytest.fixture
def servers():
    """The server of the board's database, if it has one."""
    return []


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def board(request, tmp_path, monkeypatch, servers):
    """A board of each kind."""
    if request.param == "sqlite":
        yield board_at(monkeypatch, tmp_path / "board")
        return
    with running_postgres() as server:
        servers.append(server)
        monkeypatch.setenv("RACER_BOARD_FILES", str(tmp_path / "files"))
        yield board_at(monkeypatch, server.url())


@pytest.fixture
def queue(board):
    return SubmissionQueue(board, SEASONS)


@pytest.fixture
def path(tmp_path):
    return package(tmp_path / "swift.entry.zip")


@pytest.fixture
def pass_time(monkeypatch):
    """Let the machine's clock, which is the store's of a file, go ahead."""
    ahead, now = [0.0], board_database.machine_time

    def pass_time(seconds):
        ahead[0] += seconds

    monkeypatch.setattr(board_database, "machine_time", lambda: now() + timedelta(seconds=ahead[0]))
    return pass_time


def board_at(monkeypatch, place):
    """The board that the command line uses."""
    monkeypatch.setenv("RACER_BOARD", str(place))
    return BoardStore()


def uploads(store):
    return list((store.folder / "uploads").iterdir())


def taken(queue):
    """The entry that a judge takes now."""
    lease = queue.claim()
    assert lease is not None
    return lease


def judge_of(queue, **more):
    return SubmissionJudge(queue, lambda season: None, **more)


def test_what_was_handed_in_is_there_for_another_process(board, queue, path):
    first, second = queue.hand_in(path, "fair", "ann"), queue.hand_in(path, "fair")
    assert [(one.number, one.ahead) for one in (first, second)] == [(1, 0), (2, 1)]
    path.unlink()
    again = SubmissionQueue(BoardStore(), {})
    told = again.told()
    assert [(one["number"], one["state"], one["name"]) for one in told] == [
        (2, "waiting", ""),
        (1, "waiting", "ann"),
    ]
    lease = taken(again)
    assert (lease.number, lease.season, lease.name) == (1, FAIR, "ann")
    assert board.files.path(lease.upload).read_bytes()
    assert taken(again).number == 2
    assert again.claim() is None


def test_an_entry_is_judged_and_its_upload_removed(board, queue, path, capsys):
    queue.hand_in(path, "fair", "ann")
    path.write_bytes(b"no zip")
    queue.hand_in(path, "fair")
    said = []
    assert judge_of(queue, tell=said.append).work(is_drained=True) == 2
    refused, done = queue.told()
    assert (done["state"], done["name"], done["done"], done["all"]) == ("done", "ann", 2, 2)
    assert (done["row"], done["place"], done["of"]) == (1, 1, 1)
    assert (refused["state"], refused["code"]) == ("refused", "not_a_zip")
    assert [row.name for row in board.rows(FAIR)] == ["ann"]
    assert uploads(board) == []
    assert said[1].startswith("upload 1: ann: 4 of 4 laps")


def test_a_judge_that_gives_no_sign_of_life_loses_the_entry(tmp_path, path, pass_time):
    queue = SubmissionQueue(BoardStore(tmp_path / "board"), SEASONS)
    queue.hand_in(path, "fair")
    slow = taken(queue)
    pass_time(LEASE_S - 1)
    assert queue.claim() is None
    queue.renew(slow, done=1)
    pass_time(LEASE_S - 1)
    assert queue.claim() is None, "it gave a sign of life"
    pass_time(2)
    other = taken(queue)
    assert other.number == slow.number
    for late in (
        lambda: queue.renew(slow),
        lambda: queue.refuse(slow, "bug", "late"),
        lambda: queue.give_back(slow),
    ):
        with pytest.raises(LeaseLostError):
            late()
    queue.refuse(other, "run", "it fails")
    assert queue.told()[0]["code"] == "run"


def test_of_two_judges_of_one_entry_only_the_last_adds_a_row(tmp_path, path, pass_time):
    store = BoardStore(tmp_path / "board")
    queue = SubmissionQueue(store, SEASONS)
    queue.hand_in(path, "fair")
    slow = taken(queue)
    pass_time(LEASE_S + 1)
    other = taken(queue)

    def add(lease):
        finish = lambda connection, added: queue.finish(connection, lease, added)  # noqa: E731
        return store.add(FAIR, "ann", None, [RESULT], within=finish)

    assert add(other).id == 1
    with pytest.raises(LeaseLostError):
        add(slow)
    with pytest.raises(LeaseLostError):
        add(other)
    assert len(store.every_row()) == 1
    assert queue.claim() is None


def test_an_entry_that_ends_every_judge_is_refused_in_the_end(tmp_path, path, pass_time):
    queue = SubmissionQueue(BoardStore(tmp_path / "board"), SEASONS)
    queue.hand_in(path, "fair")
    for _ in range(MAX_BROKEN_OFF):
        assert queue.claim()
        pass_time(LEASE_S + 1)
    assert queue.claim() is None
    (told,) = queue.told()
    assert (told["state"], told["code"]) == ("refused", "judge")
    assert "broken off 3 times" in told["said"]
    assert judge_of(queue).work(is_drained=True) == 0
    assert uploads(queue.store) == []


def test_the_upload_of_a_judge_that_was_killed_at_the_end_is_removed(tmp_path, path, pass_time):
    """It was killed when the row was there, and its place not told yet."""
    store = BoardStore(tmp_path / "board")
    queue = SubmissionQueue(store, SEASONS)
    queue.hand_in(path, "fair")
    lease = taken(queue)
    store.add(
        FAIR,
        "ann",
        None,
        [RESULT],
        within=lambda connection, added: queue.finish(connection, lease, added),
    )
    queue.sweep()
    assert (queue.told()[0]["state"], len(uploads(store))) == ("judging", 1)
    pass_time(LEASE_S + 1)
    queue.sweep()
    assert (queue.told()[0]["state"], uploads(store)) == ("done", [])


@pytest.mark.slow
def test_an_interrupted_judge_gives_the_entry_back_at_once(board, queue, path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    queue.hand_in(path, "fair")
    with monkeypatch.context() as broken:
        broken.setattr("racer.leaderboard.submission_judge.evaluate_run", interrupt)
        for _ in range(MAX_BROKEN_OFF + 1):
            with pytest.raises(KeyboardInterrupt):
                judge_of(queue).work()
    assert queue.told()[0]["state"] == "waiting"
    assert judge_of(queue).work(is_drained=True) == 1
    assert queue.told()[0]["state"] == "done"


@pytest.mark.slow
def test_a_store_that_cannot_be_reached_is_tried_again(tmp_path, path, monkeypatch):
    from racer.leaderboard import submission_judge

    store = BoardStore(tmp_path / "board")
    queue, failures, said = SubmissionQueue(store, SEASONS), [1, 1], []
    queue.hand_in(path, "fair")
    keep = store.files.keep

    def fail_at_first(name, content):
        if failures:
            failures.pop()
            raise BoardError("the bucket cannot be reached", "unreachable")
        keep(name, content)

    monkeypatch.setattr(store.files, "keep", fail_at_first)
    monkeypatch.setattr(submission_judge, "RETRY_S", 0.01)
    assert judge_of(queue, tell=said.append).work(is_drained=True) == 1
    assert sum("trying again" in one for one in said) == 2
    assert queue.told()[0]["state"] == "done"


def test_a_sealed_season_is_left_to_the_judges_that_have_its_secret(tmp_path, path):
    sealed = FAIR.model_copy(update={"seeds": (), "sealed": SealedDraws(sha256="0" * 64)})
    queue = SubmissionQueue(BoardStore(tmp_path / "board"), {sealed.digest: sealed})
    queue.hand_in(path, "fair")
    without = judge_of(queue)
    assert without.work(is_drained=True) == 0
    assert queue.claim(without.can_judge) is None
    assert queue.claim(SubmissionJudge(queue, lambda season: "ab").can_judge)


def test_more_than_may_wait_are_refused_and_leave_no_upload(tmp_path, path, monkeypatch):
    monkeypatch.setattr(submission_queue, "MAX_WAITING", 2)
    store = BoardStore(tmp_path / "board")
    queue = SubmissionQueue(store, SEASONS)
    for _ in range(2):
        queue.hand_in(path, "fair")
    with pytest.raises(BoardError, match="2 entries wait already") as problem:
        queue.hand_in(path, "fair")
    assert problem.value.code == "full"
    assert len(uploads(store)) == 2


@pytest.mark.slow
def test_the_verb_judges_what_waits(tmp_path, path, monkeypatch, capsys):
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
    SubmissionQueue(BoardStore(), SEASONS).hand_in(path, "fair", "ann")
    main(["board", "work", "--drain"])
    assert "1 entries judged" in capsys.readouterr().out
    assert [row.name for row in BoardStore().rows(FAIR)] == ["ann"]


@pytest.mark.slow(minutes=1)
def test_judges_that_are_killed_lose_no_entry_and_judge_none_twice(board, servers, tmp_path):
    """Two judges as processes, killed in the middle and started again, and so is PostgreSQL."""
    queue = SubmissionQueue(board, {QUICK.digest: QUICK})
    count = 8
    for k in range(count):
        path = package(tmp_path / f"{k}.entry.zip", name=f"car {k}", look=(1 + k / 20) * LOOK)
        queue.hand_in(path, QUICK.digest)
    code = (
        "import racer.leaderboard.submission_queue as queue, sys; queue.LEASE_S = 4.0\n"
        "import racer.leaderboard.submission_judge as judge; judge.LEASE_S = 4.0\n"
        "judge.RETRY_S = 0.5\n"
        "from racer.cli import main; main(['board', 'work', '--drain'])"
    )

    def start():
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)

    judges = [start() for _ in range(2)]
    kills, until = 0, time.monotonic() + 600
    while any(one["state"] in ("waiting", "judging") for one in queue.told()):
        assert time.monotonic() < until
        busy = [one for one in queue.told() if one["state"] == "judging"]
        if busy and kills < 4:
            time.sleep(0.1 * kills)
            judge = judges.pop(0)
            judge.send_signal(signal.SIGKILL)
            judge.wait()
            for server in servers:
                server.kill()
                server.start()
            judges.append(start())
            kills += 1
        # One that began while the server was away ends with an error; somebody starts it again.
        judges = [start() if judge.poll() == 2 else judge for judge in judges]
        time.sleep(0.2)
    for judge in judges:
        assert judge.wait(120) in (0, 2)
    assert kills >= 1
    told = queue.told()
    assert {one["state"] for one in told} == {"done"}, told
    rows = board.every_row()
    assert sorted(row.name for row in rows) == sorted(f"car {k}" for k in range(count))
    assert {one["row"] for one in told} == {row.id for row in rows}
    assert board.chain().fault is None
