"""The rules of one control step, for all cars at once: places, laps, wheels, faults and endings."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from racer.race.config import (
    CRASHED,
    IMMOBILISED,
    LAPS_COMPLETE,
    OFF_TRACK,
    REVERSED,
    RUNNING,
    TIME_UP,
)
from racer.track.nearest_point import is_between_rings, nearest_near
from racer.world import WORLD_RADIUS_M

LAP_SECTORS = 3
"""Number of equal parts of the lap that are timed."""
STANDSTILL_STEP_M = 0.0003
"""A car that moves no further than this a step [m] stands still (DeepRacer's rule)."""
FAULT_STEPS = 15
"""Consecutive steps of standstill or of falling progress that count as a fault."""
CRASH_TILT = 0.3
"""A car whose body z axis has a smaller vertical component lies on its side or roof."""


class StepLimits(NamedTuple):
    """What ends an episode."""

    period: float
    """Duration of a control step [s]."""
    time: float
    """Race time [s]."""
    steps: float
    """Control steps."""
    laps: int
    """Laps of a race."""
    ends_at_fault: bool
    """Whether a fault ends the episode."""


CAR_RECORD_DTYPE = np.dtype(
    [(name, np.int64) for name in ("line", "steps", "laps", "laps_before", "sectors")]
    + [(name, np.int64) for name in ("wheels_on_road", "off_tracks", "collisions")]
    + [(name, np.int64) for name in ("still", "falling", "wait", "fault", "ending")]
    + [(name, np.float64) for name in ("x", "y", "distance", "progress", "time", "crossed")]
)
"""What the rules know of a car, besides its place; see the attributes of `Race`.

`laps_before` are the laps before the last step, `sectors` the completed ones. `crossed` is the race
time at which the car ended a sector within the last step [s], else NaN. `still` and `falling` count
consecutive steps of standstill and of falling progress, `wait` those until it returns to the road.
`x` and `y` are its centre of mass after the last step [m].

Rows of one array, because a call of a kernel takes time for each array that it is given."""


@njit(cache=True)
def clear_records(records, cars):
    """Set the records of cars (k,) to those of a race that has not begun; places stay."""
    for i in cars:
        records.distance[i] = records.time[i] = 0.0
        records.steps[i] = records.laps[i] = records.laps_before[i] = records.sectors[i] = 0
        records.off_tracks[i] = records.collisions[i] = records.fault[i] = records.ending[i] = 0
        records.still[i] = records.falling[i] = records.wait[i] = 0
        records.wheels_on_road[i] = 4


@njit(cache=True)
def note_progress(records, lines, cars):
    """Set the progress of the current lap [percent] of some cars; see `Race.progress`.

    Args:
        records: Rows of `CAR_RECORD_DTYPE`, (n,), changed in place.
        lines: The `LineArrays`.
        cars: Indices of the cars, (k,).
    """
    for i in cars:
        shares = records.distance[i] / lines.length[records.line[i]] - records.laps_before[i]
        records.progress[i] = min(100.0 * shares, 100.0)


@njit(cache=True)
def apply_rules(records, place, lines, limits, wheels, body, yaw, is_to_blame, reach):
    """Apply the rules to one control step of all cars.

    Returns how many cars ended a sector, and how many go on with a fault.

    Args:
        records: Rows of `CAR_RECORD_DTYPE`, (n,), changed in place.
        place: The `TrackPosition` of the cars, changed in place.
        lines: The `LineArrays`.
        limits: The `StepLimits`.
        wheels: Places of the wheels, forward and left of the centre of mass [m], (4, 2).
        body: Body rows, (n, 13).
        yaw: Headings [rad], (n,).
        is_to_blame: Whether each car is at fault for a contact, (n,) bool.
        reach: How far along its line a car is looked for [m].
    """
    ended_sectors = faulty = 0
    arm = 0.0
    for wheel in range(wheels.shape[0]):
        arm = max(arm, math.hypot(wheels[wheel, 0], wheels[wheel, 1]))
    for i in range(body.shape[0]):
        is_running = records.ending[i] == RUNNING
        is_racing = is_running and records.wait[i] == 0
        records.time[i] += limits.period * is_running
        records.steps[i] += is_racing
        line = records.line[i]
        first, end = lines.first[line], lines.first[line + 1]
        x, y = body[i, 0], body[i, 1]
        s, d, segment = nearest_near(
            *(lines.centre[first:end], lines.along[first + line : end + line + 1]),
            *(x, y, place.segment[i], reach),
        )
        length = lines.length[line]
        gained = s - place.s[i]
        gained -= length * np.rint(gained / length)
        if not is_racing:
            gained = 0.0
        place.s[i], place.d[i], place.segment[i] = s, d, segment
        before = records.distance[i]
        records.distance[i] += gained

        records.laps_before[i] = records.laps[i]
        records.crossed[i] = np.nan
        line_end = (records.sectors[i] + 1) * length / LAP_SECTORS
        if records.distance[i] >= line_end:
            into = (line_end - before) / gained
            records.crossed[i] = records.time[i] - limits.period * (1.0 - into)
            records.sectors[i] += 1
            records.laps[i] += records.sectors[i] % LAP_SECTORS == 0
            ended_sectors += 1
        shares = records.distance[i] / length - records.laps_before[i]
        records.progress[i] = min(100.0 * shares, 100.0)

        count = 4
        if not abs(d) + arm < lines.clearance[line]:
            left, right = lines.left[first:end], lines.right[first:end]
            cos, sin = math.cos(yaw[i]), math.sin(yaw[i])
            count = 0
            for wheel in range(wheels.shape[0]):
                ahead, aside = wheels[wheel, 0], wheels[wheel, 1]
                wx, wy = ahead * cos - aside * sin + x, ahead * sin + aside * cos + y
                count += is_between_rings(left, right, wx, wy)
        records.wheels_on_road[i] = count

        moved = math.hypot(x - records.x[i], y - records.y[i])
        records.x[i], records.y[i] = x, y
        is_still = is_racing and moved <= STANDSTILL_STEP_M
        records.still[i] = records.still[i] + 1 if is_still else 0
        records.falling[i] = records.falling[i] + 1 if gained < 0.0 else 0

        is_toppled = 1.0 - 2.0 * (body[i, 3] ** 2 + body[i, 4] ** 2) < CRASH_TILT
        for k in range(3):
            is_toppled = is_toppled or abs(body[i, k]) > WORLD_RADIUS_M
        fault = RUNNING
        if is_racing and (is_toppled or is_to_blame[i]):
            fault = CRASHED
        elif is_racing and count == 0:
            fault = OFF_TRACK
        elif records.still[i] >= FAULT_STEPS:
            fault = IMMOBILISED
        elif records.falling[i] >= FAULT_STEPS:
            fault = REVERSED
        records.fault[i] = fault
        records.off_tracks[i] += fault == OFF_TRACK
        records.collisions[i] += fault == CRASHED

        if is_running:
            ending = RUNNING
            is_late = records.time[i] >= limits.time - 0.5 * limits.period
            if is_late or records.steps[i] >= limits.steps:
                ending = TIME_UP
            if limits.ends_at_fault and fault > 0:
                ending = fault
            if records.laps[i] >= limits.laps:
                ending = LAPS_COMPLETE
            records.ending[i] = ending
        faulty += fault > 0 and records.ending[i] == RUNNING
    return ended_sectors, faulty
