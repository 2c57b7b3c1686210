"""The fastest speeds along a given line: a quasi-steady-state lap."""

from __future__ import annotations

import numpy as np

from racer.laptime.ggv_envelope import GGVEnvelope


def speed_profile(curvature: np.ndarray, step: float, envelope: GGVEnvelope) -> np.ndarray:
    """Highest speed [m/s] at each of N even points of a closed line, lap after lap, (N,).

    A point's speed is what grip and motor allow in its bend, what can be reached from the point
    before, and what can be braked down to the point after.

    Args:
        curvature: Of the line at each point [1/m], (N,).
        step: From point to point [m].
        envelope: What the car can do.
    """
    speed = _ceiling(curvature, envelope)
    count, first = len(speed), int(speed.argmin())
    for k in range(2 * count):  # The second lap finds the speed with which the first one began.
        i, after = (first + k) % count, (first + k + 1) % count
        spare = np.sqrt(max(envelope.grip**2 - (curvature[i] * speed[i] ** 2) ** 2, 0.0))
        gain = min(float(envelope.push(speed[i])), spare) - envelope.air * speed[i] ** 2
        speed[after] = min(speed[after], np.sqrt(max(speed[i] ** 2 + 2.0 * step * gain, 0.0)))
    for k in range(2 * count):
        i, before = (first - k) % count, (first - k - 1) % count
        spare = np.sqrt(max(envelope.grip**2 - (curvature[i] * speed[i] ** 2) ** 2, 0.0))
        loss = min(envelope.brake, spare) + envelope.air * speed[i] ** 2
        speed[before] = min(speed[before], np.sqrt(speed[i] ** 2 + 2.0 * step * loss))
    return speed


def _ceiling(curvature: np.ndarray, envelope: GGVEnvelope) -> np.ndarray:
    """What a bend alone allows [m/s], (N,)."""
    bend = np.maximum(np.abs(curvature), 1e-9)
    return np.minimum(np.sqrt(envelope.grip / bend), envelope.top_speed(bend))


def lap_time(speed: np.ndarray, step: float) -> float:
    """Time of the closed line [s] at speeds (N,) [m/s] that change evenly in v^2 between points."""
    return float(np.sum(2.0 * step / (speed + np.roll(speed, -1))))
