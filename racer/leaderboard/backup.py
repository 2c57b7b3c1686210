"""The backup of a whole board in one file, and its restoration."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from racer.errors import BoardError
from racer.leaderboard.store import DATABASE_FILE, BoardStore, packages_and_replays

MAX_BACKUP_BYTES = 64_000_000_000
"""The most bytes of a board that is restored from a backup."""
_MEMBER = re.compile(r"entries/([0-9a-f]{64})\.entry\.zip|replays/([0-9a-f]{64})\.replay")


def write_backup(store: BoardStore, path: Path) -> int:
    """Write a whole board to one file; other processes may add submissions meanwhile.

    Returns:
        The number of submissions in the backup.

    Raises:
        BoardError: The file exists or cannot be written, or a package or replay is missing; then
            there is no file.
    """
    if path.exists():
        raise BoardError(f"{path} is there already; name a new file")
    beside = path.with_name(f".{path.name}.part")
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / DATABASE_FILE
            store.snapshot(copy)
            rows = BoardStore(folder).every_row()
            with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
                archive.write(copy, DATABASE_FILE)
                for name in packages_and_replays(rows):
                    archive.write(store.files.path(name), name)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as problem:
        why = problem.strerror or problem
        raise BoardError(f"{path}: the backup cannot be written: {why}") from problem
    finally:
        beside.unlink(missing_ok=True)
    return len(rows)


def restore_backup(path: Path, folder: Path) -> BoardStore:
    """Restore a board from a backup into a missing or empty folder, and return it.

    The chain of records is checked, and the SHA-256 of every package and replay.

    Raises:
        BoardError: The file is not a backup of a board or was changed, or the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BoardError(f"{folder} is not empty; name an empty folder with RACER_BOARD")
    beside = folder.resolve().with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        _unpack(path, beside)
        _check(BoardStore(beside), path)
        if folder.exists():
            folder.rmdir()
        os.replace(beside, folder)
    except (OSError, zipfile.BadZipFile, EOFError) as problem:
        raise BoardError(f"{path}: cannot be restored: {problem}") from problem
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return BoardStore(folder)


def _unpack(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if (
            DATABASE_FILE not in archive.namelist()
            or sum(one.file_size for one in infos) > MAX_BACKUP_BYTES
        ):
            raise BoardError(f"{path}: no backup of a board; `racer board backup FILE` makes one")
        for info in infos:
            named = _MEMBER.fullmatch(info.filename)
            if info.filename != DATABASE_FILE and not named:
                raise BoardError(f"{path}: holds {info.filename!r}, which no backup of a board has")
            place = folder / info.filename
            place.parent.mkdir(exist_ok=True)
            with archive.open(info) as packed, place.open("xb") as file:
                shutil.copyfileobj(packed, file)
            if named:
                _check_digest(place, named[1] or named[2], path)


def _check_digest(place: Path, digest: str, path: Path) -> None:
    with place.open("rb") as file:
        got = hashlib.sha256(file.read()).hexdigest()
    if got != digest:
        raise BoardError(
            f"{path}: {place.parent.name}/{place.name} has the SHA-256 {got[:12]}...; the backup "
            "was changed or is broken: take another"
        )


def _check(store: BoardStore, path: Path) -> None:
    if fault := store.chain().fault:
        raise BoardError(f"{path}: {fault}; take another backup")
    names = packages_and_replays(store.every_row())
    missing = [name for name in names if not store.files.path(name).is_file()]
    if missing:
        raise BoardError(f"{path}: {len(missing)} packages or replays are missing, as {missing[0]}")
