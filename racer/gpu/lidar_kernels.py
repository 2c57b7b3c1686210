# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportReturnType=false
"""Warp kernels of the lidar, which follow `sensors.lidar` in float64.

A thread casts one beam. All beams of a car try the same segments in the same order, so that the
threads of a warp stay together and share their loads; the processor's way of sorting segments by
their angle would only part them. This module is imported after `runtime.load_warp`.
"""

from __future__ import annotations

import warp as wp

from racer.gpu.frame_kernels import (
    BEAM_NUMBERS,
    FrameState,
    counter_uniform,
    first_frame,
    next_frame,
)
from racer.gpu.runtime import EXACT_OPTIONS
from racer.randomisation import DRAWN_QUANTITIES
from racer.sensors.lidar import MAX_NOISE_DEVIATIONS
from racer.world import WALL_HEIGHT_M

wp.set_module_options(EXACT_OPTIONS)

_COLUMN = {name: column for column, name in enumerate(DRAWN_QUANTITIES)}
_WALL_HEIGHT = wp.constant(wp.float64(WALL_HEIGHT_M))
_DEVIATIONS = wp.constant(wp.float64(MAX_NOISE_DEVIATIONS))
_TWO_PI = wp.constant(wp.float64(6.283185307179586))


@wp.struct
class LidarScan:
    """Where one car's lidar is, and what its episode drew."""

    x: wp.float64
    """Its place [m]."""
    y: wp.float64
    z: wp.float64
    cos: wp.float64
    """Cosine of the car's heading."""
    sin: wp.float64
    """Sine of it."""
    sigma: wp.float64
    """Standard deviation of a range [m]."""
    reach: wp.float64
    """Largest distance that is searched [m]."""
    track: wp.int32
    """Index of the track whose walls it sees."""
    is_due: wp.int32
    """1 if this frame has a new scan, 0 if it repeats the last."""


@wp.struct
class WallTable:
    """The walls of some tracks in grids; see `SegmentGrid`."""

    segments: wp.array2d[wp.float64]
    """Both ends x y x y [m] of the segments in each cell of each track, (m, 4)."""
    start: wp.array[wp.int32]
    """Index of each cell's first segment, and after each track's last cell that of its end."""
    first: wp.array[wp.int32]
    """Index in `start` of each track's first cell, (tracks,)."""
    corner: wp.array2d[wp.float64]
    """The corners of smallest x and y [m], (tracks, 2)."""
    rows: wp.array[wp.int32]
    """Rows of each grid, (tracks,); 0 without walls."""
    columns: wp.array[wp.int32]
    """Columns of each grid, (tracks,)."""
    cell: wp.float64
    """Side of a cell [m]."""


@wp.struct
class LidarShape:
    """What all cars' lidars have in common."""

    forward: wp.float64
    """Position in the car's frame [m]."""
    up: wp.float64
    near: wp.float64
    """Shortest range [m]."""
    clip: wp.float64
    """Longest range [m]."""
    far: wp.float64
    """Range of a beam that hits nothing [m]."""
    noise: wp.float64
    """Standard deviation of a range [m]."""
    share: wp.float64
    """Scans per control step, at most 1."""
    sectors: wp.int32
    """Sectors of the scan; 0 if the ranges themselves are given."""
    values: wp.int32
    """Steps up to `clip`; 0 if a sector tells only whether something is near."""
    place: wp.uint64
    """What keeps the drops of this sensor apart from others."""


@wp.kernel
def start_lidars(
    mask: wp.array[wp.int32],
    seeds: wp.array[wp.uint64],
    draws: wp.array2d[wp.float64],
    shape: LidarShape,
    scans: wp.array[LidarScan],
    frames: wp.array[FrameState],
):
    """Begin an episode of each car in the mask; one thread a car.

    Args:
        mask, seeds, draws: As in `GpuCamera.start`.
        shape: What all lidars have in common.
        scans: Filled with what the draws change.
        frames: The states of the cars' frames, set to those before the first.
    """
    car = wp.tid()
    if mask[car] == 0:
        return
    frames[car] = first_frame(seeds[car], draws[car, wp.static(_COLUMN["dropped_frames"])])
    scan = scans[car]
    scan.sigma = shape.noise * draws[car, wp.static(_COLUMN["lidar_noise"])]
    scan.reach = wp.min(shape.far, shape.clip + _DEVIATIONS * scan.sigma)
    scans[car] = scan


