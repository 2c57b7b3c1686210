# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false
"""The rules of a control step on a device: `racer.race.step_rules` as a Warp kernel.

Besides it has what `Race` does after them: times of laps, and the counters of finished episodes.
"""

from typing import Any

import numpy as np
import warp as wp

from racer.gpu.runtime import EXACT_OPTIONS
from racer.gpu.track_kernels import LineTables, is_on_road, place_near
from racer.race.config import (
    CRASHED,
    IMMOBILISED,
    LAPS_COMPLETE,
    OFF_TRACK,
    REVERSED,
    RUNNING,
    TIME_UP,
)
from racer.race.step_rules import CRASH_TILT, FAULT_STEPS, LAP_SECTORS, STANDSTILL_STEP_M
from racer.track.geometry import LOCATE_WINDOW_M
from racer.world import WORLD_RADIUS_M

wp.set_module_options(EXACT_OPTIONS)
_F = wp.float64
_CRASH_TILT = wp.constant(_F(CRASH_TILT))
_STANDSTILL = wp.constant(_F(STANDSTILL_STEP_M))
_SECTORS_OF_LAP = wp.constant(_F(LAP_SECTORS))
_WORLD_RADIUS = wp.constant(_F(WORLD_RADIUS_M))
REACH_M = wp.constant(_F(LOCATE_WINDOW_M))
"""How far along the line a car is looked for after each step [m]."""
FINISHED = (
    *("episodes", "steps", "rewards", "progress", "laps", "lap_time", "timed"),
    *("off_tracks", "collisions", "resets", "x", "y", "track"),
    *(f"ending_{k}" for k in range(TIME_UP + 1)),
)
"""What is summed over the finished episodes of each car: its columns in `RaceRecords.finished`. The
difference of two sums tells where an episode ended, too."""
_FIRST_ENDING = wp.constant(FINISHED.index("ending_0"))
_COLUMNS = len(FINISHED)


@wp.struct
class RaceRecords:
    """What the rules know of n cars; `CAR_RECORD_DTYPE` and `Race` say what each means."""

    line: wp.array(dtype=wp.int32)
    steps: wp.array(dtype=wp.int32)
    laps: wp.array(dtype=wp.int32)
    laps_before: wp.array(dtype=wp.int32)
    sectors: wp.array(dtype=wp.int32)
    wheels_on_road: wp.array(dtype=wp.int32)
    off_tracks: wp.array(dtype=wp.int32)
    collisions: wp.array(dtype=wp.int32)
    resets: wp.array(dtype=wp.int32)
    still: wp.array(dtype=wp.int32)
    falling: wp.array(dtype=wp.int32)
    fault: wp.array(dtype=wp.int32)
    ending: wp.array(dtype=wp.int32)
    episode: wp.array(dtype=wp.int32)
    segment: wp.array(dtype=wp.int32)
    s: wp.array(dtype=_F)
    d: wp.array(dtype=_F)
    x: wp.array(dtype=_F)
    y: wp.array(dtype=_F)
    distance: wp.array(dtype=_F)
    progress: wp.array(dtype=_F)
    time: wp.array(dtype=_F)
    lap_began: wp.array(dtype=_F)
    last_lap_time: wp.array(dtype=_F)
    reward_sum: wp.array(dtype=_F)
    finished: wp.array2d(dtype=_F)


@wp.struct
class RaceLimits:
    """What ends an episode, and what a fault costs; see `StepLimits` and `RaceConfig`."""

    period: _F
    time: _F
    steps: _F
    laps: wp.int32
    ends_at_fault: wp.int32
    off_track_penalty: _F
    collision_penalty: _F


def device_records(n: int, device: Any) -> Any:
    """Return the records of n cars that have not begun, a `RaceRecords` on a device."""
    records = RaceRecords()
    for name, member in RaceRecords.vars.items():
        shape = (n, _COLUMNS) if name == "finished" else n
        setattr(records, name, wp.zeros(shape, dtype=member.type.dtype, device=device))
    records.wheels_on_road.fill_(4)
    return records


