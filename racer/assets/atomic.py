"""Writes a file whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


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