@wp.kernel
def aim_lidars(
    mask: wp.array[wp.int32],
    poses: wp.array2d[wp.float64],
    line: wp.array[wp.int32],
    shape: LidarShape,
    frames: wp.array[FrameState],
    scans: wp.array[LidarScan],
):
    """Count a frame, find where each lidar is and whether its scan is due; one thread a car.

    Args:
        mask, poses, line: As in `GpuCamera.observe`.
        shape: What all lidars have in common.
        frames, scans: As `start_lidars` leaves them.
    """
    car = wp.tid()
    if mask[car] == 0:
        return
    state = next_frame(frames[car], shape.place)
    frames[car] = state
    zero, one, two = wp.float64(0.0), wp.float64(1.0), wp.float64(2.0)
    x, y, z, w = poses[car, 3], poses[car, 4], poses[car, 5], poses[car, 6]
    cos, sin = one - two * (y * y + z * z), two * (x * y + z * w)
    scan = scans[car]
    scan.x = poses[car, 0] + shape.forward * cos + shape.up * two * (x * z + y * w)
    scan.y = poses[car, 1] + shape.forward * sin + shape.up * two * (y * z - x * w)
    scan.z = poses[car, 2] + shape.forward * two * (x * z - y * w)
    scan.z += shape.up * (one - two * (x * x + y * y))
    level = wp.sqrt(cos * cos + sin * sin)
    scan.cos = one
    scan.sin = zero
    if level > zero:
        scan.cos = cos / level
        scan.sin = sin / level
    scan.track = line[car] // 2
    # A scan is due where the number of scans so far, frame x share, passes an integer.
    count = wp.float64(state.frame)
    passed = wp.floor(count * shape.share) > wp.floor((count - one) * shape.share)
    scan.is_due = 0
    if state.is_dropped == 0 and (state.frame == 0 or passed):
        scan.is_due = 1
    scans[car] = scan


@wp.func
def distance_to_walls(walls: WallTable, scan: LidarScan, dx: wp.float64, dy: wp.float64):
    """Return how far a beam goes before it meets a wall; the scan's reach if it meets none.

    Args:
        walls: The walls.
        scan: The lidar.
        dx: The beam's direction, a unit vector.
        dy: Its second coordinate.
    """
    zero = wp.float64(0.0)
    distance = wp.float64(scan.reach)
    column = wp.int32(wp.floor((scan.x - walls.corner[scan.track, 0]) / walls.cell))
    row = wp.int32(wp.floor((scan.y - walls.corner[scan.track, 1]) / walls.cell))
    rows, columns = walls.rows[scan.track], walls.columns[scan.track]
    is_high = scan.z >= zero and scan.z <= _WALL_HEIGHT
    if is_high and row >= 0 and column >= 0 and row < rows and column < columns:
        here = walls.first[scan.track] + row * columns + column
        for m in range(walls.start[here], walls.start[here + 1]):
            ax, ay = walls.segments[m, 0] - scan.x, walls.segments[m, 1] - scan.y
            bx, by = walls.segments[m, 2] - scan.x, walls.segments[m, 3] - scan.y
            # A corner gives the same number for both of its segments, so that no ray slips
            # through between them.
            first, second = dx * ay - dy * ax, dx * by - dy * bx
            if (first > zero) != (second > zero):
                hit = (ax * by - ay * bx) / (second - first)
                if hit >= zero and hit < distance:
                    distance = hit
    return distance


