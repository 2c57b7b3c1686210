"""The highest speeds along a given line: a quasi-steady-state lap."""

from __future__ import annotations

import numpy as np

from racer.laptime.ggv_envelope import GGVEnvelope


def speed_profile(curvature: np.ndarray, step: float, envelope: GGVEnvelope) -> np.ndarray:
    """Return the highest speed at each of N even points of a closed line [m/s], (N,).

    It is what grip and motor allow in the line's bend there, what can be reached from the point
    before, and what can be braked from to the point after, lap after lap.

    Args:
        curvature: Curvature of the line at each point [1/m], (N,).
        step: Distance from point to point [m].
        envelope: What the car can do.
    """
    speed = _ceiling(curvature, envelope)
    count, first = len(speed), int(speed.argmin())
    # Both passes begin at the slowest point and go round twice: only the second lap knows the
    # speed with which the first one ended.
    for k in range(2 * count):
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
    """Return what the curvature alone allows [m/s], (N,)."""
    bend = np.maximum(np.abs(curvature), 1e-9)
    return np.minimum(np.sqrt(envelope.grip / bend), envelope.top_speed(bend))


def lap_time(speed: np.ndarray, step: float) -> float:
    """Return the time of a closed line [s].

    Args:
        speed: Speed at each of N even points [m/s], (N,); its square changes linearly between them.
        step: Distance from point to point [m].
    """
    return float(np.sum(2.0 * step / (speed + np.roll(speed, -1))))
