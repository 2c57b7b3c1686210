"""The log of a car's driving: a CSV file of commands, and of what was measured."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from racer.assets.atomic import write_new
from racer.errors import LogError

LOG_COLUMNS = {
    "time_s": "time of the row [s], growing",
    "steering_command_rad": "steering that was commanded [rad], positive to the left",
    "speed_command_m_s": "speed that was commanded [m/s]",
    "yaw_rate_rad_s": "measured: rate of turn [rad/s], positive to the left",
    "speed_m_s": "measured: speed [m/s]",
    "x_m": "measured: position [m]",
    "y_m": "measured: position [m]",
    "yaw_rad": "measured: heading [rad], counter-clockwise from x",
}
"""The columns of a log, and what they mean. A column `..._rad` or `..._rad_s` may be given in
degrees as `..._deg` or `..._deg_s`."""
POSE_COLUMNS = ("x_m", "y_m", "yaw_rad")
COMMAND_COLUMNS = ("time_s", "steering_command_rad", "speed_command_m_s")
LEAST_DURATION_S = 10.0
"""Shortest log that is used [s]."""
LONGEST_GAP_S = 0.5
"""Longest time between two rows [s]."""


@dataclass(frozen=True)
class CarLog:
    """The commands that a car got, and its measured motion.

    A command holds from its row on until the next one.

    Attributes:
        time: Time since the first row [s], (T,).
        command: Steering [rad] and speed [m/s], (T, 2).
        yaw_rate: Rate of turn [rad/s], (T,); None if it was not measured.
        speed: Speed [m/s], (T,); None if it was not measured.
        pose: x, y [m] and heading [rad], (T, 3); None if it was not measured.
    """

    time: np.ndarray
    command: np.ndarray
    yaw_rate: np.ndarray | None = None
    speed: np.ndarray | None = None
    pose: np.ndarray | None = None

    @property
    def shows_speed(self) -> bool:
        """Whether the log tells how fast the car was."""
        return self.speed is not None or self.pose is not None


def read_car_log(path: Path) -> CarLog:
    """Return the log in a CSV file with a line of column names; see `LOG_COLUMNS`.

    A row starts with the command that is given at its time. Other columns are ignored.

    Args:
        path: The file.

    Raises:
        LogError: It cannot be read, a column is missing, a value is no number, the time does not
            grow, or the log is too short.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise LogError(f"{path}: cannot be read: {why}") from problem
    names = [name.strip() for name in rows[0]] if rows else []
    columns = _columns(names, path)
    values = np.array([_numbers(row, names, columns, path, k) for k, row in enumerate(rows[1:], 2)])
    known = dict(zip(columns, values.T)) if len(values) else {}
    time = known.get("time_s", np.zeros(0))
    steps = np.diff(time)
    for what, is_wrong in (("does not grow", steps <= 0.0), ("has a gap", steps > LONGEST_GAP_S)):
        if is_wrong.any():
            line = int(np.flatnonzero(is_wrong)[0]) + 3
            raise LogError(
                f"{path}, line {line}: the time {what}: from {time[line - 3]:g} to "
                f"{time[line - 2]:g} s; rows are wanted in their order, at most "
                f"{LONGEST_GAP_S:g} s apart: cut the log there"
            )
    duration = float(time[-1] - time[0]) if len(time) else 0.0
    if duration < LEAST_DURATION_S:
        raise LogError(
            f"{path}: {duration:.1f} s of driving; at least {LEAST_DURATION_S:g} s are wanted, "
            "with curves to both sides at several speeds"
        )
    return CarLog(
        time - time[0],
        np.column_stack([known[name] for name in COMMAND_COLUMNS[1:]]),
        known.get("yaw_rate_rad_s"),
        known.get("speed_m_s"),
        np.column_stack([known[name] for name in POSE_COLUMNS])
        if POSE_COLUMNS[0] in known
        else None,
    )


def _columns(names: list[str], path: Path) -> dict[str, tuple[int, float]]:
    """Return index and factor of each known column, by its name in `LOG_COLUMNS`."""
    found = {}
    for name in LOG_COLUMNS:
        in_degrees = name.replace("_rad", "_deg")
        for given, factor in ((name, 1.0), (in_degrees, math.pi / 180.0)):
            if given in names and name not in found:
                found[name] = names.index(given), factor
    told = f"{path}: got the columns {', '.join(names) or 'none'}"
    if missing := [name for name in COMMAND_COLUMNS if name not in found]:
        raise LogError(
            f"{told}; missing: {', '.join(missing)} (docs/system-identification.md lists all)"
        )
    pose = [name for name in POSE_COLUMNS if name in found]
    if pose and len(pose) < len(POSE_COLUMNS):
        raise LogError(f"{told}; a pose has all of {', '.join(POSE_COLUMNS)}")
    if not pose and "yaw_rate_rad_s" not in found:
        raise LogError(
            f"{told}; wanted is what the car did: {', '.join(POSE_COLUMNS)}, or yaw_rate_rad_s"
        )
    return found


def _numbers(
    row: list[str], names: list[str], columns: dict[str, tuple[int, float]], path: Path, line: int
) -> list[float]:
    """Return a row's values in the units of `LOG_COLUMNS`.

    Args:
        row: The row.
        names: The columns of the file.
        columns: Index and factor of those that are wanted.
        path: The file.
        line: The row's line.
    """
    if len(row) != len(names):
        raise LogError(f"{path}, line {line}: {len(row)} values for {len(names)} columns")
    values = []
    for name, (index, factor) in columns.items():
        try:
            value = float(row[index])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise LogError(
                f"{path}, line {line}: {name}: wanted is a number, got {row[index]!r:.40}"
            )
        values.append(factor * value)
    return values


def write_car_log(path: Path, log: CarLog) -> None:
    """Write a log as a CSV file that `read_car_log` reads.

    Args:
        path: The file; another one is not written over.
        log: The log.

    Raises:
        LogError: It cannot be written.
    """
    columns = {name: log.command[:, k] for k, name in enumerate(COMMAND_COLUMNS[1:])}
    columns = {"time_s": log.time, **columns}
    if log.yaw_rate is not None:
        columns["yaw_rate_rad_s"] = log.yaw_rate
    if log.speed is not None:
        columns["speed_m_s"] = log.speed
    if log.pose is not None:
        columns |= {name: log.pose[:, k] for k, name in enumerate(POSE_COLUMNS)}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{value:.6g}" for value in row] for row in zip(*columns.values()))
    try:
        write_new(path, text.getvalue().encode())
    except OSError as problem:
        raise LogError(f"{path}: cannot be written: {problem.strerror}") from problem
