"""Read columns of numbers from text of any program: its separators, header and comments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from racer.errors import TrackError

_UNIT = re.compile(r"\s*[\[(].*")
"""The unit of a column, in brackets after its name."""

_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(e[-+]?\d+)?", re.IGNORECASE)


class TextLine(NamedTuple):
    """A line of a text that is neither empty nor a comment."""

    number: int
    """Its number, from 1."""
    cells: list[str]
    """The texts between the separators, stripped of quotes and blanks."""


class NumberTable(NamedTuple):
    """The rows of a text.

    Attributes:
        rows: Its rows, all with the same number of cells.
        names: The header's names of the columns, in lower case and without units; empty if there is
            no header.
        header: The line number of the header, from 1; 0 if there is none.
        is_comment: Whether the header is a comment, and so may be prose.
        separator: The separator between the cells; None for blanks.
    """

    rows: list[TextLine]
    names: list[str]
    header: int
    is_comment: bool
    separator: str | None

    def numbers(self, columns: Sequence[int]) -> np.ndarray:
        """Return some columns of all N rows, (N, len(columns)).

        Raises:
            TrackError: One of their cells is not a number; the message names its line.
        """
        return np.array([[self._number(row, k) for k in columns] for row in self.rows])

    def _number(self, row: TextLine, column: int) -> float:
        cell = row.cells[column]
        try:
            return _number(cell, self.separator)
        except ValueError:
            got = f"{cell[:40]!r} is not a number; a comment begins with #" if cell else "is empty"
            raise TrackError(f"line {row.number}, column {column + 1}: {got}") from None


def read_number_table(text: str) -> NumberTable:
    """Return the rows of a text.

    Columns are separated by `;`, tabs, commas or blanks; a decimal comma is accepted where the
    comma is not the separator. `#` begins a comment. A header is a first row without a number, or
    the last comment before the rows if it has as many columns.

    Raises:
        TrackError: There is no row, or one has more or fewer columns than the first.
    """
    written = list(enumerate(text.splitlines(), 1))
    content = [(number, line.partition("#")[0].strip(" ")) for number, line in written]
    content = [(number, line) for number, line in content if line.strip(";,\t ")]
    if not content:
        raise TrackError("there is no row of numbers in it")
    sign = _separator(content[0][1])
    rows = [TextLine(number, _cells(line, sign)) for number, line in content]
    if any(_is_number(cell, sign) for cell in rows[0].cells):
        header = _comment(written[: rows[0].number - 1], sign, len(rows[0].cells))
        table = NumberTable(rows, header.cells, header.number, header.number > 0, sign)
    else:
        table = NumberTable(rows[1:], rows[0].cells, rows[0].number, False, sign)
    if not table.rows:
        raise TrackError(f"no row of numbers after its header in line {table.header}")
    for row in rows:
        if len(row.cells) != len(rows[0].cells):
            got, wanted = len(row.cells), len(rows[0].cells)
            raise TrackError(
                f"line {row.number}: {got} columns; line {rows[0].number} has {wanted}"
            )
    return table._replace(names=[_UNIT.sub("", name.lower()) for name in table.names])


def _separator(line: str) -> str | None:
    """Return the separator between a row's cells; None for blanks."""
    for sign in ";\t":
        if sign in line:
            return sign
    pieces = line.split()
    is_blank = len(pieces) > 1 and all(
        _DECIMAL_COMMA.fullmatch(piece) or "," not in piece for piece in pieces
    )
    return None if is_blank or "," not in line else ","


def _cells(line: str, sign: str | None) -> list[str]:
    """Return a row's cells, without empty ones at its end."""
    cells = [cell.strip().strip("\"'").strip() for cell in line.split(sign)]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _comment(written: list[tuple[int, str]], sign: str | None, columns: int) -> TextLine:
    """Return the last comment if it can be a header, and otherwise no cells in line 0."""
    comments = [TextLine(n, _cells(line.strip(" #"), sign)) for n, line in written if "#" in line]
    last = comments[-1] if comments else TextLine(0, [])
    is_header = len(last.cells) == columns and not any(_is_number(c, sign) for c in last.cells)
    return last if is_header else TextLine(0, [])


def _number(cell: str, sign: str | None) -> float:
    """Return the number in a cell, with a decimal comma if the comma is not the separator."""
    is_decimal_comma = sign != "," and _DECIMAL_COMMA.fullmatch(cell)
    return float(cell.replace(",", ".") if is_decimal_comma else cell)


def _is_number(cell: str, sign: str | None) -> bool:
    try:
        _number(cell, sign)
    except ValueError:
        return False
    return True
