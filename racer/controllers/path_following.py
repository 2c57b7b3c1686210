"""Steering along a line: pure pursuit of the centre line, and a follower of the fast line."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Protocol

import numpy as np
from pydantic import Field

from racer import assets
from racer.assets.document import Document
from racer.car.spec import GRAVITY, CarSpec
from racer.laptime.ggv_envelope import GGVEnvelope, scaled_envelope
from racer.laptime.lap_time_limit import limit_digest
from racer.laptime.racing_line import drivable_corridor, resample_line, smooth_line
from racer.laptime.speed_profile import lap_time, speed_profile
from racer.track import Track, TrackPosition
from racer.world import CONTROL_RATE_HZ, CarState

LINE_SPACING_M = 0.05
"""Between the points of a line [m]."""
LENGTH_WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Weights of length against curvature [1/m^2] that are tried for the fast line."""
MIN_LOOKAHEAD_M = 0.5
"""Least distance to the point that pure pursuit aims at [m]."""
PURE_PURSUIT_GRIP_SHARE = 0.4
"""How much of grip, brakes and drive pure pursuit asks for."""
BRAKING_SHARE = 0.7
"""How much of the brakes the fast line asks for; more swings the tail round in a bend."""
MIN_RETURN_DISTANCE_M = 0.5
"""Least way on which the follower comes back to its line [m]; it takes 0.15 s at speed."""
LOST_DISTANCE_M = 0.6
"""A car further from its line [m] than this is sought along all of it."""
SETUPS_FILE = "tracks/setups.json"
"""Set-ups of the shipped tracks, written by `scripts/setups.py`."""
MAX_RETURN_OFFSET_M = 0.15
"""A car further from its line [m] than this comes back no more steeply."""
YAW_DELAY_S = 0.02
"""From the turn of the wheels to the turn of the car [s]."""


class Controller(Protocol):
    """Drives from what is true, not from what a sensor sees."""

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """Steering [rad] and speed [m/s] of one car, (2,).

        Args:
            state: What all n cars do.
            place: Where they are on the track that they drive.
            car: Which one is asked for.
        """
        ...


class PurePursuit:
    """Aims at a point of the centre line ahead (Coulter, 1992), at a speed that its bends allow."""

    def __init__(self, track: Track, spec: CarSpec) -> None:
        self._track, self._wheelbase = track, spec.wheelbase
        _, _, bend = resample_line(track.centre, LINE_SPACING_M)
        self._speed = speed_profile(
            bend,
            track.length / len(bend),
            scaled_envelope(spec, PURE_PURSUIT_GRIP_SHARE, PURE_PURSUIT_GRIP_SHARE),
        )

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """See `Pilot.command`."""
        share = place.s[car] / self._track.length
        speed = self._speed[int(share * len(self._speed)) % len(self._speed)]
        moving = float(np.hypot(*state.velocity[car, :2]))
        aim, _ = self._track.at(place.s[car] + max(MIN_LOOKAHEAD_M, 0.25 * moving))
        away, yaw = aim - state.xy[car], state.yaw[car]
        left = away[1] * np.cos(yaw) - away[0] * np.sin(yaw)
        return np.array([np.arctan2(2.0 * self._wheelbase * left, away @ away), speed])


