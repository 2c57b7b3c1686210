"""Read and write the track files of others: DeepRacer's .npy, and centre lines as .csv."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from racer.assets.document import MAX_CONFIG_BYTES
from racer.assets.text import decode_text
from racer.errors import TrackError
from racer.track.border_cleanup import clean_border
from racer.track.borders import (
    SHORT_STEP_SHARE,
    WIDTH_RANGE_M,
    borders_of_line,
    check_track,
    distinct_points,
    periodic_spline,
    step_lengths,
)
from racer.track.geometry import Track, signed_area
from racer.track.text_columns import NumberTable, read_number_table

LENGTH_RANGE_M = (5.0, 500.0)
"""Smallest and largest length that a track may be scaled to [m]."""

LARGEST_NUMBER_M = 1e8
"""Largest magnitude of a number in a file [m], before it is scaled."""

MAX_CLOSING_GAP_RATIO = 2.0
"""The largest distance from the last row to the first, as a multiple of the longest distance
between two neighbouring rows; beyond it the line is open."""

CENTRELINE_HEADER = "# x_m,y_m,w_tr_right_m,w_tr_left_m"
"""The header of TUM's race-track database and of F1TENTH: commas, no repeated row.
https://github.com/TUMFTM/racetrack-database"""

RACELINE_HEADER = "# s_m; x_m; y_m; psi_rad; kappa_radpm; vx_mps; ax_mps2"
"""The header of TUM's and F1TENTH's racing lines: semicolons, after three lines of comment.
https://github.com/f1tenth/f1tenth_racetracks"""

COLUMN_NAMES = {
    "x": ("x_m", "x_ref_m", "x"),
    "y": ("y_m", "y_ref_m", "y"),
    "right": ("w_tr_right_m", "width_right_m", "w_right_m", "w_tr_right", "width_right", "right"),
    "left": ("w_tr_left_m", "width_left_m", "w_left_m", "w_tr_left", "width_left", "left"),
}
"""The names of each column in known headers; those of TUM and F1TENTH come first."""

COLUMNS_BY_COUNT = {
    2: {"x": 0, "y": 1},
    4: {"x": 0, "y": 1, "right": 2, "left": 3},
    7: {"x": 1, "y": 2},
}
"""The index of each column in a file without a header, by the number of its columns."""

ONE_ARRAY_RULE = "a track is one array of numbers, saved with numpy.save"


class LeftRight(NamedTuple):
    """A value for the left side of a line and one for the right side."""

    left: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class RoadLines:
    """The lines of a road, as a file states them.

    Attributes:
        centre: The centre line in driving order [m], (N, 2).
        borders: The borders [m], each (N, 2); None if the file has none.
        half: Width of the road to each side of the centre line [m], each (N,); None if the file has
            none.
    """

    centre: np.ndarray
    borders: LeftRight | None = None
    half: LeftRight | None = None

    def scaled(self, length: float) -> RoadLines:
        """Return the same road scaled to another length [m], with its middle at the origin."""
        factor = length / float(step_lengths(self.centre).sum())
        middle = (self.centre.min(axis=0) + self.centre.max(axis=0)) / 2
        return RoadLines(
            (self.centre - middle) * factor,
            self.borders and LeftRight(*((ring - middle) * factor for ring in self.borders)),
            self.half and LeftRight(*(half * factor for half in self.half)),
        )

    def at(self, rows: np.ndarray) -> RoadLines:
        """Return the rows of these indices (M,) alone."""
        return RoadLines(
            self.centre[rows],
            self.borders and LeftRight(*(ring[rows] for ring in self.borders)),
            self.half and LeftRight(*(half[rows] for half in self.half)),
        )

    def road(self, name: str) -> Track:
        """Return the track: with its own borders, or else with borders at its half widths.

        Loops of a border inside a tight bend are removed.

        Raises:
            TrackError: The file has neither borders nor widths, or the lines are not a road.
        """
        sides = self.borders
        if sides is None:
            if self.half is None:
                raise TrackError(
                    "a line without widths; `racer tracks import FILE --width METRES` gives it one"
                )
            line = periodic_spline(self.centre, self.centre)
            sides = borders_of_line(line, line.x[:-1], *self.half)
        width = float(np.median(np.hypot(*np.subtract(*sides).T)))
        rings = (clean_border(ring, turn, width) for ring, turn in zip(sides, (-1, 1)))
        return check_track(Track(name, "", self.centre, *rings))


