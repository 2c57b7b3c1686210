"""Files that travel to another machine with a job: their content, and the copy there."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from racer.assets.caches import private_folder
from racer.errors import ClusterError

MAX_CARRIED_BYTES = 256_000_000
"""Largest size of the files of one argument [bytes]."""


class CarriedFiles(NamedTuple):
    """A file or a folder as a job's argument.

    Attributes:
        name: The file's name, or the folder's.
        files: Content by path relative to the folder; by "" for a single file.
    """

    name: str
    files: tuple[tuple[str, bytes], ...]

    @classmethod
    def read(cls, path: Path) -> CarriedFiles:
        """Return the content of a file, or of all files in a folder.

        Raises:
            ClusterError: It cannot be read, or is larger than `MAX_CARRIED_BYTES`.
        """
        try:
            within = {"": path}
            if path.is_dir():
                found = (one for one in sorted(path.rglob("*")) if one.is_file())
                within = {one.relative_to(path).as_posix(): one for one in found}
            size = sum(one.stat().st_size for one in within.values())
            if size > MAX_CARRIED_BYTES:
                raise ClusterError(
                    f"{path}: {size / 1e6:.0f} MB; at most {MAX_CARRIED_BYTES / 1e6:.0f} MB are "
                    "sent to a node with a job"
                )
            return cls(path.name, tuple((key, one.read_bytes()) for key, one in within.items()))
        except OSError as problem:
            raise ClusterError(f"{path}: cannot be read: {problem.strerror}") from problem

    @property
    def digest(self) -> str:
        """SHA-256 of names and content."""
        total = hashlib.sha256(self.name.encode())
        for name, content in self.files:
            total.update(f"\0{name}\0".encode() + hashlib.sha256(content).digest())
        return total.hexdigest()

    def unpack(self) -> Path:
        """Return the path of a copy on this machine, which is written if there is none yet.

        The copies are in a folder that only this user can write to. Each has its content's
        SHA-256 as the name of its folder, so that one that was sent before is used again.

        Raises:
            ClusterError: It cannot be written.
        """
        kept = private_folder("cluster")
        if kept is None:
            raise ClusterError("no folder for the files of a job can be written on this node")
        home = kept / self.digest
        try:
            if not home.is_dir():
                part = kept / f".{uuid.uuid4().hex}.part"
                for name, content in self.files:
                    self._write(part / self.name, name, content)
                _put_in_place(part, home)
        except OSError as problem:
            raise ClusterError(f"{home}: cannot be written: {problem.strerror}") from problem
        return home / self.name

    @staticmethod
    def _write(base: Path, name: str, content: bytes) -> None:
        path = base.joinpath(*PurePosixPath(name).parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_files(carried: CarriedFiles, folder: Path) -> None:
    """Write the files of a folder that a node sent into a folder here, over older ones.

    Args:
        carried: The files.
        folder: The folder.

    Raises:
        ClusterError: A path leads out of the folder, or a file cannot be written.
    """
    try:
        for name, content in carried.files:
            parts = PurePosixPath(name).parts
            if not parts or os.pardir in parts or PurePosixPath(name).is_absolute():
                raise ClusterError(f"a node sent a file {name!r}, which is outside its folder")
            path = folder.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as problem:
        raise ClusterError(f"{folder}: cannot be written: {problem.strerror}") from problem


def _put_in_place(part: Path, home: Path) -> None:
    """Rename a complete copy, unless another process was faster."""
    try:
        part.rename(home)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not home.is_dir():
            raise
