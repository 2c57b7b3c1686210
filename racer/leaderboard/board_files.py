"""The files of a board: packages, replays and uploads, in a folder or at an fsspec URL."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from racer.assets.atomic import write_atomically
from racer.assets.remote_files import RemoteFolder
from racer.errors import BoardError, RemoteError

FILE_KINDS = ("entries", "replays", "uploads")
_BY_CONTENT = re.compile(r"(?:entries|replays)/([0-9a-f]{64})\.")


def folder_unwritable(folder: Path, problem: OSError) -> BoardError:
    """Return the error of a board's folder that cannot be created or written."""
    return BoardError(
        f"{folder}: the board's folder cannot be written: {problem.strerror}; name another with "
        "RACER_BOARD"
    )


class BoardFiles:
    """The files of a board, each by its name in the board: `entries/SHA256.entry.zip`.

    At a URL, such as `s3://BUCKET/PREFIX`, a package or replay is kept in a local folder when it is
    written or first read, and is read from there afterwards. Both are named by their content and
    never change; an upload is a file until its entry was evaluated.

    Args:
        folder: The local folder, created if it is missing; the files themselves, or their cache.
        url: Where the files are; None if they are in the folder.

    Raises:
        BoardError: The folder cannot be written, or the packages for the URL are not installed.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder, self.url = folder, url
        try:
            self._remote = None if url is None else RemoteFolder(url)
        except RemoteError as problem:
            raise BoardError(str(problem)) from problem
        try:
            for kind in FILE_KINDS:
                (folder / kind).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise folder_unwritable(self.folder, problem) from problem

    def path(self, name: str) -> Path:
        """Return the local path of a file, fetched now if it is not there; it may be missing.

        Raises:
            BoardError: The file cannot be fetched, or is not the one that its name says.
        """
        path = self.folder / name
        if self._remote is None or path.is_file():
            return path
        try:
            content = self._remote.read(name)
        except FileNotFoundError:
            return path
        except RemoteError as problem:
            raise _unreachable(problem) from problem
        self._refuse_other_content(name, content)
        self._write(path, content)
        return path

    def keep(self, name: str, content: bytes) -> None:
        """Write a file.

        Raises:
            BoardError: The file cannot be written; then no part of it is there.
        """
        if self._remote is not None:
            try:
                self._remote.write(name, content)
            except RemoteError as problem:
                raise _unreachable(problem) from problem
            if not _BY_CONTENT.match(name):
                return  # an upload: it is removed by another machine, which cannot empty this cache
        self._write(self.folder / name, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.folder / name).unlink(missing_ok=True)
        if self._remote is not None:
            try:
                self._remote.remove(name)
            except RemoteError as problem:
                raise _unreachable(problem) from problem

    def verify(self, name: str) -> None:
        """Read a package or replay where it is kept, and compare it with its name.

        Raises:
            BoardError: The file is missing, cannot be read, or was changed.
        """
        try:
            if self._remote is None:
                content = (self.folder / name).read_bytes()
            else:
                content = self._remote.read(name)
        except FileNotFoundError as problem:
            raise BoardError(f"{self.url or self.folder}: {name} is missing") from problem
        except RemoteError as problem:
            raise _unreachable(problem) from problem
        except OSError as problem:
            raise BoardError(f"{self.folder}: {name}: {problem.strerror}") from problem
        self._refuse_other_content(name, content)

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except OSError as problem:
            raise folder_unwritable(self.folder, problem) from problem

    def _refuse_other_content(self, name: str, content: bytes) -> None:
        named = _BY_CONTENT.match(name)
        if named and hashlib.sha256(content).hexdigest() != named[1]:
            raise BoardError(
                f"{self.url or self.folder}: {name} was changed: its SHA-256 is another; restore "
                "it from a backup"
            )


def _unreachable(problem: RemoteError) -> BoardError:
    return BoardError(str(problem), "unreachable")
