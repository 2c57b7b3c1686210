"""Write files completely or not at all, and never over a file that somebody else wrote."""

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
    """Write a file so that readers see either its old or its new content.

    The content is written to a temporary file in the same folder, flushed to the disk and renamed.
    The folder is flushed too, so that the file is there after a loss of power.

    Raises:
        OSError: The file cannot be written; the temporary file is removed.
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
    if os.name != "posix":  # Windows cannot open a folder.
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet, or has exactly this content already.

    It is meant for files that a person may have written or changed by hand.

    Raises:
        FileExistsError: There is another file.
        OSError: The file cannot be written.
    """
    write_own(path, content, content.__eq__)


def write_own(path: Path, content: bytes, is_ours: Callable[[bytes], bool]) -> None:
    """Write a file that does not exist yet, or that racer wrote before.

    It is meant for files that can be made again, such as a report.

    Args:
        path: The file.
        content: Its new content.
        is_ours: Returns whether racer wrote a file of some content.

    Raises:
        FileExistsError: There is a file that racer did not write.
        OSError: The file cannot be written.
    """
    if path.exists() and not (path.is_file() and is_ours(path.read_bytes())):
        raise FileExistsError(errno.EEXIST, FILE_EXISTS_REMEDY, str(path))
    write_atomically(path, content)
