"""The limit of a track for a car: solved, and as committed beside the tracks."""

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
"""From gate to gate [m], about; the margin is the change from twice of it."""
LIMITS_FILE = "tracks/limits.json"
"""Where the limits of the shipped tracks are, written by `scripts/limits.py`."""
LIMITS_VERSION = 1
"""Raised with every change of the model, so that older limits are stale."""


@dataclass(frozen=True)
class LapTimeLimit:
    """The least times of a point mass in the car's friction circle, on any line it may take.

    Attributes:
        track: The track's name.
        car: The car's.
        flying: A lap after a lap of run-up, whatever comes after it [s].
        standing: A lap from rest on the start line, as the first of a race [s].
        qss: A flying lap on the line of least curvature [s], quasi-steady-state; no bound.
        margin: How much the refined grid changes the two times, as a share; the larger.
        digest: Of the track's geometry and the car's numbers.
    """

    track: str
    car: str
    flying: float
    standing: float
    qss: float
    margin: float
    digest: str

    def race(self, laps: int) -> float:
        """Time of a race from a standstill [s]: one standing lap, the others flying."""
        return self.standing + (laps - 1) * self.flying


class LapTimeSolution(NamedTuple):
    """A limit and the laps that it was taken from."""

    limit: LapTimeLimit
    flying: FastestLap
    standing: FastestLap


def solve_lap_time_limit(track: Track, spec: CarSpec) -> LapTimeSolution:
    """The limit of any track for a car, in seconds; wants CasADi.

    Raises:
        RacerError: CasADi is missing, or the road is too narrow or too folded for the car.
    """
    envelope, room = ggv_envelope(spec), drivable_corridor(track, border_overhang(spec))
    line = smooth_line(track, room)
    qss, speed = quasi_steady_lap(line, spec)
    laps = []
    for spacing in (2 * GATE_SPACING_M, GATE_SPACING_M):
        across = make_gates(track, room, line, spacing)
        share = np.arange(len(across.middle)) / len(across.middle)
        begin = 0.9 * np.interp(share, np.arange(len(speed)) / len(speed), speed)
        laps += [flying_lap(across, envelope, begin), standing_lap(track, across, envelope, begin)]
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
    """A flying lap's time [s] on a closed line (M, 2), and the speeds (N,) [m/s] of even points."""
    xy, _, bend = resample_line(line, GATE_SPACING_M)
    step = float(np.hypot(*(xy[1] - xy[0])))
    speed = speed_profile(bend, step, ggv_envelope(spec))
    return lap_time(speed, step), speed


def limit_digest(track: Track, spec: CarSpec) -> str:
    """What changes with the road, with what the car can do or with the model: 16 digits."""
    rings = [track.centre, track.left, track.right]
    text = json.dumps([LIMITS_VERSION, asdict(ggv_envelope(spec)), border_overhang(spec)])
    # To a tenth of a millimetre: the fit's last digits differ between machines.
    shape = np.rint(np.vstack(rings) * 1e4).astype(np.int64).tobytes()
    return hashlib.sha256(text.encode() + shape).hexdigest()[:16]


def committed_limit(track: Track, spec: CarSpec) -> LapTimeLimit | None:
    """The committed limit, at once; None where there is none, or the track or car has changed."""
    row = _committed().get((track.name, spec.name))
    return row if row and row.digest == limit_digest(track, spec) else None


@lru_cache(maxsize=1)
def _committed() -> dict[tuple[str, str], LapTimeLimit]:
    path = assets.assets_root() / LIMITS_FILE
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return {(row["track"], row["car"]): LapTimeLimit(**row) for row in rows}
