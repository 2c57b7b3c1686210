"""A class's list of names, by which the files of entries are checked and named."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from racer.assets.text import decode_text
from racer.errors import BoardError
from racer.leaderboard.submissions import board_name

FORBIDDEN_IN_FILE_NAMES = frozenset('/\\:*?"<>|#')
"""Characters that a file's name cannot have on some system, or that begin a comment in the list."""


def read_roster(path: Path) -> list[str]:
    """Return the names in a file, one a line; `#` begins a comment.

    Raises:
        BoardError: The file cannot be read, or as `check_roster`.
    """
    try:
        text = decode_text(path.read_bytes())
    except (OSError, UnicodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise BoardError(f"{path}: the names cannot be read: {why}") from problem
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return check_roster(filter(None, lines), str(path))


def check_roster(names: Iterable[str], where: str) -> list[str]:
    """Return names in Unicode's composed form, if each can name a person on a board and a file.

    Raises:
        BoardError: There is no name, one does not fit a board or a file, or two are the same but
            for capitals; the message begins with `where`.
    """
    found: dict[str, str] = {}
    for given in names:
        try:
            name = board_name(given)
        except BoardError as problem:
            raise BoardError(f"{where}: {problem}", problem.code) from problem
        if FORBIDDEN_IN_FILE_NAMES & set(name) or name[0] in ".-" or name[-1] == ".":
            raise BoardError(
                f"{where}: {name!r} cannot name a file; a name has none of "
                f"{' '.join(sorted(FORBIDDEN_IN_FILE_NAMES))} and begins with no dot or dash"
            )
        if other := found.get(name.casefold()):
            raise BoardError(
                f"{where}: {other!r} and {name!r} are the same file to some systems; add a letter"
            )
        found[name.casefold()] = name
    if not found:
        raise BoardError(f"{where}: there is no name; write one a line")
    return list(found.values())


def refuse_stranger(name: str, roster: Sequence[str]) -> None:
    """Raise BoardError with the code `name` if a name is not on the list."""
    if name in roster:
        return
    near = difflib.get_close_matches(name, roster, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise BoardError(
        f"{name!r} is not on the list of names; {hint}call the file as its driver is called there",
        "name",
    )