def read_track(path: Path, length: float | None = None, width: float | None = None) -> Track:
    """Return the track in a .npy or .csv file, named after the file.

    Args:
        path: The file.
        length: Scale the track to this length of its centre line [m].
        width: Replace its borders by ones at half this width [m] to each side of the centre line.

    Raises:
        TrackError: The file does not have that format or is not a road; the message names the file
            and the reason.
    """
    try:
        for name, value, (low, high) in (
            ("length", length, LENGTH_RANGE_M),
            ("width", width, WIDTH_RANGE_M),
        ):
            if value is not None and not low <= value <= high:
                raise TrackError(f"{name} must be {low:g}-{high:g} m; got {value:g}")
        lines = TRACK_READERS[path.suffix.lower()](_bytes(path))
        if length is not None:
            lines = lines.scaled(length)
        if width is not None:
            half = np.full(len(lines.centre), width / 2)
            lines = replace(lines, borders=None, half=LeftRight(half, half))
        return lines.road(path.stem[:60])
    except TrackError as problem:
        raise TrackError(f"{path}: {problem}") from None


def _bytes(path: Path) -> bytes:
    """Return the bytes of a file of any allowed size."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as problem:
        raise TrackError(f"cannot be read: {problem}") from None
    if len(data) > MAX_CONFIG_BYTES:
        raise TrackError(f"over {MAX_CONFIG_BYTES // 1_000_000} MB; such a file is not read")
    if not data:
        raise TrackError("the file is empty")
    return data


def _closed(lines: RoadLines, place: Callable[[int], str]) -> RoadLines:
    """Return the lines without rows that repeat the one before or, at the end, the first.

    Raises:
        TrackError: Fewer than four rows are left, or they do not make a loop.
    """
    kept = distinct_points(lines.centre, place)
    if len(kept) < 4:
        raise TrackError(f"a closed line needs at least 4 different points; got {len(kept)}")
    step = step_lengths(lines.centre[kept])
    gap = float(np.hypot(*(lines.centre[-1] - lines.centre[0])))
    if gap > SHORT_STEP_SHARE * np.median(step) and gap > MAX_CLOSING_GAP_RATIO * step[:-1].max():
        raise TrackError(
            f"its line is open and does not close: {gap:.3g} m from the last point to the first, "
            f"and no more than {step[:-1].max():.3g} m between any other two; a track is a loop, "
            "and where this one is, repeat its first row at the end"
        )
    return lines.at(kept)


def _npy(data: bytes) -> RoadLines:
    """Return the lines in DeepRacer's file: x and y of the centre line, inner and outer border."""
    rows = _array(data)
    if rows.ndim == 2 and rows.shape[0] == 6 < rows.shape[1]:
        raise TrackError(f"an array of shape {rows.shape}; transpose it: (N, 6) is wanted")
    if rows.ndim != 2 or rows.shape[1] < 6:
        raise TrackError(
            f"an array of shape {rows.shape}; (N, 6) is wanted: x and y of the centre line, of the "
            "inner and of the outer border"
        )
    rows = rows[:, :6]  # DeepRacer's loader ignores further columns.
    _refuse_numbers(rows, lambda row: f"row {row}", range(6))
    centre, inner, outer = rows[:, :2], rows[:, 2:4], rows[:, 4:]
    if abs(signed_area(inner)) > abs(signed_area(outer)):
        inner, outer = outer, inner
    is_left_inner = signed_area(centre) > 0.0
    sides = LeftRight(inner, outer) if is_left_inner else LeftRight(outer, inner)
    return _closed(RoadLines(centre, sides), lambda row: f"row {row}")


def _array(data: bytes) -> np.ndarray:
    """Return the array of a .npy file, as float64.

    The header is checked against the size of the data, so that a forged one allocates no memory.
    """
    for start, kind in ((b"PK", "an .npz archive or another zip"), (b"\x80", "a pickle")):
        if data.startswith(start):
            raise TrackError(f"not a .npy file but {kind}; {ONE_ARRAY_RULE}")
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = header(file)
    except Exception as problem:  # numpy evaluates the header as Python, which fails in many ways
        raise TrackError(f"not a .npy file: {problem!s:.200}") from None
    if dtype.hasobject:
        raise TrackError(
            f"an array of Python objects, which are not read from a .npy; {ONE_ARRAY_RULE}"
        )
    if dtype.kind not in "fiu":
        raise TrackError(f"an array of {dtype.name or dtype.kind}; {ONE_ARRAY_RULE}")
    wanted, got = math.prod(shape) * dtype.itemsize, len(data) - file.tell()
    if wanted != got or min(shape, default=1) < 0:
        raise TrackError(f"{got:,} bytes of numbers, where the header's {shape} needs {wanted:,}")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    with np.errstate(all="ignore"):
        return flat.reshape(shape, order="F" if is_fortran else "C").astype(np.float64)


