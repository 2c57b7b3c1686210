"""Write a new folder's files, all or none, and over nothing that is there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from string import Template

from racer.errors import ProjectError

PROJECT_TEMPLATES = Path(__file__).parent / "templates"
MAX_PROJECT_NAME_LENGTH = 40
"""Length of the longest name that a season may have [characters]."""
UNTOUCHED_FILES = frozenset({".git"})
"""What a folder may hold before: `git init` makes it."""


def project_name(folder: Path) -> str:
    """Return the name of a folder's project: small letters a-z, digits and dashes.

    Raises:
        ProjectError: The folder's name has no letter a-z and no digit, or is too long.
    """
    given = folder.resolve().name
    plain = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if not name or len(name) > MAX_PROJECT_NAME_LENGTH:
        raise ProjectError(
            f"{given or folder!s:.80}: the folder's name is that of the car or the season, and "
            f"wanted are 1 to {MAX_PROJECT_NAME_LENGTH} letters a-z, digits and dashes; take "
            "another name"
        )
    return name


def fill_template(file: str, **values: str) -> str:
    """Return the text of a template, with `$word` replaced by the value of that name."""
    return Template((PROJECT_TEMPLATES / file).read_text(encoding="utf-8")).substitute(values)


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder that is new or empty; if one cannot be written, remove all again.

    Args:
        folder: The folder, which is made, with those above it.
        files: Contents by the file's path in the folder; a path that ends with `/` is a folder.

    Raises:
        ProjectError: There is something else, or the folder cannot be written.
    """
    made: list[Path] = []
    try:
        if folder.is_dir():
            if there := sorted({one.name for one in folder.iterdir()} - UNTOUCHED_FILES):
                raise ProjectError(
                    f"{folder}: {there[0]} is there, and nothing is written over or among other "
                    "files; name a new or an empty folder"
                )
        elif folder.exists() or folder.is_symlink():
            raise ProjectError(f"{folder}: a file is there; name a new or an empty folder")
        _make_folder(folder, made)
        for name, content in files.items():
            path = folder / name
            if name.endswith("/"):
                _make_folder(path, made)
                continue
            with path.open("x", encoding="utf-8", newline="\n") as file:
                made.append(path)
                file.write(content)
    except OSError as problem:
        _remove(made)
        raise ProjectError(f"{folder}: cannot be written: {problem.strerror}") from problem


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it that are missing, and note which."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _remove(made: list[Path]) -> None:
    for path in reversed(made):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
