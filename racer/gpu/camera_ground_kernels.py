# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportReturnType=false
"""Warp kernels that draw the ground, and the walls before it, in a camera's frames.

They follow `sensors.camera` in float32. A thread draws a run of neighbouring pixels of one row, so
that what a row has in common is worked out once. This module is imported after
`runtime.load_warp`.
"""

from __future__ import annotations

import warp as wp

from racer.gpu.camera_view_kernels import CameraEpisode, CameraView, GroundTable
from racer.gpu.frame_kernels import FrameState
from racer.gpu.runtime import PICTURE_OPTIONS
from racer.sensors.camera import CAMERA_HORIZON_M, TEXELS_PER_PIXEL
from racer.sensors.camera_ground import LUMA_WEIGHTS, PYRAMID_LEVELS

wp.set_module_options(PICTURE_OPTIONS)

ROW_PARTS = 4
"""Parts of a row of a tilted camera, each of which has its own level of the pyramid."""
_HORIZON = wp.constant(wp.float32(CAMERA_HORIZON_M))
_TEXELS_PER_PIXEL = wp.constant(wp.float32(TEXELS_PER_PIXEL))
_LAST_LEVEL = wp.constant(PYRAMID_LEVELS - 1)
_LUMA = wp.constant(wp.vec3(*(float(weight) for weight in LUMA_WEIGHTS)))
_NOTHING = wp.constant(wp.uint64(0))


@wp.struct
class GroundHit:
    """Where a ray meets the ground; a ray into the sky has the index -1."""

    index: wp.int64
    """Index of the texel in the array of all textures."""
    across: wp.uint32
    """How far past the texel's centre, in x [1/256 texel]."""
    along: wp.uint32
    """The same in y."""


@wp.struct
class FrameRun:
    """The run of pixels that a thread draws, and what they have in common."""

    first: wp.int32
    """Its first column."""
    last: wp.int32
    """The column after its last one."""
    taps: wp.int32
    """The number of taps down each pixel."""
    start: wp.int64
    """Index of the first texel of the pyramid's level."""
    rows: wp.int32
    """Rows of the level."""
    columns: wp.int32
    """Columns of it."""
    x: wp.float32
    """Place of the eye [1/256 texels] from the centre of the level's first texel."""
    y: wp.float32
    above: wp.float32
    """Height of the eye [1/256 texels]."""
    least: wp.float32
    """The ground ends where a ray falls by no more than this over 1 m along the axis [m]."""


@wp.func
def pixel_slope(at: wp.float32, size: wp.int32, step: wp.float32) -> wp.float32:
    """Return how far a ray goes across over 1 m along the camera's axis [m].

    Args:
        at: Place in the frame from its first edge on [pixels].
        size: Size of the frame [pixels].
        step: Difference of the slopes of neighbouring pixels.
    """
    return (at - 0.5 * wp.float32(size)) * step


@wp.func
def row_filter(
    view: CameraView,
    resolution: wp.float32,
    row: wp.int32,
    middle: wp.float32,
    height: wp.int32,
    width: wp.int32,
) -> wp.vec2i:
    """Return the pyramid's level for a part of a row, and the number of taps down each pixel.

    Args:
        view: The eye.
        resolution: Size of a texel of the first level [m].
        row: The row.
        middle: The middle of the part [columns].
        height: Rows of the frame.
        width: Columns of the frame.
    """
    down = pixel_slope(wp.float32(row) + 0.5, height, view.step)
    across = pixel_slope(middle, width, view.step)
    drop = -view.forward[2] - down * view.down[2] - across * view.right[2]
    drop = wp.max(drop, 0.2 * view.step)
    length = wp.sqrt(1.0 + down * down + across * across)
    stretch = length / drop
    taps = 1
    if stretch >= 6.0:
        taps = 2
    share = wp.sqrt(stretch / wp.float32(taps))
    patch = length * view.step / resolution * view.above / drop * share
    level = wp.int32(0)
    while patch > _TEXELS_PER_PIXEL and level < _LAST_LEVEL:
        patch *= 0.5
        level += 1
    return wp.vec2i(level, taps)


@wp.func
def meet_ground(view: CameraView, run: FrameRun, right: wp.float32, down: wp.float32) -> GroundHit:
    """Return where a pixel's ray meets the ground; no pose gives an index outside the textures.

    Args:
        view: The eye.
        run: The pixel's run.
        right: Slope of the ray to the right.
        down: Slope of the ray down.
    """
    hit = GroundHit()
    hit.index = wp.int64(-1)
    drop = -view.forward[2] - down * view.down[2] - right * view.right[2]
    if drop > run.least:
        t = run.above / drop
        u = wp.int32(run.x + t * (view.forward[0] + down * view.down[0] + right * view.right[0]))
        v = wp.int32(run.y + t * (view.forward[1] + down * view.down[1] + right * view.right[1]))
        column = wp.clamp(u >> 8, 0, run.columns - 1)
        row = wp.clamp(v >> 8, 0, run.rows - 1)
        hit.index = run.start + wp.int64(row * run.columns + column)
        hit.across = wp.uint32(u & 255)
        hit.along = wp.uint32(v & 255)
    return hit


