"""Steering along a line: pure pursuit of the centre line, and a follower of the racing line."""

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
"""Distance between the points of a line [m]."""
LENGTH_WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Weights of length against curvature that are tried for the racing line [1/m^2]."""
MIN_LOOKAHEAD_M = 0.5
"""Smallest distance to the point that pure pursuit aims at [m]."""
PURE_PURSUIT_GRIP_SHARE = 0.4
"""Share of grip, brakes and drive that pure pursuit uses."""
BRAKING_SHARE = 0.7
"""Share of the brakes that the racing line uses; with more the tail swings round in a bend."""
MIN_RETURN_DISTANCE_M = 0.5
"""Smallest distance over which the follower returns to its line [m]; at speed it takes 0.15 s."""
LOST_DISTANCE_M = 0.6
"""Distance from the line [m] beyond which a car is searched for along the whole line."""
SETUPS_FILE = "tracks/setups.json"
"""The file of the set-ups for shipped tracks, written by `scripts/setups.py`."""
MAX_RETURN_OFFSET_M = 0.15
"""Distance from the line [m] beyond which a car returns no more steeply."""
YAW_DELAY_S = 0.02
"""Delay from a turn of the wheels to the turn of the car [s]."""


class Controller(Protocol):
    """Drives by the true state of a car, not by what a sensor observes."""

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """Return the command of one car: steering [rad] and speed [m/s], (2,).

        Args:
            state: State of all n cars.
            place: Positions of all n cars on the track that they drive.
            car: Index of the car that the command is for.
        """
        ...


class PurePursuit:
    """Aims at a point ahead on the centre line (Coulter, 1992), at a speed that its bends allow.

    Args:
        track: The road.
        spec: The car.
    """

    def __init__(self, track: Track, spec: CarSpec) -> None:
        self._track, self._wheelbase = track, spec.wheelbase
        _, _, bend = resample_line(track.centre, LINE_SPACING_M)
        self._speed = speed_profile(
            bend,
            track.length / len(bend),
            scaled_envelope(spec, PURE_PURSUIT_GRIP_SHARE, PURE_PURSUIT_GRIP_SHARE),
        )

    def command(self, state: CarState, place: TrackPosition, car: int) -> np.ndarray:
        """See `Controller.command`."""
        share = place.s[car] / self._track.length
        speed = self._speed[int(share * len(self._speed)) % len(self._speed)]
        moving = float(np.hypot(*state.velocity[car, :2]))
        aim, _ = self._track.at(place.s[car] + max(MIN_LOOKAHEAD_M, 0.25 * moving))
        angle = pursuit_angle(aim - state.xy[car], state.yaw[car], self._wheelbase)
        return np.array([angle, speed])


def pursuit_angle(away: np.ndarray, yaw: float, wheelbase: float) -> float:
    """Return the steering angle of the arc to a point [rad, positive to the left].

    Args:
        away: x and y from the car to the point [m], (2,).
        yaw: The car's heading [rad].
        wheelbase: Its wheelbase [m].
    """
    left = away[1] * np.cos(yaw) - away[0] * np.sin(yaw)
    return float(np.arctan2(2.0 * wheelbase * left, away @ away))


class LineFollower:
    """Follows a closed line at its own speeds.

    The curvature that it demands is that of the line where the car will be when the wheels have
    turned, minus a correction that brings the car back to the line. The steering adds the slip that
    the tyres need for the lateral force.

    Args:
        line: Points in driving order [m], (M, 2).
        envelope: What the speeds may demand of the car.
        spec: The car.

    Attributes:
        lap_time: The time of a flying lap if the car kept exactly to its speeds [s].
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
        """See `Controller.command`."""
        x, y = state.velocity[car, :2]
        moving = float(np.hypot(x, y))
        # Where the car will be after the delay, on an arc along its course.
        turn = state.angular_velocity[car, 2] * self._late
        cos, sin = np.cos(0.5 * turn), np.sin(0.5 * turn)
        there = state.xy[car] + self._late * np.array([x * cos - y * sin, x * sin + y * cos])
        found = self._line.locate(there[None], self._near)
        s, d = float(found.s[0]), float(found.d[0])
        offset = float(np.clip(d, -MAX_RETURN_OFFSET_M, MAX_RETURN_OFFSET_M))
        # A car that was put back on the road is searched for along the whole line.
        is_lost = abs(d) > LOST_DISTANCE_M
        self._near = None if is_lost else found.segment
        course = np.arctan2(y, x) if moving > 0.5 else state.yaw[car]
        heading_error = np.sin(course + turn - self._line.at(s)[1])
        # Over the distance travelled, the offset obeys y'' + 2 y' / distance + y / distance^2 = 0:
        # critically damped, so that the car returns without crossing the line.
        distance = max(MIN_RETURN_DISTANCE_M, 0.15 * moving)
        bend = self._at(self._bend, s) - offset / distance**2 - 2.0 * heading_error / distance
        speed = self._at(self._speed, s + moving * 0.5 / CONTROL_RATE_HZ)
        return np.array([self._steering(bend, moving), speed])

    def _steering(self, bend: float, speed: float) -> float:
        """Return the wheels' angle [rad] for a curvature [1/m] of the path at a speed [m/s]."""
        spec = self._spec
        share = float(np.clip(bend * speed**2 / (spec.friction * GRAVITY), -0.95, 0.95))
        # The brush tyre's slip for a share of its grip, the inverse of `tyre_forces._brush`. Both
        # axles carry the same share, so only the difference of their stiffness needs steering.
        slip = np.sign(share) * 3.0 * (1.0 - np.cbrt(1.0 - abs(share)))
        more = slip * (1.0 / spec.stiffness_front - 1.0 / spec.stiffness_rear)
        return float(np.arctan(spec.wheelbase * bend) + more)

    def _at(self, values: np.ndarray, s: float) -> float:
        """Return values (N,) along the line, interpolated at a distance s [m]."""
        at = s / self._line.length * len(values)
        return float(np.interp(at, np.arange(len(values)), values, period=len(values)))


