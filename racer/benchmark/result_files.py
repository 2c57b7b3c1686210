"""The two CSV files of the benchmarks: a line for each seed, and one for each evaluation."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from filelock import FileLock
from rich.console import Console

from racer.assets.atomic import write_atomically
from racer.benchmark.rows import BenchmarkRow
from racer.benchmark.seed_result import CurvePoint, SeedResult, measure_seed
from racer.errors import ConfigError, RacerError

MAX_LOCK_WAIT_S = 60.0
"""Longest time to wait for another process that writes the same files [s]."""
Line = TypeVar("Line", SeedResult, CurvePoint)


@dataclass(frozen=True)
class ResultFiles:
    """The files of results and of curves; see `SeedResult` and `CurvePoint` for their columns.

    A value that is not known is an empty cell.

    Attributes:
        results: The file of results, such as `results.csv`.
    """

    results: Path

    @property
    def curves(self) -> Path:
        """The file of curves beside it: `results-curves.csv`."""
        return self.results.with_name(f"{self.results.stem}-curves{self.results.suffix}")

    def read(self) -> tuple[list[SeedResult], list[CurvePoint]]:
        """Return all results and all points of curves; none of a file that is not there.

        Raises:
            RacerError: A file cannot be read, or has other columns.
        """
        return _read_lines(self.results, SeedResult), _read_lines(self.curves, CurvePoint)

    def refuse_unwritable_files(self) -> None:
        """Raise RacerError if the files cannot be written; write headings if they are not there."""
        try:
            self.results.parent.mkdir(parents=True, exist_ok=True)
            for path in (self.results, self.curves):
                if path.exists():
                    path.open("a").close()
            if not self.results.exists():
                _write_lines(self.results, SeedResult, [])
            if not self.curves.exists():
                _write_lines(self.curves, CurvePoint, [])
        except OSError as problem:
            raise RacerError(f"{self.results}: cannot be written: {problem}") from problem

    def add(self, result: SeedResult, curve: Sequence[CurvePoint]) -> None:
        """Add a seed, in place of an earlier one of the same row and seed.

        The lines are sorted by row and seed. Several processes may add to the same files.

        Args:
            result: Its result.
            curve: Its learning curve.

        Raises:
            RacerError: A file cannot be read or written.
        """
        mine = (result.row, result.seed)
        try:
            lock = self.results.with_name(f".{self.results.name}.lock")
            with FileLock(lock, MAX_LOCK_WAIT_S):
                results, curves = self.read()
                # First the curve: a seed counts as measured once its result is there.
                kept = [one for one in curves if (one.row, one.seed) != mine]
                _write_lines(self.curves, CurvePoint, [*kept, *curve])
                others = [one for one in results if (one.row, one.seed) != mine]
                _write_lines(self.results, SeedResult, [*others, result])
        except OSError as problem:
            raise RacerError(f"{self.results}: cannot be written: {problem}") from problem


def measure_row(
    row: BenchmarkRow,
    seeds: Sequence[int],
    files: ResultFiles | None = None,
    console: Console | None = None,
) -> Iterator[tuple[SeedResult, list[CurvePoint]]]:
    """Yield the result and the learning curve of each seed of a row; see `measure_seed`.

    Args:
        row: The row.
        seeds: Seeds of the training; a pilot races once, as seed 0.
        files: Where they are added to; a seed that is there is not measured again.
        console: Where the progress is shown.

    Raises:
        RacerError: The row's config, or a file, cannot be used, or there is no seed.
    """
    if not seeds:
        raise ConfigError("--seeds: no seed; name one or more, such as --seeds 0 1 2")
    results, curves = files.read() if files else ([], [])
    if files:
        files.refuse_unwritable_files()
    for seed in dict.fromkeys((0,) if row.is_pilot else seeds):
        known = [one for one in results if (one.row, one.seed) == (row.name, seed)]
        if known:
            yield known[0], [one for one in curves if (one.row, one.seed) == (row.name, seed)]
            continue
        result, curve = measure_seed(row, seed, console)
        if files:
            files.add(result, curve)
        yield result, curve


def _write_lines(path: Path, kind: type[Line], lines: Iterable[Line]) -> None:
    """Write a file of lines, sorted by row and seed.

    Args:
        path: The file.
        kind: What a line is.
        lines: The lines.
    """
    names = [one.name for one in fields(kind)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for line in sorted(lines, key=lambda one: (one.row, one.seed)):
        writer.writerow([getattr(line, name) for name in names])
    write_atomically(path, text.getvalue().encode())


def _read_lines(path: Path, kind: type[Line]) -> list[Line]:
    """Return the lines of a file; none if it is not there.

    Args:
        path: The file.
        kind: What a line is.

    Raises:
        RacerError: The file cannot be read, or has other columns.
    """
    if not path.exists():
        return []
    types = get_type_hints(kind)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            found = list(reader)
            if list(reader.fieldnames or ()) != list(types):
                raise RacerError(
                    f"{path}: its columns are {', '.join(reader.fieldnames or ())}; wanted are "
                    f"{', '.join(types)}: name another file"
                )
            return [
                kind(**{name: _value(types[name], cell) for name, cell in line.items()})
                for line in found
            ]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as problem:
        raise RacerError(f"{path}: cannot be read: {problem}") from problem


def _value(kind: object, cell: str) -> Any:
    """Return the value of a cell.

    Args:
        kind: Its type: `str`, `int`, `float` or `float | None`.
        cell: Its text.
    """
    if kind is str:
        return cell
    if kind is int:
        return int(cell)
    return float(cell) if cell or kind is float else None