@wp.func
def blended_texel(quad: wp.uint32, hit: GroundHit) -> wp.int32:
    """Return the bilinear mean of a texel's four bytes where a ray hit it, rounded."""
    even, full = wp.uint32(0x00FF00FF), wp.uint32(256)
    near = quad & even
    right = (quad >> wp.uint32(8)) & even
    pair = (near << wp.uint32(8)) + (right - near) * hit.across
    lower, upper = pair & wp.uint32(0xFFFF), pair >> wp.uint32(16)
    mean = lower * (full - hit.along) + upper * hit.along
    return wp.int32((mean + wp.uint32(0x8000)) >> wp.uint32(16))


@wp.func
def tinted_byte(byte: wp.int32, gain: wp.float32) -> wp.float32:
    """Return a byte times a factor, rounded and clipped."""
    return wp.floor(wp.min(gain * wp.float32(byte) + 0.5, 255.0))


@wp.func
def run_of_thread(
    view: CameraView,
    ground: GroundTable,
    row: wp.int32,
    k: wp.int32,
    pixels: wp.int32,
    height: wp.int32,
    width: wp.int32,
) -> FrameRun:
    """Return the run of pixels of the k-th thread of a row.

    All of a level camera's row has the level of its middle; each part of a tilted one its own.

    Args:
        view: The eye.
        ground: The textures.
        row: The row.
        k: Which of its threads.
        pixels: Most pixels of a run.
        height: Rows of the frame.
        width: Columns of the frame.
    """
    runs = ((width + ROW_PARTS - 1) // ROW_PARTS + pixels - 1) // pixels
    part = k // runs
    first, last = part * width // ROW_PARTS, (part + 1) * width // ROW_PARTS
    down = pixel_slope(wp.float32(row) + 0.5, height, view.step)
    tilt = wp.abs(view.right[2]) * 0.5 * wp.float32(width) * view.step
    middle = 0.5 * wp.float32(width)
    if tilt >= 0.5 * (-view.forward[2] - down * view.down[2]):
        middle = wp.float32(first) + 0.5 * wp.float32(last - first)
    resolution = wp.float32(ground.resolution[view.ground])
    level_taps = row_filter(view, resolution, row, middle, height, width)
    level, finer = level_taps[0], 1.0 / wp.float32(1 << level_taps[0])
    run = FrameRun()
    run.first = first + (k % runs) * pixels
    run.last = wp.min(run.first + pixels, last)
    run.taps = level_taps[1]
    run.start = ground.start[view.ground, level]
    run.rows = ground.rows[view.ground, level]
    run.columns = ground.columns[view.ground, level]
    run.x = view.eye[0] * finer - 128.0
    run.y = view.eye[1] * finer - 128.0
    run.above = view.above * finer * 256.0 / resolution
    run.least = view.above / _HORIZON
    return run


@wp.func
def ray_of_tap(
    view: CameraView, row: wp.int32, column: wp.int32, tap: wp.int32, taps: wp.int32, size: wp.vec2i
) -> wp.vec2:
    """Return the slopes to the right and down of the ray of one tap of a pixel.

    Args:
        view: The eye.
        row: The pixel's row.
        column: Its column.
        tap: Which of the taps down the pixel.
        taps: How many there are.
        size: Rows and columns of the frame.
    """
    share = (wp.float32(tap) + 0.5) / wp.float32(taps)
    return wp.vec2(
        pixel_slope(wp.float32(column) + 0.5, size[1], view.step),
        pixel_slope(wp.float32(row) + share, size[0], view.step),
    )


@wp.func
def byte_of_paint(paint: wp.uint64, channel: wp.int32) -> wp.int32:
    """Return a channel of the colour that a wall's pixel holds; see `draw_walls`."""
    return wp.int32((paint >> wp.uint64(8 * channel)) & wp.uint64(255))


@wp.func
def take_paint(
    paint: wp.array4d[wp.uint64], car: wp.int32, eye: wp.int32, i: wp.int32, j: wp.int32
) -> wp.uint64:
    """Return what walls painted on a pixel, 0 for nothing, and clear it for the next frame.

    Args:
        paint: The z-buffers (n, eyes, H, W); empty without walls.
        car: Index of the car.
        eye: Index of the eye.
        i: The pixel's row.
        j: Its column.
    """
    found = _NOTHING
    if paint.shape[0] > 0:
        found = paint[car, eye, i, j]
        if found != _NOTHING:
            paint[car, eye, i, j] = _NOTHING
    return found


@wp.kernel
def draw_grey_ground(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    views: wp.array2d[CameraView],
    ground: GroundTable,
    paint: wp.array4d[wp.uint64],
    pixels: wp.int32,
    texels: wp.array[wp.uint32],
    sky: wp.int32,
    out: wp.array4d[wp.uint8],
):
    """Draw the ground in grey where no wall is, each eye in its channel.

    The threads are (cars, eyes, rows, `ROW_PARTS` x runs of a part).

    Args:
        mask, frames, views: As `aim_cameras` leaves them.
        ground, texels: The textures.
        paint: The z-buffers (n, eyes, H, W), cleared here; empty without walls.
        pixels: Most pixels of a run.
        sky: The sky's byte.
        out: The frames, (n, H, W, eyes).
    """
    car, eye, i, k = wp.tid()
    if mask[car] == 0 or frames[car].is_dropped == 1:
        return
    size = wp.vec2i(out.shape[1], out.shape[2])
    view = views[car, eye]
    run = run_of_thread(view, ground, i, k, pixels, size[0], size[1])
    for j in range(run.first, run.last):
        total = wp.int32(0)
        painted = take_paint(paint, car, eye, i, j)
        if painted != _NOTHING:
            total = byte_of_paint(painted, 0) << (run.taps - 1)
        else:
            for tap in range(run.taps):
                ray = ray_of_tap(view, i, j, tap, run.taps, size)
                hit = meet_ground(view, run, ray[0], ray[1])
                if hit.index < wp.int64(0):
                    total += sky
                else:
                    total += blended_texel(texels[hit.index], hit)
        out[car, i, j, eye] = wp.uint8(total >> (run.taps - 1))


@wp.kernel
def draw_coloured_ground(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    views: wp.array2d[CameraView],
    ground: GroundTable,
    paint: wp.array4d[wp.uint64],
    pixels: wp.int32,
    red: wp.array[wp.uint32],
    green: wp.array[wp.uint32],
    blue: wp.array[wp.uint32],
    sky: wp.vec3i,
    episodes: wp.array[CameraEpisode],
    is_grey: wp.int32,
    out: wp.array4d[wp.uint8],
):
    """Draw the ground in colour with its tint, or the grey of it, where no wall is.

    The threads are those of `draw_grey_ground`.

    Args:
        mask, frames, views, ground, paint, pixels: As there.
        red, green, blue: The textures of each channel.
        sky: The sky's bytes.
        episodes: Each car's tint.
        is_grey: 1 if the grey of the tinted colours is drawn.
        out: The frames, (n, H, W, C); each eye has its own channels.
    """
    car, eye, i, k = wp.tid()
    if mask[car] == 0 or frames[car].is_dropped == 1:
        return
    size = wp.vec2i(out.shape[1], out.shape[2])
    view, gains = views[car, eye], episodes[car].gains
    run = run_of_thread(view, ground, i, k, pixels, size[0], size[1])
    for j in range(run.first, run.last):
        total = wp.vec3i(0, 0, 0)
        painted = take_paint(paint, car, eye, i, j)
        if painted != _NOTHING:
            total = wp.vec3i(
                byte_of_paint(painted, 0) << (run.taps - 1),
                byte_of_paint(painted, 1) << (run.taps - 1),
                byte_of_paint(painted, 2) << (run.taps - 1),
            )
        else:
            for tap in range(run.taps):
                ray = ray_of_tap(view, i, j, tap, run.taps, size)
                hit = meet_ground(view, run, ray[0], ray[1])
                if hit.index < wp.int64(0):
                    total += sky
                else:
                    total += wp.vec3i(
                        blended_texel(red[hit.index], hit),
                        blended_texel(green[hit.index], hit),
                        blended_texel(blue[hit.index], hit),
                    )
        tinted = wp.vec3(
            tinted_byte(total[0] >> (run.taps - 1), gains[0]),
            tinted_byte(total[1] >> (run.taps - 1), gains[1]),
            tinted_byte(total[2] >> (run.taps - 1), gains[2]),
        )
        if is_grey == 1:
            out[car, i, j, eye] = wp.uint8(wp.dot(_LUMA, tinted) + 0.5)
        else:
            for c in range(3):
                out[car, i, j, 3 * eye + c] = wp.uint8(tinted[c])