def _csv(data: bytes) -> RoadLines:
    """Return the centre line in a .csv file, and its widths unless it is a raceline."""
    table = read_number_table(_text(data))
    at = _columns(table)

    def place(row: int) -> str:
        return f"line {table.rows[row].number}"

    numbers = table.numbers(list(at.values()))
    _refuse_numbers(numbers, place, list(at.values()))
    found = dict(zip(at, numbers.T))
    half = LeftRight(found["left"], found["right"]) if "left" in found else None
    return _closed(RoadLines(np.stack([found["x"], found["y"]], axis=1), half=half), place)


def _text(data: bytes) -> str:
    """Return a file's text; latin-1 where it is not Unicode."""
    try:
        return decode_text(data)
    except UnicodeDecodeError as problem:
        if b"\0" in data:
            raise TrackError(f"not a text file: {problem}") from None
        # Numbers and known headers are ASCII: only a comment can hold letters that differ.
        return data.decode("latin-1")


def _columns(table: NumberTable) -> dict[str, int]:
    """Return the index of the columns x and y and, unless it is a raceline, left and right.

    A header decides, where it names the columns. A comment above the rows may be prose that happens
    to contain such a name, so without widths the number of columns goes before it.
    """
    count = len(table.rows[0].cells)
    found = _named(table.names)
    has_line, has_widths = {"x", "y"} <= found.keys(), {"left", "right"} <= found.keys()
    is_prose = table.is_comment and not has_widths and count in COLUMNS_BY_COUNT
    if has_line and not is_prose and (has_widths or not {"left", "right"} & found.keys()):
        return found
    is_bare = table.is_comment or not table.names
    if is_bare and count in COLUMNS_BY_COUNT:
        return COLUMNS_BY_COUNT[count]
    wanted = (
        f"wanted are {CENTRELINE_HEADER[2:]} for a centre line, or {RACELINE_HEADER[2:]} for a "
        "raceline"
    )
    if is_bare:
        line = table.rows[0].number
        raise TrackError(f"line {line}: {count} columns without known names; {wanted}")
    names = ", ".join(map(repr, table.names))
    raise TrackError(f"line {table.header}: its columns are {names:.200}; {wanted}")


def _named(names: list[str]) -> dict[str, int]:
    """Return the index of each column whose name is known."""
    matches = {
        column: [name for name in known if name in names] for column, known in COLUMN_NAMES.items()
    }
    return {column: names.index(found[0]) for column, found in matches.items() if found}


def _refuse_numbers(rows: np.ndarray, place: Callable[[int], str], columns: Sequence[int]) -> None:
    """Raise TrackError if a number is not finite or too large.

    Args:
        rows: Numbers [m], (N, k).
        place: Returns what a message calls row i.
        columns: The index in the file of each of the k columns.
    """
    is_bad = ~(np.abs(rows) <= LARGEST_NUMBER_M)
    if is_bad.any():
        row, k = np.argwhere(is_bad)[0]
        raise TrackError(
            f"{place(int(row))}, column {columns[k] + 1}: {rows[row, k]:g}; a finite number "
            f"within {LARGEST_NUMBER_M:,.0f} is wanted"
        )


TRACK_READERS: dict[str, Callable[[bytes], RoadLines]] = {".npy": _npy, ".csv": _csv}
"""The reader of each file format, by the suffix of the file's name."""


def as_npy(track: Track) -> bytes:
    """Return DeepRacer's file: rows of centre, inner and outer border [m].

    The rows are in driving order, the first repeated at the end; which border is the inner one
    follows from the direction of driving.
    """
    sides = (track.right, track.left) if track.is_clockwise else (track.left, track.right)
    rows = np.hstack([track.centre, *sides])
    file = io.BytesIO()
    np.save(file, np.vstack([rows, rows[:1]]), allow_pickle=False)
    return file.getvalue()


def as_csv(track: Track) -> bytes:
    """Return TUM's and F1TENTH's centre line; borders become their distances from its points."""
    right, left = (np.hypot(*(ring - track.centre).T) for ring in (track.right, track.left))
    rows = np.column_stack([track.centre, right, left])
    lines = [",".join(repr(float(value)) for value in row) for row in rows]
    return "\n".join([CENTRELINE_HEADER, *lines, ""]).encode()


TRACK_WRITERS: dict[str, Callable[[Track], bytes]] = {"npy": as_npy, "csv": as_csv}
"""The writer of each file format, by the suffix of the file's name without its dot."""
