"""Entries as files in the studio's folder of runs, where an upload is put too."""

from __future__ import annotations

from pathlib import Path

from racer.assets.atomic import FILE_EXISTS_REMEDY, write_new
from racer.entries.package import ENTRY_SUFFIX, Entry, parse_entry
from racer.errors import StudioError


def entry_files(folder: Path) -> list[str]:
    """Return the names of the entries' files in a folder."""
    return sorted(path.name for path in folder.glob(f"*{ENTRY_SUFFIX}") if path.is_file())


def entry_file(folder: Path, name: str) -> Path:
    """Return the path of an entry's file in a folder.

    Args:
        folder: The folder.
        name: The file's name.

    Raises:
        StudioError: There is no such file.
    """
    if name not in entry_files(folder):
        raise StudioError(f"no entry {name!r:.100} in {folder}; choose one from the list")
    return folder / name


def keep_entry(folder: Path, name: str, content: bytes) -> Entry:
    """Write an uploaded entry to a folder, if it can race, and return it.

    Args:
        folder: The folder; it is made if it is missing.
        name: The file's name where it comes from.
        content: The package.

    Raises:
        StudioError: The name is not that of an entry, or another file has it.
        EntryError: The package breaks a rule of the format.
    """
    if Path(name).name != name or not name.endswith(ENTRY_SUFFIX) or name == ENTRY_SUFFIX:
        raise StudioError(f"{name!r:.100} is no entry's file; its name ends in {ENTRY_SUFFIX}")
    entry = parse_entry(content, Path(name))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_new(folder / name, content)
    except FileExistsError as problem:
        raise StudioError(f"{folder / name}: {FILE_EXISTS_REMEDY}") from problem
    return entry
