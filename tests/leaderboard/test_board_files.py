"""A board's files on a real S3 server: content-addressed, and kept locally."""

from dataclasses import replace

import pytest

from racer.cli import main
from racer.errors import BoardError
from racer.leaderboard.board_copy import copy_board
from racer.leaderboard.board_files import BoardFiles
from racer.leaderboard.store import BoardStore
from racer.leaderboard.verification import replay_of
from tests.helpers.boards import RESULT, SPRING
from tests.helpers.stores import running_s3


@pytest.fixture(scope="module")
def s3():
    with running_s3() as variables:
        yield variables


@pytest.fixture
def bucket(s3, monkeypatch, tmp_path, request):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return f"s3://board/{request.node.name}"


def remote(bucket):
    """The names of the files in the bucket, and the file system."""
    import fsspec

    system = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    root = bucket.removeprefix("s3://")
    found = system.find(root)
    return {name.removeprefix(f"{root}/"): name for name in found}, system


def test_packages_and_replays_are_in_the_bucket_under_their_digests(bucket, entry, tmp_path):
    store = BoardStore(tmp_path / "board", bucket)
    digest = store.keep_replay(b"a replay")
    store.add(SPRING, "swift", entry, [replace(RESULT, replay=digest)])
    names, system = remote(bucket)
    assert set(names) == {f"entries/{entry.sha256}.entry.zip", f"replays/{digest}.replay"}
    assert system.cat_file(names[f"replays/{digest}.replay"]) == b"a replay"
    assert not list((tmp_path / "board").glob("entries/*")), "the board's folder has records only"
    again = BoardStore(tmp_path / "board")
    assert again.files.url == bucket, "the board knows where its files are"
    assert again.entry_path(entry.sha256).read_bytes() == entry.content


@pytest.mark.slow
def test_a_file_is_fetched_once_and_then_read_locally(bucket, entry, tmp_path):
    BoardStore(tmp_path / "board", bucket).add(SPRING, "swift", entry, [RESULT])
    cache = BoardFiles(tmp_path / "elsewhere", bucket)
    name = f"entries/{entry.sha256}.entry.zip"
    path = cache.path(name)
    assert path == tmp_path / "elsewhere" / name
    assert path.read_bytes() == entry.content
    names, system = remote(bucket)
    system.rm_file(names[name])
    assert cache.path(name).read_bytes() == entry.content
    assert not BoardFiles(tmp_path / "third", bucket).path(name).exists()


@pytest.mark.ci
@pytest.mark.slow
def test_a_file_that_was_changed_in_the_bucket_is_not_taken(bucket, tmp_path):
    store = BoardStore(tmp_path / "board", bucket)
    digest = store.keep_replay(b"a replay")
    row = store.add(SPRING, "swift", None, [replace(RESULT, replay=digest)])
    names, system = remote(bucket)
    system.pipe_file(names[f"replays/{digest}.replay"], b"another")
    other = BoardFiles(tmp_path / "elsewhere", bucket)
    with pytest.raises(BoardError, match="was changed"):
        other.path(f"replays/{digest}.replay")
    assert list((tmp_path / "elsewhere" / "replays").iterdir()) == []
    with pytest.raises(BoardError, match="was changed"):
        store.files.verify(f"replays/{digest}.replay")
    store.files = other
    with pytest.raises(BoardError, match="was changed"):
        replay_of(store, row, 0)


@pytest.mark.slow
def test_an_upload_leaves_the_bucket_and_the_cache(bucket, tmp_path):
    files = BoardFiles(tmp_path / "cache-a", bucket)
    files.keep("uploads/x.entry.zip", b"an upload")
    assert list((tmp_path / "cache-a" / "uploads").iterdir()) == []
    other = BoardFiles(tmp_path / "cache-b", bucket)
    assert other.path("uploads/x.entry.zip").read_bytes() == b"an upload"
    other.remove("uploads/x.entry.zip")
    assert remote(bucket)[0] == {}
    assert not (tmp_path / "cache-b" / "uploads" / "x.entry.zip").exists()
    other.remove("uploads/x.entry.zip")


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_a_sentence_and_leaves_no_row(bucket, entry, tmp_path):
    store = BoardStore(tmp_path / "board", "s3://nowhere-at-all/x")
    with pytest.raises(BoardError, match=r"s3://nowhere-at-all/x: entries/.*check the URL"):
        store.add(SPRING, "swift", entry, [RESULT])
    assert store.rows(SPRING) == []


@pytest.mark.slow
def test_the_verb_copies_a_board_to_a_bucket_and_verifies_it(
    bucket, store, entry, tmp_path, capsys
):
    digest = store.keep_replay(b"a replay")
    store.add(SPRING, "swift", entry, [replace(RESULT, replay=digest)])
    target = tmp_path / "target"
    main(["board", "migrate", str(store.folder), str(target), "--files", bucket])
    assert "copied: 1 records and 2 files" in capsys.readouterr().out
    copied = BoardStore(target)
    assert copied.chain() == store.chain()
    assert copied.files.url == bucket
    assert set(remote(bucket)[0]) == {
        f"entries/{entry.sha256}.entry.zip",
        f"replays/{digest}.replay",
    }
    store.replay_path(digest).write_bytes(b"another")
    with pytest.raises(BoardError, match="was changed"):
        copy_board(store, BoardStore(tmp_path / "third"))


def test_another_place_for_the_files_of_a_board_is_refused_once_it_has_records(store, tmp_path):
    moved = BoardStore(store.folder, tmp_path / "elsewhere")
    assert moved.folder == tmp_path / "elsewhere"
    moved.add(SPRING, "swift", None, [RESULT])
    with pytest.raises(BoardError, match=r"board's files are at .*elsewhere, not at .*third"):
        BoardStore(store.folder, tmp_path / "third")
    assert BoardStore(store.folder).folder == tmp_path / "elsewhere"


def test_a_url_that_nothing_knows_is_a_sentence(tmp_path):
    pytest.importorskip("fsspec")
    with pytest.raises(BoardError, match="a URL that fsspec knows"):
        BoardStore(tmp_path / "board", "floppy://a/b")
    assert not (tmp_path / "board").exists()
