"""The fit of latency, gains and grip to a log of driving, with intervals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from racer.assets.atomic import write_own
from racer.car.spec import CarSpec
from racer.errors import LogError
from racer.identification.car_log import CarLog
from racer.identification.simulated_drive import FITTED, SimulatedDrive
from racer.randomisation import Randomisation
from racer.tables import FittedTable, TableColumn
from racer.world import CONTROL_RATE_HZ

SETTLING_S = 1.0
"""The beginning of a log [s], which is not compared: the simulated cars start at rest."""
POSE_INTERVAL_S = 0.1
"""Least time between two poses that are compared [s]: jitter matters less over a longer one."""
FIRST_LATENCIES_S = np.arange(0.0, 0.31, 1 / 30)
"""Latencies that the search begins with [s]."""
FIRST_VALUES = (0.0, 1.0, 0.0, 1.0, 0.9)
"""The quantities that it begins with, in the order of `FITTED`."""
FIRST_ROUNDS, LAST_ROUNDS = 8, 8
"""Steps from each of these latencies, and then of the best one."""
PERTURBATION = np.array([1 / 480, 0.01, 0.005, 0.01, 0.02])
"""Differences for the derivatives, in the order of `FITTED`."""
LONGEST_LATENCY_S = 0.5
DAMPING = 1e-2
"""Share of the diagonal that Levenberg and Marquardt's method adds to itself at first."""
BLOCK_S = 1.0
"""Length of a block that the bootstrap draws [s]: what is left over is correlated for less."""
BOOTSTRAP_DRAWS = 1000
INTERVAL_PERCENT = 95.0
WIDEST_SHARE = 0.5
"""A quantity is not known if its interval is wider than this share of the allowed range."""
_FIRST_WORDS = "# Fitted to"
"""How a randomisation begins that may be written over."""
UNITS = {"latency": "s", "steering_offset": "rad"}


class FittedQuantity(NamedTuple):
    """A quantity of a car, as a log tells it.

    Attributes:
        name: Its name in a randomisation; `latency` is in seconds here.
        value: The estimate.
        low: Lower end of the 95 % interval.
        high: Upper end.
        is_known: Whether the interval is narrow enough to be of use.
    """

    name: str
    value: float
    low: float
    high: float
    is_known: bool


