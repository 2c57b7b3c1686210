"""The minimum time around a track: optimal control of a point mass on a free line."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from racer.assets.extras import how_to_install
from racer.errors import RacerError
from racer.laptime.ggv_envelope import GGVEnvelope
from racer.laptime.racing_line import Gates
from racer.track import Track

MIN_GATE_SPEED = 0.05
"""Lowest speed at a gate [m/s]; it keeps the solver from dividing by zero."""
MAX_CURVATURE = 10.0
"""Largest curvature of the line [1/m]; it only keeps the solver in bounds."""
SLIDE_RANGE_M = 1.0
"""Distance from a bend [m] within which a car may still slide as in it."""


class FastestLap(NamedTuple):
    """The fastest lap that the solver found."""

    time: float
    """Its time [s]."""
    xy: np.ndarray
    """Where it crosses the gates [m], (N + 1, 2); the first and the last are on the start line."""
    speed: np.ndarray
    """Its speeds there [m/s], (N + 1,)."""


def flying_lap(gates: Gates, envelope: GGVEnvelope, speed: np.ndarray) -> FastestLap:
    """Return the fastest lap after a lap of run-up, whatever comes after it.

    A lap that has to end as it began would be slower than the last one of a race, which need not
    save its speed for the next bend; it would not be a bound.

    Args:
        gates: N gates, the first on the start line.
        envelope: What the car can do.
        speed: Initial guess of the speeds along the middles of the gates [m/s], (N,).
    """
    problem = _Problem(_laps(gates, 2), envelope, run_up=len(speed))
    return problem.solve(np.concatenate([speed, speed, speed[:1]]))


def standing_lap(
    track: Track, gates: Gates, envelope: GGVEnvelope, speed: np.ndarray
) -> FastestLap:
    """Return the fastest lap from rest on the start line, on the centre line and along it.

    Args:
        track: The road.
        gates: N gates, the first on the start line.
        envelope: What the car can do.
        speed: Initial guess of the speeds along the middles of the gates [m/s], (N,).
    """
    once = _laps(gates, 1)
    away = np.arange(len(speed) + 1) * np.hypot(*(gates.middle[1] - gates.middle[0]))
    # The guess starts at rest and gains speed with half the drive.
    guess = np.minimum(np.append(speed, speed[0]), np.sqrt(envelope.drive * away))
    problem = _Problem(once, envelope)
    turn = track.heading[0] - once.angle[0]
    heading = once.angle[0] + (turn + np.pi) % (2 * np.pi) - np.pi
    problem.stand(float((track.centre[0] - once.middle[0]) @ once.across[0]), float(heading))
    return problem.solve(guess)


def _laps(gates: Gates, count: int) -> Gates:
    """Return the gates of `count` laps in a row, with the start line once more at the end."""
    size = len(gates.middle)
    index = np.arange(count * size + 1)
    parts = {name: part[index % size] for name, part in vars(gates).items()}
    # A lap turns by 2 pi to either side, or by 0 on a figure of eight.
    turns = np.round((gates.angle[-1] - gates.angle[0]) / (2 * np.pi))
    return Gates(**{**parts, "angle": parts["angle"] + 2 * np.pi * turns * (index // size)})


class _Problem:
    """The optimal control problem: a state at each gate, and a leg from each gate to the next.

    The unknowns are the offset n along a gate, the heading, the curvature and the speed there, and
    each leg's length. On a leg the curvature changes linearly and the acceleration is constant. The
    points are Cartesian: coordinates along a reference line could fold in tight bends.
    """

    def __init__(self, gates: Gates, envelope: GGVEnvelope, run_up: int = 0) -> None:
        self._ca = ca = _casadi()
        self.gates, self.envelope, self._run_up = gates, envelope, run_up
        count = len(gates.middle)
        self.n, self.heading, self.bend, self.v = (
            ca.SX.sym(name, count) for name in ("n", "heading", "bend", "v")
        )
        self.leg = ca.SX.sym("leg", count - 1)
        chord = np.hypot(*np.diff(gates.middle, axis=0).T)
        self._first = [gates.angle, gates.bend, chord]
        wide = np.full(count, np.pi)
        fast = np.full(count, 1.0)
        self._low = [
            gates.low,
            gates.angle - wide,
            -MAX_CURVATURE * fast,
            MIN_GATE_SPEED * fast,
            0.2 * chord,
        ]
        self._high = [
            gates.high,
            gates.angle + wide,
            MAX_CURVATURE * fast,
            envelope.no_load * fast,
            5.0 * chord,
        ]

    def stand(self, n: float, heading: float) -> None:
        """Fix the start: at rest at the offset n [m] of the first gate, with a heading [rad]."""
        for bound in (self._low, self._high):
            bound[0] = np.concatenate([[n], bound[0][1:]])
            bound[1] = np.concatenate([[heading], bound[1][1:]])
            bound[3] = np.concatenate([[0.0], bound[3][1:]])

    def solve(self, v: np.ndarray) -> FastestLap:
        """Return the optimum that is found from driving along the middles at v [m/s], (N,).

        Raises:
            RacerError: The solver does not converge.
        """
        ca, (time, equal, held) = self._ca, self._objective_and_constraints()
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
        lower = np.concatenate([np.zeros(equal.numel()), np.full(held.numel(), -np.inf)])
        found = solver(x0=first, lbx=low, ubx=high, lbg=lower, ubg=0.0)
        status = solver.stats()["return_status"]
        if status not in ("Solve_Succeeded", "Solved_To_Acceptable_Level"):
            raise RacerError(f"no fastest lap was found: IPOPT says {status}")
        x, count = np.array(found["x"]).ravel(), len(v)
        speed, leg = x[3 * count : 4 * count], x[4 * count :]
        spent = 2.0 * leg / (speed[1:] + speed[:-1])
        lap = slice(self._run_up, None)
        return FastestLap(float(spent[lap].sum()), self.gates.at(x[:count])[lap], speed[lap])

    def _objective_and_constraints(self) -> tuple[Any, Any, Any]:
        """Return the time [s], the terms that must be 0, and the terms that must not be above 0.

        The time of the run-up has a weight of a thousandth, so that it is determined but does not
        matter.
        """
        ca, car, leg = self._ca, self.envelope, self.leg
        x = self.gates.middle[:, 0] + self.n * self.gates.across[:, 0]
        y = self.gates.middle[:, 1] + self.n * self.gates.across[:, 1]
        heading, v, before, then = self.heading, self.v, self.bend[:-1], self.bend[1:]
        bend = 0.5 * (before + then)
        # The mean heading of a leg on which the curvature changes linearly.
        direction = heading[:-1] + leg * (2.0 * before + then) / 6.0
        chord = leg * (1.0 - (leg * bend) ** 2 / 24.0)  # An arc is longer than its chord.
        equal = ca.vertcat(
            x[1:] - x[:-1] - chord * ca.cos(direction),
            y[1:] - y[:-1] - chord * ca.sin(direction),
            heading[1:] - heading[:-1] - leg * bend,
        )
        square, mean = 0.5 * (v[:-1] ** 2 + v[1:] ** 2), 0.5 * (v[:-1] + v[1:])
        gain = (v[1:] ** 2 - v[:-1] ** 2) / (2.0 * leg)
        along, sideways = gain + car.air * square, bend * square
        fade = car.drive / (car.no_load - car.knee)
        top = car.top_speed(_widest(self.gates))[:-1]
        # The friction circle; the motor's force, its power and its back-EMF; the speed controller.
        held = ca.vertcat(
            (along**2 + sideways**2) / car.grip**2 - 1.0,
            (along + car.rolling) / car.drive - 1.0,
            (along + car.rolling) * mean / (car.drive * car.knee) - 1.0,
            (along + car.rolling - fade * (car.no_load - mean)) / car.drive,
            (gain - car.gain * (top - mean)) / car.drive,
        )
        weight = np.where(np.arange(leg.numel()) < self._run_up, 1e-3, 1.0)
        return ca.sum1(weight * leg / mean), equal, held


def _widest(gates: Gates) -> np.ndarray:
    """Return the middles' largest curvature within `SLIDE_RANGE_M` of each gate [1/m], (N,)."""
    step = np.hypot(*(gates.middle[1] - gates.middle[0]))
    size = 2 * int(np.ceil(SLIDE_RANGE_M / step)) + 1
    return maximum_filter1d(np.abs(gates.bend), size, mode="wrap")


def _casadi() -> Any:
    try:
        import casadi
    except ImportError as problem:
        raise RacerError(
            "the fastest lap is solved with CasADi, which is not installed; "
            + how_to_install("limit")
        ) from problem
    return casadi
