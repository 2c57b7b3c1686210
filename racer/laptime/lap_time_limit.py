"""The minimum lap time of a track for a car: solved, or as committed beside the tracks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from racer import assets
from racer.car.spec import CarSpec
from racer.laptime.ggv_envelope import ggv_envelope
from racer.laptime.minimum_time import FastestLap, flying_lap, standing_lap
from racer.laptime.racing_line import (
    border_overhang,
    drivable_corridor,
    make_gates,
    resample_line,
    smooth_line,
)
from racer.laptime.speed_profile import lap_time, speed_profile
from racer.track import Track

GATE_SPACING_M = 0.05
"""Approximate distance from gate to gate [m]; the margin is the change from twice this distance."""
LIMITS_FILE = "tracks/limits.json"
"""The file of the shipped tracks' limits, written by `scripts/limits.py`."""
LIMITS_VERSION = 1
"""Raised with every change of the model, so that older limits no longer match."""


@dataclass(frozen=True)
class LapTimeLimit:
    """The minimum times of a point mass in the car's friction circle, on any line that it may take.

    Attributes:
        track: Name of the track.
        car: Name of the car.
        flying: Time of a lap after a lap of run-up, whatever comes after it [s].
        standing: Time of a lap from rest on the start line, like the first of a race [s].
        qss: Time of a flying lap on the line of least curvature, quasi-steady-state [s]; not a
            bound.
        margin: Largest relative change of the two times when the distance between gates is halved.
        digest: Digest of the track's geometry and the car's parameters.
    """

    track: str
    car: str
    flying: float
    standing: float
    qss: float
    margin: float
    digest: str

    def race(self, laps: int) -> float:
        """Return the minimum time of a race of `laps` laps from a standstill [s]."""
        return self.standing + (laps - 1) * self.flying


class LapTimeSolution(NamedTuple):
    """A limit and the two laps that it was taken from."""

    limit: LapTimeLimit
    flying: FastestLap
    standing: FastestLap


def solve_lap_time_limit(track: Track, spec: CarSpec) -> LapTimeSolution:
    """Return the limit of any track for a car; it takes seconds and needs CasADi.

    Raises:
        RacerError: CasADi is missing, or the road is too narrow or too folded for the car.
    """
    envelope, room = ggv_envelope(spec), drivable_corridor(track, border_overhang(spec))
    line = smooth_line(track, room)
    qss, speed = quasi_steady_lap(line, spec)
    laps = []
    for spacing in (2 * GATE_SPACING_M, GATE_SPACING_M):
        gates = make_gates(track, room, line, spacing)
        share = np.arange(len(gates.middle)) / len(gates.middle)
        # The solver starts a little below the speeds of the line of least curvature.
        guess = 0.9 * np.interp(share, np.arange(len(speed)) / len(speed), speed)
        laps += [flying_lap(gates, envelope, guess), standing_lap(track, gates, envelope, guess)]
    *coarse, flying, standing = laps
    changes = [abs(a.time / b.time - 1.0) for a, b in zip(coarse, (flying, standing))]
    return LapTimeSolution(
        LapTimeLimit(
            track=track.name,
            car=spec.name,
            flying=round(flying.time, 4),
            standing=round(standing.time, 4),
            qss=round(qss, 4),
            margin=round(max(changes), 5),
            digest=limit_digest(track, spec),
        ),
        flying,
        standing,
    )


def quasi_steady_lap(line: np.ndarray, spec: CarSpec) -> tuple[float, np.ndarray]:
    """Return the time of a flying lap [s] on a closed line (M, 2), and its speeds [m/s].

    The speeds (N,) are those at even points of the line, about `GATE_SPACING_M` apart.
    """
    xy, _, bend = resample_line(line, GATE_SPACING_M)
    step = float(np.hypot(*(xy[1] - xy[0])))
    speed = speed_profile(bend, step, ggv_envelope(spec))
    return lap_time(speed, step), speed


def limit_digest(track: Track, spec: CarSpec) -> str:
    """Return 16 hexadecimal digits that change with the road, the car's abilities and the model."""
    rings = [track.centre, track.left, track.right]
    text = json.dumps([LIMITS_VERSION, asdict(ggv_envelope(spec)), border_overhang(spec)])
    # Rounded to a tenth of a millimetre: the spline's last digits differ between machines.
    shape = np.rint(np.vstack(rings) * 1e4).astype(np.int64).tobytes()
    return hashlib.sha256(text.encode() + shape).hexdigest()[:16]


def committed_limit(track: Track, spec: CarSpec) -> LapTimeLimit | None:
    """Return the committed limit, or None if there is none or the track or car has changed."""
    row = _committed().get((track.name, spec.name))
    return row if row and row.digest == limit_digest(track, spec) else None


@lru_cache(maxsize=1)
def _committed() -> dict[tuple[str, str], LapTimeLimit]:
    path = assets.assets_root() / LIMITS_FILE
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return {(row["track"], row["car"]): LapTimeLimit(**row) for row in rows}
