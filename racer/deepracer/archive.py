"""Unpacks the archive of a model that DeepRacer's console exports."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from racer.errors import ConfigError

MAX_MEMBER_BYTES = 64_000_000
"""Largest member that is unpacked; larger ones are weights and videos, which are not imported."""
MAX_ARCHIVE_BYTES = 512_000_000
"""Largest total size that an archive may unpack to."""
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError)
"""Exceptions that tarfile and zipfile raise for a broken or encrypted file, or another format."""


CONSOLE_FILES = "model_metadata.json, hyperparameters.json and reward_function.py"
"""What a model of the console has, in words."""


@contextmanager
def open_model(path: Path, files: str = CONSOLE_FILES) -> Iterator[Path]:
    """Yield the folder of a model: `path` itself, or a temporary folder with an archive's content.

    If everything in the archive is inside one folder, that folder is yielded.

    Args:
        path: A folder, a .tar.gz or another tar file, or a .zip.
        files: What it should have, in the words of an error.

    Raises:
        ConfigError: If there is no such file or folder, or the archive cannot be read.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise ConfigError(f"{path}: no such folder or archive; give one with {files}")
    with TemporaryDirectory(prefix="racer-import-") as place:
        folder = Path(place)
        try:
            _unpack(path, folder)
        except ARCHIVE_ERRORS as problem:
            # tarfile's message lists every compression method that it tried, one a line.
            why = str(problem).partition("\n")[0].rstrip(":")
            raise ConfigError(f"{path}: cannot be read as .tar.gz or .zip: {why}") from problem
        inside = list(folder.iterdir())
        while len(inside) == 1 and inside[0].is_dir():
            folder, inside = inside[0], list(inside[0].iterdir())
        yield folder


def _unpack(path: Path, folder: Path) -> None:
    """Write an archive's files into a folder; raise ConfigError if one would lie outside it."""
    total = 0
    for name, content in _members(path):
        total += len(content)
        if total > MAX_ARCHIVE_BYTES:
            raise ConfigError(f"{path}: unpacks to more than {MAX_ARCHIVE_BYTES // 1_000_000} MB")
        parts = PurePosixPath(name).parts
        if ".." in parts or name.startswith("/"):
            raise ConfigError(f"{path}: a member points outside the archive: {name!r:.100}")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each regular file up to `MAX_MEMBER_BYTES`."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and info.file_size <= MAX_MEMBER_BYTES:
                    yield info.filename, archive.read(info)
        return
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isreg() and member.size <= MAX_MEMBER_BYTES:
                file = archive.extractfile(member)
                yield member.name, file.read() if file else b""
