"""Writes a file whole or not at all, and over nobody's work."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable
from pathlib import Path

FILE_EXISTS_REMEDY = (
    "another file is there, which is not written over; name a new one, or remove it"
)


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside, flush to the disk, then rename over: readers see the old file or the new one.

    The folder is flushed too, so that the new name, too, outlives a loss of power.

    Raises:
        OSError: The file cannot be written; nothing of it is left behind.
    """
    beside = path.parent / f".{uuid.uuid4().hex}.part"
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, or that has this very content already.

    For what a person may have written or changed by hand.

    Raises:
        FileExistsError: Something else stands there.
        OSError: The file cannot be written.
    """
    write_own(path, content, content.__eq__)


def write_own(path: Path, content: bytes, is_ours: Callable[[bytes], bool]) -> None:
    """Write a file that is not there yet, or that racer itself wrote.

    For what can be made again, such as a report.

    Args:
        path: The file.
        content: What to write.
        is_ours: Whether a file of this content is one of racer's of the same kind.

    Raises:
        FileExistsError: Something else stands there.
        OSError: The file cannot be written.
    """
    if path.exists() and not (path.is_file() and is_ours(path.read_bytes())):
        raise FileExistsError(errno.EEXIST, FILE_EXISTS_REMEDY, str(path))
    write_atomically(path, content)
