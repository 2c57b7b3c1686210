"""Tables that fit the terminal: a column is shown whole or left out, so no number is ever cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

COLUMN_GAP = 2
"""Spaces between two columns."""
TableCell = str | tuple[str, str]
"""A text, or a pair `("a name", " (disputed)")` of a text that may be cut and one that always
stays."""


@dataclass(frozen=True)
class TableColumn:
    """A column of a `FittedTable`.

    Attributes:
        heading: The text above it.
        align: The side on which its cells are aligned.
        least: The width [characters] to which its cells may be cut, with an ellipsis; None if they
            may not be cut. Where only columns of `drop` 0 are left, they are cut to the heading's
            width.
        wraps: Whether its cells continue on the next line instead of being cut.
        drop: Where the columns do not fit, the one with the highest number is left out first; of
            equal ones, the rightmost.
    """

    heading: str
    align: Literal["left", "right"] = "right"
    least: int | None = None
    wraps: bool = False
    drop: int = 0


class _Row(NamedTuple):
    cells: tuple[TableCell, ...]
    style: str
    ends_section: bool


class FittedTable:
    """A table that rich prints at any width, with columns chosen by the widths of their cells.

    Cells are shown as they are, never as markup. Columns that do not fit are left out whole, and a
    line below the table names them; cells that may be cut are shortened with an ellipsis. Widths
    count as the terminal shows them: 2 for an emoji or a Chinese character.

    Args:
        *columns: The columns, from left to right.
        title: A line above the table.
        caption: A line below the table.
    """

    def __init__(self, *columns: TableColumn, title: str = "", caption: str = "") -> None:
        self.columns, self.title, self.caption = columns, title, caption
        self._rows: list[_Row] = []

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def add_row(self, *cells: TableCell, style: str = "") -> None:
        """Add a row.

        Args:
            *cells: One cell for each column.
            style: A rich style for the row.

        Raises:
            ValueError: There are more or fewer cells than columns.
        """
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self._rows.append(_Row(cells, style, False))

    def add_section(self) -> None:
        """Leave an empty line after the last row."""
        if self._rows:
            self._rows[-1] = self._rows[-1]._replace(ends_section=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what rich prints, as rich's console protocol wants it."""
        widths = self._fit(options.max_width)
        shown = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        for k, width in widths.items():
            column = self.columns[k]
            shown.add_column(
                Text(column.heading),
                justify=column.align,
                width=width,
                no_wrap=not column.wraps,
                overflow="fold" if column.wraps else "ellipsis",
            )
        for row in self._rows:
            cells = [
                Text("".join(_parts(row.cells[k])))
                if self.columns[k].wraps
                else _cut(row.cells[k], width)
                for k, width in widths.items()
            ]
            shown.add_row(*cells, style=row.style, end_section=row.ends_section)
        if self.title:
            yield Text(self.title, style="italic")
        yield shown
        omitted = [column.heading for k, column in enumerate(self.columns) if k not in widths]
        note = f"no room for: {', '.join(omitted)}" if omitted else ""
        if below := "; ".join(filter(None, (self.caption, note))):
            yield Text(below, style="dim")

    def _fit(self, room: int) -> dict[int, int]:
        """Return the width of each column that is shown, by its index, in `room` characters."""
        full = [self._width(k, None) for k in range(len(self.columns))]
        kept = sorted(range(len(self.columns)), key=lambda k: self.columns[k].drop)
        widths = self._least(kept)
        while len(kept) > 1 and _total(widths) > room:
            kept.pop()
            widths = self._least(kept)
        # The spare characters go one by one to the narrowest of the columns that are still cut.
        for _ in range(room - _total(widths)):
            if cut := [k for k in widths if widths[k] < full[k]]:
                widths[min(cut, key=widths.__getitem__)] += 1
        return {k: min(width, room) for k, width in widths.items()}

    def _least(self, kept: list[int]) -> dict[int, int]:
        """Return the least width of each of the columns `kept`, from left to right."""
        has_only_essentials = not any(self.columns[k].drop for k in kept)
        widths = {k: self._width(k, self.columns[k].least) for k in sorted(kept)}
        for k in widths:
            if has_only_essentials and self.columns[k].least is not None:
                widths[k] = min(widths[k], cell_len(self.columns[k].heading))
        return widths

    def _width(self, number: int, least: int | None) -> int:
        """Return the width of column `number` where its cells are cut to `least` characters."""
        width = cell_len(self.columns[number].heading)
        for row in self._rows:
            text, kept = _parts(row.cells[number])
            shown = cell_len(text) if least is None else min(cell_len(text), least)
            width = max(width, shown + cell_len(kept))
        return width


def decimal_cell(value: float | None, decimals: int = 2) -> str:
    """Return a number as a cell; a dash if it is None.

    Args:
        value: The number.
        decimals: Its decimals.
    """
    return "-" if value is None else f"{value:.{decimals}f}"


def _parts(cell: TableCell) -> tuple[str, str]:
    """Return the part of a cell that may be cut, and the part that stays."""
    return (cell, "") if isinstance(cell, str) else cell


def _total(widths: dict[int, int]) -> int:
    """Return the width of a table [characters], with the gaps between its columns."""
    return sum(widths.values()) + COLUMN_GAP * (len(widths) - 1)


def _cut(cell: TableCell, width: int) -> Text:
    """Return a cell cut to `width` characters with an ellipsis, except for the part that stays."""
    text, kept = _parts(cell)
    room = width - cell_len(kept)
    if room < 1:
        return Text(text + kept)
    shown = Text(text)
    shown.truncate(room, overflow="ellipsis")
    return shown.append(kept)
