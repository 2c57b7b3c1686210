"""Tables that fit their terminal: a column is shown whole or left out, so no figure is ever cut."""

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
"""A text; or one that may be cut and what is kept behind it: `("a name", " (disputed)")`."""


@dataclass(frozen=True)
class TableColumn:
    """A column of a `FittedTable`.

    Attributes:
        heading: What stands above it.
        align: On which side its cells stand.
        least: The width to which its cells may be cut, with an ellipsis; None where they may not
            be cut. For a column of `drop` 0 they are cut to the width of the heading.
        wraps: Whether its cells go on in the next line instead of being cut.
        drop: Where the columns do not fit, the one with the highest number is left out first, and
            of equal ones the one that stands furthest to the right.
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
    """A table that rich prints at any width, chosen by what its cells measure.

    Cells are shown as they are, never as markup. Columns that do not fit are left out whole, and a
    line below names them; cells that may be cut are shortened with an ellipsis. A character's width
    in the terminal counts, which is 2 for an emoji or a Chinese character.

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
        """How many rows there are."""
        return len(self._rows)

    def add_row(self, *cells: TableCell, style: str = "") -> None:
        """Add a row with a cell for each column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self._rows.append(_Row(cells, style, False))

    def add_section(self) -> None:
        """Leave a line free below the last row."""
        if self._rows:
            self._rows[-1] = self._rows[-1]._replace(ends_section=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich's console protocol."""
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
        left_out = [one.heading for k, one in enumerate(self.columns) if k not in widths]
        told = f"no room for: {', '.join(left_out)}" if left_out else ""
        if below := "; ".join(filter(None, (self.caption, told))):
            yield Text(below, style="dim")

    def _fit(self, room: int) -> dict[int, int]:
        """The width of each column that is shown, by its number."""
        whole = [self._width(k, None) for k in range(len(self.columns))]
        kept = sorted(range(len(self.columns)), key=lambda k: self.columns[k].drop)
        widths = self._least(kept)
        while len(kept) > 1 and _total(widths) > room:
            kept.pop()
            widths = self._least(kept)
        for _ in range(room - _total(widths)):
            if cut := [k for k in widths if widths[k] < whole[k]]:
                widths[min(cut, key=widths.__getitem__)] += 1
        return {k: min(width, room) for k, width in widths.items()}

    def _least(self, kept: list[int]) -> dict[int, int]:
        """The least width of each column, from left to right, where only those are shown."""
        is_bare = not any(self.columns[k].drop for k in kept)
        widths = {k: self._width(k, self.columns[k].least) for k in sorted(kept)}
        for k in widths:
            if is_bare and self.columns[k].least is not None:
                widths[k] = min(widths[k], cell_len(self.columns[k].heading))
        return widths

    def _width(self, number: int, least: int | None) -> int:
        """The width that a column needs, where its cells are cut to the least."""
        width = cell_len(self.columns[number].heading)
        for row in self._rows:
            text, kept = _parts(row.cells[number])
            shown = cell_len(text) if least is None else min(cell_len(text), least)
            width = max(width, shown + cell_len(kept))
        return width


def _parts(cell: TableCell) -> tuple[str, str]:
    return (cell, "") if isinstance(cell, str) else cell


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + COLUMN_GAP * (len(widths) - 1)


def _cut(cell: TableCell, width: int) -> Text:
    text, kept = _parts(cell)
    room = width - cell_len(kept)
    if room < 1:
        return Text(text + kept)
    shown = Text(text)
    shown.truncate(room, overflow="ellipsis")
    return shown.append(kept)
