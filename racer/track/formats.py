"""Other people's track files, read and written: DeepRacer's .npy, and centre lines as .csv."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from racer.assets.document import MAX_BYTES
from racer.errors import TrackError
from racer.track.geometry import Track, signed_area
from racer.track.shape import WIDTHS, borders, checked, periodic, refuse_a_point_twice, steps

LENGTHS = (5.0, 500.0)
"""Least and greatest length that a track may be scaled to [m]."""

FARTHEST = 1e6
"""Greatest number in a file [m], before it is scaled."""

GAP = 2.0
"""The way from the last row to the first may be so many times the longest between two rows."""

CENTRELINE = "# x_m,y_m,w_tr_right_m,w_tr_left_m"
"""Of TUM's race-track database and of F1TENTH; no row is repeated, commas.
https://github.com/TUMFTM/racetrack-database"""

RACELINE = "# s_m; x_m; y_m; psi_rad; kappa_radpm; vx_mps; ax_mps2"
"""Of TUM's and F1TENTH's racing lines: semicolons, after three lines of comment.
https://github.com/f1tenth/f1tenth_racetracks"""


class Sides(NamedTuple):
    """Something for the left and for the right of a line."""

    left: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Lines:
    """What a file says of a road.

    Attributes:
        centre: The centre line in driving order [m], (N, 2).
        borders: The borders [m], each (N, 2), where the file has them.
        half: Road to each side of the centre line [m], each (N,), where the file has that.
    """

    centre: np.ndarray
    borders: Sides | None = None
    half: Sides | None = None

    def scaled(self, length: float) -> Lines:
        """The same road at another length [m], its middle at the origin."""
        factor = length / float(steps(self.centre).sum())
        middle = (self.centre.min(axis=0) + self.centre.max(axis=0)) / 2
        return Lines(
            (self.centre - middle) * factor,
            self.borders and Sides(*((ring - middle) * factor for ring in self.borders)),
            self.half and Sides(*(half * factor for half in self.half)),
        )

    def road(self, name: str) -> Track:
        """The track: its borders as they are, or else at half its widths beside the line."""
        sides = self.borders
        if sides is None:
            if self.half is None:
                raise TrackError("a raceline has no width; import it with --width METRES")
            refuse_a_point_twice(self.centre)
            line = periodic(self.centre, self.centre)
            sides = borders(line, line.x[:-1], *self.half)
        return checked(Track(name, "", self.centre, *sides))


def read_track(path: Path, length: float | None = None, width: float | None = None) -> Track:
    """The track in a .npy or a .csv file, named by the file.

    Args:
        path: The file.
        length: Scale it to this length of the centre line [m].
        width: Give it this width [m], half to each side of the centre line.

    Raises:
        TrackError: The file is not of that format, or no road; the message names it and says why.
    """
    try:
        for what, value, (low, high) in (("length", length, LENGTHS), ("width", width, WIDTHS)):
            if value is not None and not low <= value <= high:
                raise TrackError(f"{what} must be {low:g}-{high:g} m; got {value:g}")
        lines = _closed(READERS[path.suffix.lower()](_bytes(path)))
        if length is not None:
            lines = lines.scaled(length)
        if width is not None:
            half = np.full(len(lines.centre), width / 2)
            lines = replace(lines, borders=None, half=Sides(half, half))
        return lines.road(path.stem[:60])
    except TrackError as problem:
        raise TrackError(f"{path}: {problem}") from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise TrackError(f"cannot be read: {problem}") from None
    if len(data) > MAX_BYTES:
        raise TrackError(f"over {MAX_BYTES // 1_000_000} MB; such a file is not read")
    if not data:
        raise TrackError("the file is empty")
    return data


def _closed(lines: Lines) -> Lines:
    """The lines without a last row that repeats the first."""
    last = len(lines.centre) - 1
    if last > 0 and np.hypot(*(lines.centre[last] - lines.centre[0])) < 1e-6:
        lines = Lines(
            lines.centre[:last],
            lines.borders and Sides(*(ring[:last] for ring in lines.borders)),
            lines.half and Sides(*(half[:last] for half in lines.half)),
        )
    if len(lines.centre) < 4:
        raise TrackError(f"a closed line needs at least 4 different points; got {len(lines.centre)}")
    refuse_a_point_twice(lines.centre)
    step = steps(lines.centre)
    if step[-1] > GAP * step[:-1].max():
        raise TrackError(
            f"its line does not close: {step[-1]:.3g} m from the last point to the first, and no "
            f"more than {step[:-1].max():.3g} m between any other two"
        )
    return lines


