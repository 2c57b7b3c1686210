"""A model's files out of the archive that DeepRacer's console hands out."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from racer.errors import ConfigError

MAX_MEMBER_BYTES = 64_000_000
"""Larger members are trained weights and videos, which an import does not need."""
MAX_ARCHIVE_BYTES = 512_000_000
"""An archive that unpacks to more than this is not a model's."""
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError)
"""What the two libraries raise for a broken, an encrypted or another file."""


@contextmanager
def open_model(path: Path) -> Iterator[Path]:
    """The folder of a model: `path` itself, or what an archive unpacks to for as long as needed.

    Where everything in an archive lies in one folder, it is that folder.

    Args:
        path: A folder, a .tar.gz or another tar file, or a .zip.

    Raises:
        ConfigError: There is nothing, or it is no archive that can be read.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such folder or archive; it should hold model_metadata.json, "
            "hyperparameters.json and reward_function.py"
        )
    with TemporaryDirectory(prefix="racer-import-") as place:
        folder = Path(place)
        try:
            _unpack(path, folder)
        except ARCHIVE_ERRORS as problem:
            why = str(problem).partition("\n")[0].rstrip(":")  # tarfile tells of every method.
            raise ConfigError(f"{path}: cannot be read as .tar.gz or .zip: {why}") from problem
        inside = list(folder.iterdir())
        while len(inside) == 1 and inside[0].is_dir():
            folder, inside = inside[0], list(inside[0].iterdir())
        yield folder


def _unpack(path: Path, folder: Path) -> None:
    total = 0
    for name, content in _members(path):
        total += len(content)
        if total > MAX_ARCHIVE_BYTES:
            raise ConfigError(f"{path}: unpacks to more than {MAX_ARCHIVE_BYTES // 1_000_000} MB")
        parts = PurePosixPath(name).parts
        if ".." in parts or name.startswith("/"):
            raise ConfigError(f"{path}: a member lies outside of the archive: {name!r:.100}")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each plain file that is not too large."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for one in archive.infolist():
                if not one.is_dir() and one.file_size <= MAX_MEMBER_BYTES:
                    yield one.filename, archive.read(one)
        return
    with tarfile.open(path) as archive:
        for one in archive:
            if one.isreg() and one.size <= MAX_MEMBER_BYTES:
                file = archive.extractfile(one)
                yield one.name, file.read() if file else b""
