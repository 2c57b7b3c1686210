"""A board as one file, and again a board from it."""

import zipfile
from dataclasses import replace

import pytest

from racer.errors import BoardError
from racer.leaderboard.backup import restore_backup, write_backup
from tests.helpers.boards import RESULT, SPRING, forge, sql


@pytest.fixture
def saved(store, entry, tmp_path):
    replay = store.keep_replay(b"a replay")
    store.add(SPRING, "swift", entry, [replace(RESULT, replay=replay)])
    store.add(SPRING, "house", None, [RESULT])
    assert write_backup(store, tmp_path / "board.backup") == 2
    return tmp_path / "board.backup"


def rewritten(path, change):
    """A backup with other members: `change` gets name and content and gives them, or None."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    other = path.with_name("other.backup")
    with zipfile.ZipFile(other, "w") as archive:
        for member in members:
            if changed := change(*member):
                archive.writestr(*changed)
    return other


def test_what_is_restored_is_the_board_to_the_last_byte(store, saved, tmp_path):
    again = restore_backup(saved, tmp_path / "again")
    assert again.every_row() == store.every_row()
    assert again.chain() == store.chain()
    for folder in ("entries", "replays"):
        kept = sorted((store.folder / folder).iterdir())
        assert [path.name for path in kept] == [
            path.name for path in sorted((again.folder / folder).iterdir())
        ]
        for path in kept:
            assert path.read_bytes() == (again.folder / folder / path.name).read_bytes()
    assert again.add(SPRING, "after", None, [RESULT]).id == 3
    assert sql(again, "PRAGMA journal_mode") == [("wal",)]


def test_a_backup_and_a_board_are_never_overwritten(store, saved):
    with pytest.raises(BoardError, match="is there already"):
        write_backup(store, saved)
    with pytest.raises(BoardError, match="not empty"):
        restore_backup(saved, store.folder)
    assert len(store.every_row()) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda name, content: (name, content + b"x" * ("replays" in name)), "was changed"),
        (lambda name, content: None if "entries" in name else (name, content), "are missing"),
        (lambda name, content: None if "sqlite" in name else (name, content), "no backup"),
        (lambda name, content: (name.replace("entries", ".."), content), "which no backup"),
    ],
)
def test_a_backup_that_was_changed_is_refused_and_leaves_nothing(saved, tmp_path, change, why):
    with pytest.raises(BoardError, match=why):
        restore_backup(rewritten(saved, change), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_backup_whose_chain_is_broken_is_refused(store, saved, tmp_path):
    forge(store, ("UPDATE record SET name = 'x' WHERE id = 1",))
    write_backup(store, tmp_path / "forged.backup")
    with pytest.raises(BoardError, match="record 1 was changed"):
        restore_backup(tmp_path / "forged.backup", tmp_path / "again")


def test_a_file_that_is_no_backup_is_a_sentence(tmp_path):
    (tmp_path / "diary").write_text("page 1")
    with pytest.raises(BoardError, match="cannot be restored"):
        restore_backup(tmp_path / "diary", tmp_path / "again")