class CarFit(NamedTuple):
    """The quantities of a car that were fitted to a log.

    Attributes:
        quantities: The quantities, in the order of `FITTED`.
        residuals: Standard deviation that the simulation leaves unexplained, and that of the
            measurement itself, by its name: yaw rates [rad/s] and speeds [m/s].
        duration: Length of the part that was compared [s].
    """

    quantities: tuple[FittedQuantity, ...]
    residuals: dict[str, tuple[float, float]]
    duration: float

    @property
    def ranges(self) -> dict[str, list[float]]:
        """The intervals of what is known as ranges of a randomisation, within what it allows."""
        found = {}
        for one in self.quantities:
            if one.is_known and one.name == "latency":
                # Whole control steps around it, or the one that it nearly is.
                low, high = one.low * CONTROL_RATE_HZ, one.high * CONTROL_RATE_HZ
                ends = math.floor(low + 0.1), math.ceil(high - 0.1)
                found[one.name] = [min(end, _most_steps()) for end in ends]
            elif one.is_known:
                found[one.name] = [round(one.low, 4), round(one.high, 4)]
        return found

    def randomisation_yaml(self, source: str) -> str:
        """Return a randomisation with these ranges as YAML.

        Args:
            source: Name of the log, for the first line.
        """
        lines = [f"{_FIRST_WORDS} {source}: {INTERVAL_PERCENT:.0f} % intervals."]
        lines += [f"{name}: [{low:g}, {high:g}]" for name, (low, high) in self.ranges.items()]
        latency = self.quantities[FITTED.index("latency")]
        if latency.high * CONTROL_RATE_HZ - 0.1 > _most_steps():
            told = f"{latency.low:.3f} to {latency.high:.3f} s"
            lines.append(
                f"# The latency is {told}; up to {_most_steps()} control steps are allowed."
            )
        unknown = [one.name for one in self.quantities if not one.is_known]
        if unknown:
            lines.append(f"# The log does not tell: {', '.join(unknown)}.")
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Return the fit as plain values."""
        return {
            "quantities": [one._asdict() for one in self.quantities],
            "residuals": {
                name: {"unexplained": left, "measured": whole}
                for name, (left, whole) in self.residuals.items()
            },
            "duration_s": self.duration,
            "randomisation": self.ranges,
        }

    def table(self) -> FittedTable:
        """Return the quantities as a table for the terminal."""
        told = "; ".join(
            f"{name}: {left:.3g} of {whole:.3g} unexplained"
            for name, (left, whole) in self.residuals.items()
        )
        shown = FittedTable(
            TableColumn("quantity", "left"),
            TableColumn("estimate"),
            TableColumn("95 % interval"),
            TableColumn("unit", "left", drop=2),
            TableColumn("", "left", drop=1),
            title=f"{self.duration:.0f} s of driving compared",
            caption=f"standard deviations, {told}",
        )
        for one in self.quantities:
            shown.add_row(
                one.name,
                f"{one.value:.3f}",
                f"{one.low:.3f} to {one.high:.3f}",
                UNITS.get(one.name, "factor"),
                "" if one.is_known else "the log does not tell",
            )
        return shown


class _Measured(NamedTuple):
    """The measurements that are compared with the simulation."""

    rows: np.ndarray
    """Rows of the log that are compared directly, (k,)."""
    pose_rows: np.ndarray
    """Rows whose poses are compared with those before them, (m + 1,)."""
    values: np.ndarray
    """The measurements, (M,)."""
    channel: np.ndarray
    """Index of the channel that each belongs to, (M,)."""
    time: np.ndarray
    """Its time [s], (M,)."""
    names: tuple[str, ...]
    """The channels."""


def fit_car(log: CarLog, spec: CarSpec) -> CarFit:
    """Return latency, gains and grip with which simulated cars drive as the log says.

    From each of several latencies, Levenberg and Marquardt's method finds the quantities with the
    least squares between the measured and the simulated yaw rate and speed; the best are taken.
    The intervals come from a block bootstrap of the linearized problem (Kuensch, 1989), as what is
    left over is correlated in time.

    Args:
        log: The log.
        spec: The car that was simulated; what is not fitted is as in it.

    Raises:
        LogError: The log does not show how the car answers its commands.
    """
    measured = _measured(log)
    if np.ptp(log.command[:, 0]) < 0.05:
        raise LogError(
            "the log has no steering to speak of: drive curves to both sides at several speeds"
        )
    values = np.tile(FIRST_VALUES, (len(FIRST_LATENCIES_S), 1))
    values[:, 0] = FIRST_LATENCIES_S
    values = _descend(log, spec, measured, values, FIRST_ROUNDS)
    values = _descend(log, spec, measured, values, LAST_ROUNDS)
    return _with_intervals(log, spec, measured, values)


def _measured(log: CarLog) -> _Measured:
    rows = np.flatnonzero(log.time >= SETTLING_S)
    pose_rows = np.zeros(0, dtype=int)
    if log.pose is not None:
        step = max(1, math.ceil(POSE_INTERVAL_S / float(np.median(np.diff(log.time)))))
        pose_rows = rows[::step]
    motion = np.zeros((len(log.time), 1, 5))
    if log.pose is not None:
        motion[:, 0, :2], motion[:, 0, 2] = log.pose[:, :2], np.unwrap(log.pose[:, 2])
    names, parts, times = [], [], []
    for name, column, index in (("yaw rate", log.yaw_rate, 4), ("speed", log.speed, 3)):
        if column is not None:
            motion[:, 0, index] = column
            names.append(name)
            parts.append(column[rows])
            times.append(log.time[rows])
    if log.pose is not None:
        between = (log.time[pose_rows[1:]] + log.time[pose_rows[:-1]]) / 2
        for name, part in zip(
            ("turn of the pose", "way of the pose"), _of_pose(log, motion, pose_rows)
        ):
            names.append(name)
            parts.append(part[:, 0])
            times.append(between)
    channel = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return _Measured(
        rows, pose_rows, np.concatenate(parts), channel, np.concatenate(times), tuple(names)
    )


def _of_pose(log: CarLog, motion: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean yaw rate [rad/s] and speed [m/s] between poses, each (m, n)."""
    seconds = np.diff(log.time[rows])[:, None]
    change = np.diff(motion[rows], axis=0)
    return change[..., 2] / seconds, np.hypot(change[..., 0], change[..., 1]) / seconds


