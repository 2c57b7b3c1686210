"""Steering along a line: pure pursuit of the centre line, and a follower of the fast line."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from racer.car.spec import GRAVITY, CarSpec
from racer.limit.corridor import corridor, resampled, smooth_line
from racer.limit.envelope import Envelope, careful
from racer.limit.profile import lap_time, profile
from racer.track import Place, Track
from racer.world import CONTROL_RATE, CarState

SPACING = 0.05
"""Between the points of a line [m]."""
PULLS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Weights of length against curvature [1/m^2] that are tried for the fast line."""
AHEAD = 0.5
"""Least distance to the point that pure pursuit aims at [m]."""
PURSUIT_SHARE, RACE_SHARE = 0.4, 0.9
"""How much of grip, drive and brakes each asks for."""
INSIDE = 0.0
"""How far the fast line stays off the borders [m]."""
REACT = 0.5
"""Least way on which the follower comes back to its line [m]; it takes 0.15 s at speed."""


class Pilot(Protocol):
    """Drives from what is true, not from what a sensor sees."""

    def command(self, state: CarState, place: Place, car: int) -> np.ndarray:
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
        _, _, bend = resampled(track.centre, SPACING)
        self._speed = profile(bend, track.length / len(bend), careful(spec, PURSUIT_SHARE))

    def command(self, state: CarState, place: Place, car: int) -> np.ndarray:
        """See `Pilot.command`."""
        share = place.s[car] / self._track.length
        speed = self._speed[int(share * len(self._speed)) % len(self._speed)]
        moving = float(np.hypot(*state.velocity[car, :2]))
        aim, _ = self._track.at(place.s[car] + max(AHEAD, 0.25 * moving))
        away, yaw = aim - state.xy[car], state.yaw[car]
        left = away[1] * np.cos(yaw) - away[0] * np.sin(yaw)
        return np.array([np.arctan2(2.0 * self._wheelbase * left, away @ away), speed])


class Follower:
    """Follows a closed line at its own speeds.

    The curvature that it asks for is that of the line where the car will be when the wheels have
    turned, less what brings the course back to the line; the steering adds the slip that the
    tyres need for the side force.

    Args:
        line: Points in driving order [m], (M, 2).
        envelope: What the speeds may ask of the car.
        spec: The car.
    """

    def __init__(self, line: np.ndarray, envelope: Envelope, spec: CarSpec) -> None:
        self._spec, self._envelope = spec, envelope
        xy, _, self._bend = resampled(line, SPACING)
        self._line = Track("line", "", xy, xy, xy)
        self._speed = profile(self._bend, self._line.length / len(xy), envelope)
        self.lap_time = lap_time(self._speed, self._line.length / len(xy))
        self._late = 0.5 / CONTROL_RATE + spec.steering_lag
        self._near: np.ndarray | None = None

    def command(self, state: CarState, place: Place, car: int) -> np.ndarray:
        """See `Pilot.command`."""
        velocity = state.velocity[car, :2]
        moving = float(np.hypot(*velocity))
        there = state.xy[car] + velocity * self._late
        found = self._line.locate(there[None], self._near)
        self._near = found.segment
        s, aside = float(found.s[0]), float(found.d[0])
        turn = state.angular_velocity[car, 2] * self._late
        course = np.arctan2(velocity[1], velocity[0]) if moving > 0.5 else state.yaw[car]
        askew = np.sin(course + turn - self._line.at(s)[1])
        way = max(REACT, 0.15 * moving)
        bend = self._at(self._bend, s) - aside / way**2 - 2.0 * askew / way
        speed = self._at(self._speed, s + moving * 0.5 / CONTROL_RATE)
        return np.array([self._steering(bend, moving), speed])

    def _steering(self, bend: float, speed: float) -> float:
        """Angle of the wheels [rad] for a curvature [1/m] of the car's way at a speed [m/s]."""
        spec = self._spec
        most = 0.95 * spec.friction * GRAVITY
        across = float(np.clip(bend * speed**2, -most, most)) / (spec.friction * GRAVITY)
        slip = np.sign(across) * 3.0 * (1.0 - np.cbrt(1.0 - abs(across)))
        more = slip * (1.0 / spec.stiffness_front - 1.0 / spec.stiffness_rear)
        return float(np.arctan(spec.wheelbase * bend) + more)

    def _at(self, values: np.ndarray, s: float) -> float:
        at = s / self._line.length * len(values)
        low = int(at)
        return float(
            values[low % len(values)] * (low + 1 - at) + values[(low + 1) % len(values)] * (at - low)
        )


def pure_pursuit(track: Track, spec: CarSpec) -> PurePursuit:
    """Pure pursuit of the centre line."""
    return PurePursuit(track, spec)


def raceline(track: Track, spec: CarSpec) -> Follower:
    """A follower of the fastest of some smooth lines; without CasADi, in under a second."""
    room, envelope = corridor(track, -INSIDE), careful(spec, RACE_SHARE)
    tried = [Follower(smooth_line(track, room, pull), envelope, spec) for pull in PULLS]
    return min(tried, key=lambda one: one.lap_time)
