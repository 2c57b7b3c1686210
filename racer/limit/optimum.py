"""The least time around a track: optimal control of a point mass on a free line."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from racer.errors import RacerError
from racer.limit.corridor import Gates
from racer.limit.envelope import Envelope
from racer.track import Track

SLOWEST = 0.05
"""Least speed at a gate [m/s], for the solver alone."""
STEEPEST = 10.0
"""Sharpest bend of the line [1/m], for the solver alone."""
NEAR = 1.0
"""How far from a bend [m] a car may still slide as in it."""


class Lap(NamedTuple):
    """The fastest lap that was found."""

    time: float
    """[s]"""
    xy: np.ndarray
    """Where it crosses the gates [m], the first and last on the start line, (N + 1, 2)."""
    speed: np.ndarray
    """How fast [m/s], (N + 1,)."""


def flying_lap(across: Gates, envelope: Envelope, speed: np.ndarray) -> Lap:
    """The fastest lap that ends as it began; `speed` (N,) [m/s] along the middles begins it."""
    return _Problem(across, envelope, len(speed)).solve(speed)


def standing_lap(track: Track, across: Gates, envelope: Envelope, speed: np.ndarray) -> Lap:
    """The fastest lap from rest on the start line, on the centre line and along it.

    Args:
        track: The road.
        across: N gates, the first on the start line.
        envelope: What the car can do.
        speed: To begin with, along the middles of the gates [m/s], (N,).
    """
    legs = len(speed)
    once = Gates(*(np.concatenate([part, part[:1]]) for part in vars(across).values()))
    once.angle[-1] += _whole_turns(across)
    away = np.arange(legs + 1) * np.hypot(*(across.middle[1] - across.middle[0]))
    begun = np.minimum(np.append(speed, speed[0]), np.sqrt(envelope.drive * away))
    problem = _Problem(once, envelope, legs)
    turn = track.heading[0] - once.angle[0]
    heading = once.angle[0] + (turn + np.pi) % (2 * np.pi) - np.pi
    problem.stand(float((track.centre[0] - once.middle[0]) @ once.across[0]), float(heading))
    return problem.solve(begun)


class _Problem:
    """What happens at each gate, and on each leg from one gate to the next.

    Unknown are the way n along a gate, the heading, the curvature and the speed there, and each
    leg's length. On a leg the curvature changes evenly and the acceleration is steady. Its points
    are Cartesian, so there are no coordinates along a line that could fold.
    """

    def __init__(self, across: Gates, envelope: Envelope, legs: int) -> None:
        self._ca = ca = _casadi()
        self.across, self.envelope = across, envelope
        count = len(across.middle)
        here, after = np.arange(legs), (np.arange(legs) + 1) % count
        self._here, self._after = here.tolist(), after.tolist()
        self._turn = np.where(after == 0, _whole_turns(across), 0.0)
        self.n, self.heading, self.bend, self.v = (
            ca.SX.sym(name, count) for name in ("n", "heading", "bend", "v")
        )
        self.leg = ca.SX.sym("leg", legs)
        chord = np.hypot(*(across.middle[after] - across.middle[here]).T)
        self._first = [across.angle, across.bend, chord]
        wide = np.full(count, np.pi)
        fast = np.full(count, 1.0)
        self._low = [across.low, across.angle - wide, -STEEPEST * fast, SLOWEST * fast, 0.2 * chord]
        self._high = [
            across.high,
            across.angle + wide,
            STEEPEST * fast,
            envelope.no_load * fast,
            5.0 * chord,
        ]

    def stand(self, n: float, heading: float) -> None:
        """Begin at rest at the first gate's n [m], along a heading [rad]."""
        for bound in (self._low, self._high):
            bound[0] = np.concatenate([[n], bound[0][1:]])
            bound[1] = np.concatenate([[heading], bound[1][1:]])
            bound[3] = np.concatenate([[0.0], bound[3][1:]])

    def solve(self, v: np.ndarray) -> Lap:
        """The optimum found from driving the middles at v [m/s]."""
        ca, (time, equal, held) = self._ca, self._written()
        problem = {
            "x": ca.vertcat(self.n, self.heading, self.bend, self.v, self.leg),
            "f": time,
            "g": ca.vertcat(equal, held),
        }
        quiet = {"print_time": False, "ipopt": {"print_level": 0, "sb": "yes", "max_iter": 1000}}
        solver = ca.nlpsol("lap", "ipopt", problem, quiet)
        angle, bend, chord = self._first
        low, high = np.concatenate(self._low), np.concatenate(self._high)
        first = np.clip(np.concatenate([0.0 * v, angle, bend, v, chord]), low, high)
        least = np.concatenate([np.zeros(equal.numel()), np.full(held.numel(), -np.inf)])
        found = solver(x0=first, lbx=low, ubx=high, lbg=least, ubg=0.0)
        status = solver.stats()["return_status"]
        if status not in ("Solve_Succeeded", "Solved_To_Acceptable_Level"):
            raise RacerError(f"no fastest lap was found: IPOPT says {status}")
        x, count = np.array(found["x"]).ravel(), len(v)
        ring = [*self._here, self._after[-1]]
        xy, speed = self.across.at(x[:count]), x[3 * count : 4 * count]
        return Lap(float(found["f"]), xy[ring], speed[ring])

    def _written(self) -> tuple[Any, Any, Any]:
        """The time [s], what must be 0, and what must not be above 0."""
        ca, car, leg = self._ca, self.envelope, self.leg
        here, after = self._here, self._after
        x = self.across.middle[:, 0] + self.n * self.across.across[:, 0]
        y = self.across.middle[:, 1] + self.n * self.across.across[:, 1]
        heading, v, before, then = self.heading, self.v, self.bend[here], self.bend[after]
        bend = 0.5 * (before + then)
        way = heading[here] + leg * (2.0 * before + then) / 6.0
        chord = leg * (1.0 - (leg * bend) ** 2 / 24.0)  # An arc is longer than its chord.
        equal = ca.vertcat(
            x[after] - x[here] - chord * ca.cos(way),
            y[after] - y[here] - chord * ca.sin(way),
            heading[after] + self._turn - heading[here] - leg * bend,
        )
        square, mean = 0.5 * (v[here] ** 2 + v[after] ** 2), 0.5 * (v[here] + v[after])
        gain = (v[after] ** 2 - v[here] ** 2) / (2.0 * leg)
        along, sideways = gain + car.air * square, bend * square
        fade = car.drive / (car.no_load - car.knee)
        top = car.top_speed(_widest(self.across))[here]
        held = ca.vertcat(
            (along**2 + sideways**2) / car.grip**2 - 1.0,
            (along + car.rolling) / car.drive - 1.0,
            (along + car.rolling) * mean / (car.drive * car.knee) - 1.0,
            (along + car.rolling - fade * (car.no_load - mean)) / car.drive,
            (gain - car.gain * (top - mean)) / car.drive,
        )
        return ca.sum1(leg / mean), equal, held


def _whole_turns(across: Gates) -> float:
    """What the heading gains on a lap [rad]: 2 pi either way, 0 on an eight."""
    return float(2 * np.pi * np.round((across.angle[-1] - across.angle[0]) / (2 * np.pi)))


def _widest(across: Gates) -> np.ndarray:
    """The sharpest bend of the middles within `NEAR` of each gate [1/m], (N,)."""
    step = np.hypot(*(across.middle[1] - across.middle[0]))
    size = 2 * int(np.ceil(NEAR / step)) + 1
    return maximum_filter1d(np.abs(across.bend), size, mode="wrap")


def _casadi() -> Any:
    try:
        import casadi
    except ImportError as problem:
        raise RacerError(
            "the fastest lap is solved with CasADi, which is not installed; "
            "pip install 'racer[limit]' or pip install casadi"
        ) from problem
    return casadi