def _simulated(log: CarLog, measured: _Measured, motion: np.ndarray) -> np.ndarray:
    """Return what each of n cars would have measured, (M, n), from its motion, (T, n, 5)."""
    parts = []
    if log.yaw_rate is not None:
        parts.append(motion[measured.rows, :, 4])
    if log.speed is not None:
        parts.append(motion[measured.rows, :, 3])
    if log.pose is not None:
        parts += _of_pose(log, motion, measured.pose_rows)
    return np.concatenate(parts)


def _is_fitted(log: CarLog) -> np.ndarray:
    """Return which of `FITTED` the log can tell, (5,): without a speed, not its gain."""
    return np.array([name != "speed_gain" or log.shows_speed for name in FITTED])


def _descend(
    log: CarLog, spec: CarSpec, measured: _Measured, values: np.ndarray, rounds: int
) -> np.ndarray:
    """Improve c sets of quantities by Levenberg and Marquardt's method; return the best, (1, 5).

    Args:
        log: The log.
        spec: The car.
        measured: What is compared.
        values: The sets, (c, 5).
        rounds: Number of steps.
    """
    fixed = 1e12 * ~_is_fitted(log)
    limits = np.array([_limits(name) for name in FITTED]).T
    drive = SimulatedDrive(spec, log, len(values) * (len(FITTED) + 1))
    damping, errors = np.full(len(values), DAMPING), np.full(len(values), np.inf)
    tried, scale = values.copy(), None
    normals = np.zeros((len(values), len(FITTED), len(FITTED)))
    pulls = np.zeros((len(values), len(FITTED)))
    try:
        for _ in range(rounds):
            left, slope = _linearized(log, measured, drive, tried)
            if scale is None:
                scale = _scales(left[:, (left**2).sum(axis=0).argmin()], measured)
            left, slope = left / scale[:, None], slope / scale[:, None, None]
            for one, error in enumerate((left**2).sum(axis=0).tolist()):
                if error < errors[one]:
                    errors[one], values[one], damping[one] = error, tried[one], damping[one] / 4.0
                    normals[one] = slope[:, one].T @ slope[:, one]
                    pulls[one] = slope[:, one].T @ left[:, one]
                else:
                    damping[one] *= 8.0
                ridge = damping[one] * np.diag(normals[one]) + 1e-9 + fixed
                step = np.linalg.solve(normals[one] + np.diag(ridge), pulls[one])
                tried[one] = np.clip(values[one] + step, *limits)
    finally:
        drive.close()
    best = int(errors.argmin())
    return values[best : best + 1]