@wp.func
def _wheels_on_road(
    lines: LineTables, line: int, wheels: wp.array2d(dtype=_F), x: _F, y: _F, yaw: _F
):
    cos = wp.cos(yaw)
    sin = wp.sin(yaw)
    count = int(0)
    for wheel in range(4):
        ahead = wheels[wheel, 0]
        aside = wheels[wheel, 1]
        wx = ahead * cos - aside * sin + x
        wy = ahead * sin + aside * cos + y
        count = count + is_on_road(lines, line, wx, wy)
    return count


@wp.func
def _note_lap(records: RaceRecords, i: int, crossed: _F):
    """Note the time of a lap that ended at a race time [s]; see `Race._note_times`."""
    if records.sectors[i] % LAP_SECTORS == 0:
        records.last_lap_time[i] = crossed - records.lap_began[i]
        records.lap_began[i] = crossed


@wp.func
def _advance_place(
    records: RaceRecords,
    lines: LineTables,
    limits: RaceLimits,
    i: int,
    x: _F,
    y: _F,
    is_running: bool,
):
    """Move a car's place, laps and progress on; return how far it got along the line [m]."""
    line = records.line[i]
    place = place_near(lines, line, x, y, records.segment[i], REACH_M)
    length = lines.length[line]
    gained = place.s - records.s[i]
    gained = gained - length * wp.rint(gained / length)
    if not is_running:
        gained = _F(0.0)
    records.s[i] = place.s
    records.d[i] = place.d
    records.segment[i] = place.segment
    before = records.distance[i]
    distance = before + gained
    records.distance[i] = distance
    records.laps_before[i] = records.laps[i]
    line_end = _F(records.sectors[i] + 1) * length / _SECTORS_OF_LAP
    if distance >= line_end:
        into = (line_end - before) / gained
        crossed = records.time[i] - limits.period * (_F(1.0) - into)
        records.sectors[i] = records.sectors[i] + 1
        if records.sectors[i] % LAP_SECTORS == 0:
            records.laps[i] = records.laps[i] + 1
        _note_lap(records, i, crossed)
    shares = distance / length - _F(records.laps_before[i])
    records.progress[i] = wp.min(_F(100.0) * shares, _F(100.0))
    return gained


@wp.func
def _ending_of(records: RaceRecords, limits: RaceLimits, i: int, fault: int):
    ending = int(RUNNING)
    is_late = records.time[i] >= limits.time - _F(0.5) * limits.period
    if is_late or _F(records.steps[i]) >= limits.steps:
        ending = TIME_UP
    if limits.ends_at_fault == 1 and fault > 0:
        ending = fault
    if records.laps[i] >= limits.laps:
        ending = LAPS_COMPLETE
    return ending


@wp.kernel
def apply_race_rules(
    records: RaceRecords,
    lines: LineTables,
    limits: RaceLimits,
    wheels: wp.array2d(dtype=_F),
    arm: _F,
    body: wp.array2d(dtype=_F),
    yaw: wp.array(dtype=_F),
):
    """Apply the rules to one control step of free cars; see `step_rules.apply_rules`.

    Args:
        records: What the rules know of the n cars; changed in place.
        lines: The lines.
        limits: What ends an episode.
        wheels: Places of the wheels, forward and left of the centre of mass [m], (4, 2).
        arm: Distance of the farthest of them from the centre of mass [m].
        body: Body rows, (n, 13).
        yaw: Headings [rad], (n,).
    """
    i = wp.tid()
    is_running = records.ending[i] == RUNNING
    if is_running:
        records.time[i] = records.time[i] + limits.period
        records.steps[i] = records.steps[i] + 1
    x = body[i, 0]
    y = body[i, 1]
    gained = _advance_place(records, lines, limits, i, x, y, is_running)
    line = records.line[i]
    count = int(4)
    if not (wp.abs(records.d[i]) + arm < lines.clearance[line]):
        count = _wheels_on_road(lines, line, wheels, x, y, yaw[i])
    records.wheels_on_road[i] = count

    dx = x - records.x[i]
    dy = y - records.y[i]
    records.x[i] = x
    records.y[i] = y
    still = int(0)
    if is_running and wp.sqrt(dx * dx + dy * dy) <= _STANDSTILL:
        still = records.still[i] + 1
    records.still[i] = still
    falling = int(0)
    if gained < _F(0.0):
        falling = records.falling[i] + 1
    records.falling[i] = falling

    tilt = _F(1.0) - _F(2.0) * (body[i, 3] * body[i, 3] + body[i, 4] * body[i, 4])
    is_toppled = tilt < _CRASH_TILT
    for k in range(3):
        is_toppled = is_toppled or wp.abs(body[i, k]) > _WORLD_RADIUS
    fault = int(RUNNING)
    if is_running and is_toppled:
        fault = CRASHED
    elif is_running and count == 0:
        fault = OFF_TRACK
    elif still >= FAULT_STEPS:
        fault = IMMOBILISED
    elif falling >= FAULT_STEPS:
        fault = REVERSED
    records.fault[i] = fault
    if fault == OFF_TRACK:
        records.off_tracks[i] = records.off_tracks[i] + 1
    if fault == CRASHED:
        records.collisions[i] = records.collisions[i] + 1
    if is_running:
        records.ending[i] = _ending_of(records, limits, i, fault)


