"""What the canvas draws: positions of a race and borders of a road, as few small numbers."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from racer.evaluation import LapResult
from racer.race import Ending
from racer.track import Track
from racer.world import CONTROL_RATE_HZ
from racer.world.car_state import yaw_of

TRAJECTORY_FORMAT = 1
"""Raise it when the format changes."""
POSITION_STEP_M = 0.001
"""Smallest step of a position [m]; a road too large for 16 bits has a coarser step."""
ANGLE_STEP_RAD = 1e-4
"""Step of an angle [rad]."""
SPEED_STEP_M_S = 0.001
"""Step of a speed [m/s]."""


def race_trajectory(result: LapResult) -> dict[str, Any]:
    """Return a race as the canvas reads it.

    `place` holds x, y, yaw and speed at the start and after each control step, 16 bits each, in
    steps of `unit`, `ANGLE_STEP_RAD` and `SPEED_STEP_M_S`; a control step takes `period`. `waits`
    holds the penalty [s] before a step, and `faults` the reason. `laps` holds the race time at the
    end of each lap [s].
    """
    body = np.vstack([result.start, result.body])
    gaps = np.diff(np.concatenate([[0.0], result.time])) - 1.0 / CONTROL_RATE_HZ
    waits = np.flatnonzero(gaps > 0.5 / CONTROL_RATE_HZ)
    unit = _unit(body[:, :2], result.boxes[..., :2].reshape(-1, 2))
    speed = np.hypot(body[:, 7], body[:, 8]) / SPEED_STEP_M_S
    place = np.column_stack([body[:, :2] / unit, yaw_of(body) / ANGLE_STEP_RAD, speed])
    return {
        "period": 1.0 / CONTROL_RATE_HZ,
        "unit": unit,
        "steps": len(body),
        "place": _packed(place),
        "waits": [[int(k) + 1, round(float(gaps[k]), 3)] for k in waits],
        "faults": [
            [int(k) + 1, Ending(int(result.fault[k])).name.lower()]
            for k in np.flatnonzero(result.fault != Ending.RUNNING)
        ],
        "laps": [round(float(end), 3) for end in np.cumsum(result.lap_times_s)],
        "ending": result.ending,
        "objects": _objects(result, unit),
    }


def road_outline(track: Track) -> dict[str, Any]:
    """Return a road as the canvas reads it: borders as x, y, x, y ... [m], and the start line."""
    return {
        "left": _rounded(track.left),
        "right": _rounded(track.right),
        "start": _rounded(np.stack([track.left[0], track.right[0]])),
        "heading": round(float(track.heading[0]), 3),
    }


def _objects(result: LapResult, unit: float) -> dict[str, Any]:
    """Return sizes, colours and poses of boxes and bots: at each step, or once if they stand."""
    boxes = result.boxes
    if not boxes.size:
        return {"sizes": [], "colours": [], "place": "", "is_moving": False}
    is_moving = bool(np.ptp(boxes[..., :2], axis=0).max() > POSITION_STEP_M)
    boxes = np.concatenate([boxes[:1], boxes]) if is_moving else boxes[:1]
    place = np.dstack([boxes[..., :2] / unit, yaw_of(boxes) / ANGLE_STEP_RAD])
    return {
        "sizes": (2.0 * boxes[0, :, 7:9]).round(3).tolist(),
        "colours": ["#" + bytes(one.tolist()).hex() for one in result.colours[: boxes.shape[1]]],
        "place": _packed(place),
        "is_moving": is_moving,
    }


def _unit(*places: np.ndarray) -> float:
    most = max(float(np.abs(one).max()) for one in places if one.size)
    return max(POSITION_STEP_M, float(np.ceil(most / 32.0)) * POSITION_STEP_M)


def _packed(numbers: np.ndarray) -> str:
    whole = np.clip(np.rint(numbers), -32768, 32767).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()


def _rounded(points: np.ndarray) -> list[float]:
    return points.round(3).reshape(-1).tolist()
