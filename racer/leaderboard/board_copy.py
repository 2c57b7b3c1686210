"""Copies of a whole board: to another database or place of files, or from a backup to a server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from racer.errors import BoardError
from racer.leaderboard.backup import restore_backup
from racer.leaderboard.board_database import is_database_url
from racer.leaderboard.store import BoardStore, packages_and_replays
from racer.leaderboard.submission_queue import SubmissionQueue

CopyProgress = Callable[[int, int], None]
"""Called with the number of copied files, and the number of all files."""


class BoardCopy(NamedTuple):
    """What was copied from one board to another, and verified there.

    Attributes:
        records: Number of records.
        head: Hash of the last record, which is the same on both boards.
        files: Number of packages and replays.
    """

    records: int
    head: str
    files: int


def copy_board(
    source: BoardStore,
    target: BoardStore,
    tell: CopyProgress = lambda done, all: None,
) -> BoardCopy:
    """Copy a board's records, packages and replays to an empty board, and verify the copy.

    The records are copied last, in one transaction; a copy that was interrupted can be started
    again. The source is not changed.

    Args:
        source: The board.
        target: The other board, without records.
        tell: Called after each file.

    Raises:
        BoardError: The source's chain is broken, a file is missing or was changed, entries wait in
            its queue, the target has records, or the source got records meanwhile.
    """
    chain = source.chain()
    if chain.fault:
        raise BoardError(f"{source.place}: {chain.fault}; restore a backup before you copy it")
    if count := SubmissionQueue(source, {}).count_open():
        raise BoardError(
            f"{source.place}: {count} entries wait there or are being evaluated; end "
            "`racer board serve`, and evaluate them with `racer board work --drain`"
        )
    if target.head()[0]:
        raise BoardError(f"{target.place} has records already; name an empty board as the target")
    names = packages_and_replays(source.every_row())
    for done, name in enumerate(names, start=1):
        try:
            target.files.keep(name, source.files.path(name).read_bytes())
        except OSError as problem:
            raise BoardError(f"{source.place}: {name}: {problem.strerror or problem}") from problem
        target.files.verify(name)
        tell(done, len(names))
    source.copy_records(target)
    copied = target.chain()
    if copied.fault or copied.hashes != chain.hashes:
        raise BoardError(
            f"{target.place}: {copied.fault or 'the source got records meanwhile'}; stop what "
            "writes to the source, and copy it to a new board"
        )
    return BoardCopy(len(copied.hashes), copied.head, len(names))


def restore_board(backup: Path, place: Path | str, files: str | None = None) -> BoardStore:
    """Make a board again from a backup, and return it.

    Args:
        backup: What `write_backup` wrote.
        place: A missing or empty folder, or the URL of a database without records.
        files: Where the files of the board are to be, as for `BoardStore`.

    Raises:
        BoardError: The file is not a backup of a board or was changed, or the place is not empty.
    """
    if not is_database_url(place) and files is None:
        return restore_backup(backup, Path(place))
    with tempfile.TemporaryDirectory() as folder:
        restored = restore_backup(backup, Path(folder) / "board")
        target = BoardStore(place, files)
        copy_board(restored, target)
    return target