class FollowerSetup(Document):
    """How bold the follower of the racing line is on one track."""

    share: float = Field(default=0.75, gt=0, le=1, description="of grip and drive, 0-1")
    inside: float = Field(default=0.1, ge=0, le=1, description="line to borders [m], 0-1")


def make_pure_pursuit(track: Track, spec: CarSpec) -> PurePursuit:
    """Return a controller that pursues the centre line."""
    return PurePursuit(track, spec)


def make_raceline(track: Track, spec: CarSpec, set_up: FollowerSetup | None = None) -> LineFollower:
    """Return a follower of the fastest of some smooth lines; it needs no CasADi and under a second.

    Args:
        track: The road.
        spec: The car.
        set_up: How bold it is; by default as committed for a shipped track, and cautious elsewhere.
    """
    chosen = (
        set_up or _committed().get(f"{track.name} {limit_digest(track, spec)}") or FollowerSetup()
    )
    return fastest_follower(candidate_lines(track, chosen.inside), spec, chosen.share)


def candidate_lines(track: Track, inside: float) -> list[np.ndarray]:
    """Return closed lines (M, 2) from straight to short that stay `inside` [m] off the borders."""
    room = drivable_corridor(track, -inside)
    return [smooth_line(track, room, pull) for pull in LENGTH_WEIGHTS]


def fastest_follower(lines: list[np.ndarray], spec: CarSpec, share: float) -> LineFollower:
    """Return the follower of the line whose lap is the fastest.

    Args:
        lines: Closed lines in driving order [m], (M, 2) each.
        spec: The car.
        share: Share of the car's grip and drive that the speeds use, 0-1.
    """
    envelope = scaled_envelope(spec, share, BRAKING_SHARE)
    followers = (LineFollower(line, envelope, spec) for line in lines)
    return min(followers, key=lambda follower: follower.lap_time)


@lru_cache(maxsize=1)
def _committed() -> dict[str, FollowerSetup]:
    path = assets.assets_root() / SETUPS_FILE
    rows: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.is_file() else {}
    return {key: FollowerSetup(**row) for key, row in rows.items()}