@wp.kernel
def settle_step(
    records: RaceRecords,
    paid: wp.array(dtype=_F),
    rewards: wp.array(dtype=wp.float32),
    terminated: wp.array(dtype=wp.bool),
    truncated: wp.array(dtype=wp.bool),
    done: wp.array(dtype=wp.int32),
):
    """Fill in what a step returns, and add what episodes that ended have got to the counters.

    Args:
        records: What the rules know of the n cars.
        paid: The step's rewards, (n,).
        rewards: Filled with them, (n,) float32.
        terminated: Filled with whether the task ended, (n,).
        truncated: Filled with whether the clock ended it, (n,).
        done: Filled with 1 for an episode that ended, else 0, (n,).
    """
    i = wp.tid()
    ending = records.ending[i]
    rewards[i] = wp.float32(paid[i])
    terminated[i] = ending != RUNNING and ending != TIME_UP
    truncated[i] = ending == TIME_UP
    records.reward_sum[i] = records.reward_sum[i] + paid[i]
    if ending == RUNNING:
        done[i] = 0
        return
    done[i] = 1
    sums = records.finished
    sums[i, 0] = sums[i, 0] + _F(1.0)
    sums[i, 1] = sums[i, 1] + _F(records.steps[i])
    sums[i, 2] = sums[i, 2] + records.reward_sum[i]
    sums[i, 3] = sums[i, 3] + records.progress[i]
    sums[i, 4] = sums[i, 4] + _F(records.laps[i])
    if records.laps[i] > 0:
        sums[i, 5] = sums[i, 5] + records.last_lap_time[i]
        sums[i, 6] = sums[i, 6] + _F(1.0)
    sums[i, 7] = sums[i, 7] + _F(records.off_tracks[i])
    sums[i, 8] = sums[i, 8] + _F(records.collisions[i])
    sums[i, 9] = sums[i, 9] + _F(records.resets[i])
    sums[i, 10] = sums[i, 10] + records.x[i]
    sums[i, 11] = sums[i, 11] + records.y[i]
    sums[i, 12] = sums[i, 12] + _F(records.line[i] / 2)
    column = _FIRST_ENDING + ending
    sums[i, column] = sums[i, column] + _F(1.0)


def race_limits(rules: Any, period: float, max_steps: int | None) -> Any:
    """Return the `RaceLimits` of a `RaceConfig`.

    Args:
        rules: The rules.
        period: Duration of a control step [s].
        max_steps: Control steps until truncation, if the time limit is longer.
    """
    limits = RaceLimits()
    limits.period, limits.time = period, float(rules.time_limit)
    limits.steps = float(max_steps or np.inf)
    limits.laps, limits.ends_at_fault = rules.laps, int(rules.faults == "end")
    limits.off_track_penalty = float(rules.off_track_penalty)
    limits.collision_penalty = float(rules.collision_penalty)
    return limits
