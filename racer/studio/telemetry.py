"""Traces of races over the distance, as racing telemetry shows them, and their chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import CarSpec
from racer.evaluation import LapResult
from racer.race.step_rules import LAP_SECTORS

TRACE_COLOURS = (
    *("#ff0000", "#00a5ff", "#00b400", "#e18700", "#961e96", "#005ae1", "#ff69b4", "#785a00"),
    *("#00b4a5", "#b4004b", "#96a51e", "#5a0fff", "#e18778", "#00691e", "#c378ff", "#006987"),
    *("#a52d00", "#a578b4", "#969669", "#ff00d2"),
)
"""Colours of cars and their traces, in their order; read on a light and on a dark page.

They are far apart in CIELAB, each with a contrast of at least 2.6 to white and to `#121212`."""
TRACE_INK = "#8a93a0"
"""Texts and lines of the chart."""
TRACE_ROW_PX = 150
"""Height of one of the chart's rows [px]."""


class LapTrace(NamedTuple):
    """What a car did over a lap; arrays (T,) of control steps, over a growing distance."""

    name: str
    """Name of the driver."""
    lap: int
    """Number of the lap, from 1."""
    distance: np.ndarray
    """Distance along the centre line from the start of the lap [m]."""
    time: np.ndarray
    """Time since the start of the lap, with penalties [s]."""
    speed: np.ndarray
    """Speed over the ground [m/s]."""
    steering: np.ndarray
    """Angle of the front wheels, positive to the left [deg]."""
    throttle: np.ndarray
    """Throttle as a share of the drive, negative as a share of the brakes [percent]."""
    lap_time: float | None
    """Time of the lap [s]; None if it is not complete."""
    sectors: tuple[float, ...]
    """Times of its completed sectors [s]."""


def laps_driven(result: LapResult) -> np.ndarray:
    """Return the laps and the share of the lap driven after each control step, growing, (T,)."""
    began = np.concatenate([[0.0], result.time[:-1]])
    laps = np.searchsorted(np.cumsum(result.lap_times_s), began, side="right")
    return np.maximum.accumulate(np.maximum(laps + result.progress / 100.0, 0.0))


def lap_traces(name: str, result: LapResult, spec: CarSpec, length: float) -> list[LapTrace]:
    """Return the traces of a race, one for each lap that was begun.

    Args:
        name: Name of the driver.
        result: The race.
        spec: The car.
        length: Length of the track's centre line [m].
    """
    driven = laps_driven(result)
    starts = np.concatenate([[0.0], np.cumsum(result.lap_times_s)])
    # A step that ends a lap belongs to it: its distance is the whole lap's.
    lap = np.maximum(np.ceil(driven).astype(int) - 1, 0)
    asked = spec.speed_gain * (result.command[:, 1] - result.speed)
    most = np.where(asked > 0.0, spec.drive_acceleration, spec.brake_acceleration)
    throttle = 100.0 * np.clip(asked / most, -1.0, 1.0)
    traces = []
    for k in range(min(int(lap[-1]) + 1, len(starts)) if len(lap) else 0):
        # A car of a grid starts before the line.
        rows = np.flatnonzero((lap == k) & (result.progress > 0.0))
        if not len(rows):
            continue
        times = result.sector_times_s[k] if k < len(result.sector_times_s) else []
        traces.append(
            LapTrace(
                name,
                k + 1,
                (driven[rows] - k) * length,
                result.time[rows] - starts[k],
                result.speed[rows],
                np.degrees(result.steering[rows]),
                throttle[rows],
                result.lap_times_s[k] if k < len(result.lap_times_s) else None,
                tuple(times),
            )
        )
    return traces


def delta_to(trace: LapTrace, other: LapTrace) -> np.ndarray:
    """Return by how much a lap is behind another at each of its places [s], (T,); NaN beyond it.

    Args:
        trace: The lap.
        other: The lap that it is compared with.
    """
    there = np.interp(trace.distance, other.distance, other.time, right=np.nan)
    return trace.time - there


def trace_chart(
    traces: Sequence[LapTrace], reference: LapTrace | None, length: float
) -> dict[str, Any]:
    """Return the options of an ECharts chart: rows of traces over one distance, with sector lines.

    Args:
        traces: The laps, in the order of their colours.
        reference: The lap that the time differences are to; None for no row of them.
        length: Length of the track's centre line [m].
    """
    rows = [
        ("speed [m/s]", [one.speed for one in traces]),
        ("steering [deg]", [one.steering for one in traces]),
        ("throttle, brake [%]", [one.throttle for one in traces]),
    ]
    if reference is not None:
        told = f"behind {reference.name}, lap {reference.lap} [s]"
        rows.append((told, [delta_to(one, reference) for one in traces]))
    line = {"lineStyle": {"color": TRACE_INK, "opacity": 0.3}}
    label = {"color": TRACE_INK, "hideOverlap": True}
    sectors = [{"xAxis": round(k * length / LAP_SECTORS, 2)} for k in range(1, LAP_SECTORS)]
    mark = {"silent": True, "symbol": "none", "data": sectors, "label": {"show": False}}
    mark["lineStyle"] = {"color": TRACE_INK, "type": "dashed", "opacity": 0.7}
    metres = {"formatter": "{value} m", "showMaxLabel": False}
    last, axes = len(rows) - 1, range(len(rows))
    return {
        "animation": False,
        "color": list(TRACE_COLOURS),
        "legend": {"top": 0, "left": 0, "type": "scroll", "textStyle": {"color": TRACE_INK}},
        "tooltip": {"trigger": "axis", ":valueFormatter": "v => v == null ? '-' : v.toFixed(2)"},
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "dataZoom": [{"type": "inside", "xAxisIndex": list(axes)}],
        "title": [
            {
                "text": name,
                "left": 0,
                "top": 30 + k * TRACE_ROW_PX,
                "textStyle": {"color": TRACE_INK, "fontSize": 13},
            }
            for k, (name, _) in enumerate(rows)
        ],
        "grid": [
            {"left": 48, "right": 12, "top": 54 + k * TRACE_ROW_PX, "height": TRACE_ROW_PX - 50}
            for k in axes
        ],
        "xAxis": [
            {
                "type": "value",
                "gridIndex": k,
                "min": 0,
                "max": round(length, 2),
                "axisLabel": {**label, **metres, "show": k == last},
                "splitLine": {"show": False},
            }
            for k in axes
        ],
        "yAxis": [
            {"type": "value", "gridIndex": k, "scale": True, "axisLabel": label, "splitLine": line}
            for k in axes
        ],
        "series": [
            {
                "type": "line",
                "name": f"{one.name}, lap {one.lap}",
                "xAxisIndex": k,
                "yAxisIndex": k,
                "showSymbol": False,
                "color": TRACE_COLOURS[number % len(TRACE_COLOURS)],
                "data": _points(one.distance, values[number]),
                "markLine": mark if number == 0 else None,
            }
            for k, (_, values) in enumerate(rows)
            for number, one in enumerate(traces)
        ],
    }


def _points(distance: np.ndarray, values: np.ndarray) -> list[list[float | None]]:
    return [
        [round(x, 3), None if np.isnan(y) else round(y, 3)]
        for x, y in zip(distance.tolist(), values.tolist())
    ]