class LineFollower:
    """Follows a closed line at its own speeds.

    The curvature that it asks for is that of the line where the car will be when the wheels have
    turned, less what brings the course back to the line; the steering adds the slip that the
    tyres need for the side force.

    Args:
        line: Points in driving order [m], (M, 2).
        envelope: What the speeds may ask of the car.
        spec: The car.

    Attributes:
        lap_time: What a flying lap would take if the car kept to its speeds [s].
    """

    def __init__(self, line: np.ndarray, envelope: GGVEnvelope, spec: CarSpec) -> None:
        self._spec = spec
        xy, _, self._bend = resample_line(line, LINE_SPACING_M)
        self._line = Track("line", "", xy, xy, xy)
        step = self._line.length / len(xy)
        self._speed = speed_profile(self._bend, step, envelope)
        self.lap_time = lap_time(self._speed, step)
        self._late = 0.5 / CONTROL_RATE_HZ + spec.steering_lag + YAW_DELAY_S
        self._near: np.ndarray | None = None

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """See `Pilot.command`."""
        x, y = state.velocity[car, :2]
        moving = float(np.hypot(x, y))
        turn = state.angular_velocity[car, 2] * self._late
        cos, sin = np.cos(0.5 * turn), np.sin(0.5 * turn)
        there = state.xy[car] + self._late * np.array([x * cos - y * sin, x * sin + y * cos])
        found = self._line.locate(there[None], self._near)
        s, aside = (
            float(found.s[0]),
            float(np.clip(found.d[0], -MAX_RETURN_OFFSET_M, MAX_RETURN_OFFSET_M)),
        )
        is_lost = (
            abs(float(found.d[0])) > LOST_DISTANCE_M
        )  # Put back on the road, it looks everywhere.
        self._near = None if is_lost else found.segment
        course = np.arctan2(y, x) if moving > 0.5 else state.yaw[car]
        askew = np.sin(course + turn - self._line.at(s)[1])
        way = max(MIN_RETURN_DISTANCE_M, 0.15 * moving)
        bend = self._at(self._bend, s) - aside / way**2 - 2.0 * askew / way
        speed = self._at(self._speed, s + moving * 0.5 / CONTROL_RATE_HZ)
        return np.array([self._steering(bend, moving), speed])

    def _steering(self, bend: float, speed: float) -> float:
        """Angle of the wheels [rad] for a curvature [1/m] of the car's way at a speed [m/s]."""
        spec = self._spec
        share = float(np.clip(bend * speed**2 / (spec.friction * GRAVITY), -0.95, 0.95))
        # The brush tyre's slip for a share of its grip; see `car.forces`.
        slip = np.sign(share) * 3.0 * (1.0 - np.cbrt(1.0 - abs(share)))
        more = slip * (1.0 / spec.stiffness_front - 1.0 / spec.stiffness_rear)
        return float(np.arctan(spec.wheelbase * bend) + more)

    def _at(self, values: np.ndarray, s: float) -> float:
        """Values (N,) along the line at a way s [m]."""
        at = s / self._line.length * len(values)
        return float(np.interp(at, np.arange(len(values)), values, period=len(values)))


class FollowerSetup(Document):
    """How bold the follower of the fast line is on one track."""

    share: float = Field(default=0.75, gt=0, le=1, description="of grip and drive, 0-1")
    inside: float = Field(default=0.1, ge=0, le=1, description="line to borders [m], 0-1")


def make_pure_pursuit(track: Track, spec: CarSpec) -> PurePursuit:
    """Pure pursuit of the centre line."""
    return PurePursuit(track, spec)


def make_raceline(track: Track, spec: CarSpec, set_up: FollowerSetup | None = None) -> LineFollower:
    """A follower of the fastest of some smooth lines; without CasADi, in under a second.

    Args:
        track: The road.
        spec: The car.
        set_up: How bold; by default as committed for a shipped track, and careful elsewhere.
    """
    bold = (
        set_up or _committed().get(f"{track.name} {limit_digest(track, spec)}") or FollowerSetup()
    )
    return fastest_follower(candidate_lines(track, bold.inside), spec, bold.share)


def candidate_lines(track: Track, inside: float) -> list[np.ndarray]:
    """Closed lines (M, 2) from straight to short that stay `inside` [m] off the borders."""
    room = drivable_corridor(track, -inside)
    return [smooth_line(track, room, pull) for pull in LENGTH_WEIGHTS]


def fastest_follower(lines: list[np.ndarray], spec: CarSpec, share: float) -> LineFollower:
    """A follower of the line on which a share of the car's grip and drive is the quickest."""
    envelope = scaled_envelope(spec, share, BRAKING_SHARE)
    return min((LineFollower(line, envelope, spec) for line in lines), key=lambda one: one.lap_time)


@lru_cache(maxsize=1)
def _committed() -> dict[str, FollowerSetup]:
    path = assets.assets_root() / SETUPS_FILE
    rows: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.is_file() else {}
    return {key: FollowerSetup(**row) for key, row in rows.items()}
