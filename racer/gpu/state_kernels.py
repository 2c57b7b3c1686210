# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false
"""The state sensor on a device: `racer.sensors.state_sensor` as a Warp kernel."""

import warp as wp

from racer.gpu.frame_kernels import FrameState, first_frame, next_frame
from racer.gpu.rule_kernels import RaceRecords
from racer.gpu.runtime import EXACT_OPTIONS
from racer.gpu.start_kernels import CarArrays
from racer.gpu.track_kernels import LineTables, python_modulo
from racer.randomisation import DRAWN_QUANTITIES
from racer.sensors.state_sensor import CAR_NUMBERS, LOOKAHEAD_DISTANCES_M, STATE_SIZE

wp.set_module_options(EXACT_OPTIONS)
_F = wp.float64
_CAR_NUMBERS = wp.constant(CAR_NUMBERS)
_POINTS = wp.constant(len(LOOKAHEAD_DISTANCES_M))
_SIZE = wp.constant(STATE_SIZE)
_DROPPED_FRAMES = wp.constant(DRAWN_QUANTITIES.index("dropped_frames"))


@wp.kernel
def observe_state(
    fleet: CarArrays,
    records: RaceRecords,
    lines: LineTables,
    body: wp.array2d(dtype=_F),
    yaw: wp.array(dtype=_F),
    ahead: wp.array(dtype=_F),
    mask: wp.array(dtype=wp.int32),
    out: wp.array2d(dtype=wp.float32),
):
    """Fill rows of `out` with the numbers of `StateSensor`.

    Args:
        fleet: The cars.
        records: Their places.
        lines: The lines.
        body: Body rows, (n, 13).
        yaw: Headings [rad], (n,).
        ahead: Distances at which the road ahead is observed [m], (m,).
        mask: Cars whose rows are filled, those with another value than 0, (n,).
        out: (n, 26).
    """
    k = wp.tid()
    if mask[k] == 0:
        return
    line = records.line[k]
    first = lines.first[line]
    n = lines.first[line + 1] - first
    base = first + line
    limit = fleet.nominal.steering_limit
    cos = wp.cos(yaw[k])
    sin = wp.sin(yaw[k])
    i = records.segment[k]
    half = _F(0.5) * lines.width[first + i]
    vx = body[k, 7]
    vy = body[k, 8]
    turn = yaw[k] - lines.heading[first + i]
    four = _F(4.0)
    out[k, 0] = wp.float32((vx * cos + vy * sin) / four)
    out[k, 1] = wp.float32((-vx * sin + vy * cos) / four)
    out[k, 2] = wp.float32(body[k, 12] / _F(5.0))
    out[k, 3] = wp.float32(fleet.steering[k] / limit)
    out[k, 4] = wp.float32(fleet.command[k, 0] / limit)
    out[k, 5] = wp.float32(fleet.command[k, 1] / four)
    out[k, 6] = wp.float32(records.d[k] / half)
    out[k, 7] = wp.float32(wp.sin(turn))
    out[k, 8] = wp.float32(wp.cos(turn))
    out[k, 9] = wp.float32(half)
    length = lines.along[base + n]
    for j in range(_POINTS):
        target = python_modulo(records.s[k] + ahead[j], length)
        # Walk on from the last segment: the distances ahead only grow. After a whole lap without a
        # find, which a place that is not a number has, the walk ends where it is.
        walked = int(0)
        while walked < n and (
            lines.along[base + i] > target or lines.along[base + i + 1] <= target
        ):
            i = (i + 1) % n
            walked = walked + 1
        t = (target - lines.along[base + i]) / (lines.along[base + i + 1] - lines.along[base + i])
        i1 = (i + 1) % n
        cx = lines.centre[first + i, 0]
        cy = lines.centre[first + i, 1]
        x = cx + t * (lines.centre[first + i1, 0] - cx) - body[k, 0]
        y = cy + t * (lines.centre[first + i1, 1] - cy) - body[k, 1]
        out[k, _CAR_NUMBERS + 2 * j] = wp.float32((x * cos + y * sin) / four)
        out[k, _CAR_NUMBERS + 2 * j + 1] = wp.float32((-x * sin + y * cos) / four)
    for j in range(_SIZE):
        out[k, j] = wp.min(wp.max(out[k, j], wp.float32(-10.0)), wp.float32(10.0))


@wp.kernel
def begin_states(
    mask: wp.array(dtype=wp.int32),
    seeds: wp.array(dtype=wp.uint64),
    draws: wp.array2d(dtype=_F),
    frames: wp.array(dtype=FrameState),
):
    """Set the frames of cars that begin an episode; see `FrameStack.start`.

    Args:
        mask: The cars, those with another value than 0, (n,).
        seeds: The seeds of the episodes, (n,).
        draws: What the cars have drawn, (n, quantities).
        frames: Set, (n,).
    """
    i = wp.tid()
    if mask[i] != 0:
        frames[i] = first_frame(seeds[i], draws[i, _DROPPED_FRAMES])


@wp.kernel
def stack_states(
    mask: wp.array(dtype=wp.int32),
    frames: wp.array(dtype=FrameState),
    place: wp.uint64,
    numbers: wp.array2d(dtype=wp.float32),
    stack: int,
    kept: wp.array3d(dtype=wp.float32),
    out: wp.array2d(dtype=wp.float32),
):
    """Fill `out` with the last observations, the oldest first; see `FrameStack`.

    Args:
        mask: Cars whose rows are filled, those with another value than 0, (n,).
        frames: The frames of the cars, (n,); advanced.
        place: Keeps the drops of this sensor apart from those of others.
        numbers: The observations of now, (n, 26).
        stack: Observations in a stack.
        kept: The last observations, the oldest first, (n, stack, 26).
        out: (n, 26 x stack).
    """
    i = wp.tid()
    if mask[i] == 0:
        return
    state = next_frame(frames[i], place)
    frames[i] = state
    size = numbers.shape[1]
    for k in range(size):
        number = numbers[i, k]
        if state.is_dropped == 1:
            number = kept[i, stack - 1, k]
        for m in range(stack):
            older = number
            if m + 1 < stack and state.frame > 0:
                older = kept[i, m + 1, k]
            kept[i, m, k] = older
            out[i, m * size + k] = older