@wp.kernel
def cast_lidar_beams(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    scans: wp.array[LidarScan],
    shape: LidarShape,
    beams: wp.array[wp.vec2d],
    walls: WallTable,
    ranges: wp.array2d[wp.float64],
):
    """Fill `ranges` with the noisy ranges of each scan that is due; one thread a beam.

    Args:
        mask, frames, scans, shape: As `aim_lidars` leaves them.
        beams: Unit vectors in the car's frame.
        walls: The walls.
        ranges: Ranges [m], (n, beams).
    """
    car, j = wp.tid()
    scan = scans[car]
    if mask[car] == 0 or scan.is_due == 0:
        return
    beam = beams[j]
    dx = scan.cos * beam[0] - scan.sin * beam[1]
    dy = scan.sin * beam[0] + scan.cos * beam[1]
    distance = distance_to_walls(walls, scan, dx, dy)
    if distance >= scan.reach:
        distance = shape.far
    if distance < shape.far and scan.sigma > wp.float64(0.0):
        # One pair of uniform numbers makes the noise of two neighbouring beams.
        state, even = frames[car], wp.uint64(j - j % 2)
        first = counter_uniform(state.seed + BEAM_NUMBERS, state.frame, even)
        second = counter_uniform(state.seed + BEAM_NUMBERS, state.frame, even + wp.uint64(1))
        length = scan.sigma * wp.sqrt(wp.float64(-2.0) * wp.log(first))
        angle = _TWO_PI * second
        if j % 2 == 0:
            distance += length * wp.cos(angle)
        else:
            distance += length * wp.sin(angle)
    ranges[car, j] = distance


@wp.func
def encoded_range(
    shape: LidarShape, ranges: wp.array2d[wp.float64], car: wp.int32, k: wp.int32
) -> wp.float32:
    """Return one number of a scan's encoding.

    Args:
        shape: How it is encoded.
        ranges: The ranges [m], (n, beams).
        car: Index of the car.
        k: Index of the number.
    """
    if shape.sectors == 0:
        return wp.float32(wp.min(wp.max(ranges[car, k], shape.near), shape.clip))
    each = wp.max(shape.values, 1)
    beams, sector = ranges.shape[1] // shape.sectors, k // each
    nearest = ranges[car, sector * beams]
    for j in range(1, beams):
        nearest = wp.min(nearest, ranges[car, sector * beams + j])
    is_on = nearest < shape.clip
    if shape.values > 0:
        step = shape.clip / wp.float64(shape.values)
        value = wp.floor(wp.min(wp.max(nearest, shape.near), shape.clip) / step)
        is_on = wp.int32(value) == k % each
    return wp.where(is_on, wp.float32(1.0), wp.float32(0.0))


@wp.kernel
def encode_scans(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    shape: LidarShape,
    ranges: wp.array2d[wp.float64],
    stack: wp.int32,
    kept: wp.array2d[wp.float32],
    out: wp.array2d[wp.float32],
):
    """Encode scans and stack the last of them, the oldest first; one thread a number.

    Args:
        mask, frames, shape: As `aim_lidars` leaves them.
        ranges: Ranges [m], (n, beams).
        stack: Scans in one observation.
        kept: The scans before this one, (slots x n, numbers), as `finish_frames` keeps frames.
        out: The observations, (n, numbers x stack).
    """
    car, k = wp.tid()
    if mask[car] == 0:
        return
    state, cars = frames[car], mask.shape[0]
    slots, size = kept.shape[0] // cars, out.shape[1] // stack
    number = wp.float32(0.0)
    if state.is_dropped == 1:
        number = kept[(state.frame - 1) % slots * cars + car, k]
    else:
        number = encoded_range(shape, ranges, car, k)
    for m in range(stack - 1):
        old = wp.max(state.frame - (stack - 1) + m, 0)
        older = number
        if old < state.frame:
            older = kept[old % slots * cars + car, k]
        out[car, m * size + k] = older
    out[car, (stack - 1) * size + k] = number
    if slots > 0:
        kept[state.frame % slots * cars + car, k] = number