def _linearized(
    log: CarLog, measured: _Measured, drive: SimulatedDrive, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left over, (M, c), and the derivatives of the simulation, (M, c, 5).

    Args:
        log: The log.
        measured: What is compared.
        drive: 6 c simulated cars.
        values: Their quantities, (c, 5).
    """
    cars = len(FITTED) + 1
    moved = np.concatenate([np.zeros((1, len(FITTED))), np.diag(PERTURBATION)])
    told = _simulated(log, measured, drive.drive((values[:, None] + moved).reshape(-1, cars - 1)))
    told = told.reshape(len(measured.values), len(values), cars)
    left = measured.values[:, None] - told[..., 0]
    return left, (told[..., 1:] - told[..., :1]) / PERTURBATION


def _scales(left: np.ndarray, measured: _Measured) -> np.ndarray:
    """Return the standard deviation of each measurement's channel, (M,)."""
    count = len(measured.names)
    spread = [float(np.sqrt(np.mean(left[measured.channel == k] ** 2))) for k in range(count)]
    return np.maximum(np.array(spread), 1e-6)[measured.channel]


def _with_intervals(log: CarLog, spec: CarSpec, measured: _Measured, values: np.ndarray) -> CarFit:
    """Return a fit with its intervals.

    Args:
        log: The log.
        spec: The car.
        measured: What is compared.
        values: The best quantities, (1, 5).
    """
    drive = SimulatedDrive(spec, log, len(FITTED) + 1)
    try:
        all_left, slopes = _linearized(log, measured, drive, values)
    finally:
        drive.close()
    fitted, left = _is_fitted(log), all_left[:, 0]
    scale = _scales(left, measured)
    slope, scaled = slopes[:, 0, fitted] / scale[:, None], left / scale
    block = ((measured.time - measured.time.min()) / BLOCK_S).astype(int)
    normals = np.zeros((block.max() + 1, fitted.sum(), fitted.sum()))
    pulls = np.zeros((block.max() + 1, fitted.sum()))
    np.add.at(normals, block, slope[:, :, None] * slope[:, None, :])
    np.add.at(pulls, block, slope * scaled[:, None])
    drawn = np.random.default_rng(0).integers(len(normals), size=(BOOTSTRAP_DRAWS, len(normals)))
    spare = 1e-9 * np.eye(fitted.sum())
    moves = np.zeros((BOOTSTRAP_DRAWS, len(FITTED)))
    moves[:, fitted] = [
        np.linalg.solve(normals[chosen].sum(axis=0) + spare, pulls[chosen].sum(axis=0))
        for chosen in drawn
    ]
    tail = (100.0 - INTERVAL_PERCENT) / 2
    lows, highs = values[0] + np.percentile(moves, (tail, 100.0 - tail), axis=0)
    quantities = []
    for name, value, low, high, is_fitted in zip(FITTED, values[0], lows, highs, fitted):
        least, most = _limits(name)
        is_known = is_fitted and high - low <= WIDEST_SHARE * (most - least)
        ends = max(float(low), least), min(float(high), most)
        quantities.append(FittedQuantity(name, float(value), *ends, bool(is_known)))
    residuals = {
        name: (float(left[own].std()), float(measured.values[own].std()))
        for k, name in enumerate(measured.names)
        for own in [measured.channel == k]
    }
    return CarFit(tuple(quantities), residuals, float(log.time[-1] - SETTLING_S))


def _limits(name: str) -> tuple[float, float]:
    """Return the least and the largest value of a quantity, as a randomisation allows it."""
    if name == "latency":
        return 0.0, LONGEST_LATENCY_S
    told: Any = Randomisation.model_fields[name].json_schema_extra
    return told["low"], told["high"]


def _most_steps() -> int:
    """Return the most control steps of latency that a randomisation allows."""
    told: Any = Randomisation.model_fields["latency"].json_schema_extra
    return int(told["high"])


def write_randomisation(fit: CarFit, log: Path, out: Path) -> None:
    """Write the ranges of a fit as a randomisation.

    Args:
        fit: The fit.
        log: The log that it was made from.
        out: The YAML file.

    Raises:
        LogError: It cannot be written.
    """
    text = fit.randomisation_yaml(log.name).encode()
    try:
        write_own(out, text, lambda held: held.startswith(_FIRST_WORDS.encode()))
    except OSError as problem:
        raise LogError(f"{out}: cannot be written: {problem.strerror}") from problem