def _npy(data: bytes) -> Lines:
    rows = _array(data)
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise TrackError(
            f"an array of shape {rows.shape}; (N, 6) is wanted: x and y of the centre line, of the "
            "inner and of the outer border"
        )
    _refuse_numbers(rows, lambda row: f"row {row}")
    centre, inner, outer = rows[:, :2], rows[:, 2:4], rows[:, 4:]
    if abs(signed_area(inner)) > abs(signed_area(outer)):
        inner, outer = outer, inner
    is_left_inner = signed_area(centre) > 0.0
    return Lines(centre, Sides(inner, outer) if is_left_inner else Sides(outer, inner))


def _array(data: bytes) -> np.ndarray:
    """The array of a .npy file. Its header is believed only where the data bears it out."""
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = header(file)
    except Exception as problem:  # numpy parses the header as Python, which fails in many ways
        raise TrackError(f"not a .npy file: {problem!s:.200}") from None
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise TrackError(f"an array of {dtype.name or dtype.kind}; float64 or float32 is wanted")
    wanted, there = math.prod(shape) * dtype.itemsize, len(data) - file.tell()
    if wanted != there or min(shape, default=1) < 0:
        raise TrackError(f"{there:,} bytes of numbers, where the header's {shape} needs {wanted:,}")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    with np.errstate(all="ignore"):
        return flat.reshape(shape, order="F" if is_fortran else "C").astype(np.float64)


def _csv(data: bytes) -> Lines:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise TrackError(f"not a text file: {problem}") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines:
        raise TrackError("no row of numbers in it")
    sign = ";" if ";" in lines[0][1] else ","
    columns = lines[0][1].count(sign) + 1
    if columns not in (4, 7):
        raise TrackError(
            f"line {lines[0][0]}: {columns} columns; 4 are wanted for a centre line "
            f"({CENTRELINE[2:]}) or 7 for a raceline ({RACELINE[2:]})"
        )
    table = np.array([_row(number, line.split(sign), columns) for number, line in lines])
    _refuse_numbers(table, lambda row: f"line {lines[row][0]}")
    if columns == 7:
        return Lines(table[:, 1:3])
    return Lines(table[:, :2], half=Sides(left=table[:, 3], right=table[:, 2]))


def _row(number: int, cells: list[str], columns: int) -> list[float]:
    if len(cells) != columns:
        raise TrackError(f"line {number}: {len(cells)} columns; the first row has {columns}")
    try:
        return [float(cell) for cell in cells]
    except ValueError as problem:
        raise TrackError(f"line {number}: {problem}; a comment begins with #") from None


def _refuse_numbers(rows: np.ndarray, place: Callable[[int], str]) -> None:
    is_bad = ~(np.abs(rows) <= FARTHEST)
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0]
        raise TrackError(
            f"{place(int(row))}, column {column + 1}: {rows[row, column]:g}; a finite number "
            f"within {FARTHEST:,.0f} is wanted"
        )


READERS: dict[str, Callable[[bytes], Lines]] = {".npy": _npy, ".csv": _csv}
"""By the ending of a file's name."""


def as_npy(track: Track) -> bytes:
    """DeepRacer's file: rows of centre, inner and outer border [m], the first row again at the end.

    The rows run in driving order; which border is the inner one follows from the winding.
    """
    sides = (track.right, track.left) if track.is_clockwise else (track.left, track.right)
    rows = np.hstack([track.centre, *sides])
    file = io.BytesIO()
    np.save(file, np.vstack([rows, rows[:1]]), allow_pickle=False)
    return file.getvalue()


def as_csv(track: Track) -> bytes:
    """TUM's and F1TENTH's centre line; borders are kept as their distances from its points."""
    right, left = (np.hypot(*(ring - track.centre).T) for ring in (track.right, track.left))
    rows = np.column_stack([track.centre, right, left])
    lines = [",".join(repr(float(value)) for value in row) for row in rows]
    return "\n".join([CENTRELINE, *lines, ""]).encode()


WRITERS: dict[str, Callable[[Track], bytes]] = {"npy": as_npy, "csv": as_csv}
"""By the ending of the file that they write."""
