# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportReturnType=false
"""Warp kernels of the camera: views, the ground, and what an episode's draw does to pixels.

They follow `sensors.camera`, `sensors.camera_ground` and `sensors.camera_noise` in float32. A
thread draws a run of neighbouring pixels of one row, so that what a row has in common is worked out
once. This module is imported after `runtime.load_warp`.
"""

from __future__ import annotations

import warp as wp

from racer.gpu.frame_kernels import FrameState, first_frame, next_frame
from racer.gpu.runtime import PICTURE_OPTIONS
from racer.randomisation import DRAWN_QUANTITIES
from racer.sensors.camera import (
    CAMERA_HORIZON_M,
    MAX_FIELD_OF_VIEW_RAD,
    MIN_CAMERA_HEIGHT_M,
    TEXELS_PER_PIXEL,
)
from racer.sensors.camera_ground import LUMA_WEIGHTS, PYRAMID_LEVELS
from racer.sensors.camera_noise import MIDDLE_GREY

wp.set_module_options(PICTURE_OPTIONS)

ROW_PARTS = 4
"""Parts of a row of a tilted camera, each of which has its own level of the pyramid."""
_COLUMN = {name: column for column, name in enumerate(DRAWN_QUANTITIES)}
_HORIZON = wp.constant(wp.float32(CAMERA_HORIZON_M))
_LEAST_HEIGHT = wp.constant(wp.float64(MIN_CAMERA_HEIGHT_M))
_MOST_FOV = wp.constant(wp.float64(MAX_FIELD_OF_VIEW_RAD))
_TEXELS_PER_PIXEL = wp.constant(wp.float32(TEXELS_PER_PIXEL))
_LAST_LEVEL = wp.constant(PYRAMID_LEVELS - 1)
_LUMA = wp.constant(wp.vec3(*(float(weight) for weight in LUMA_WEIGHTS)))
_GREY = wp.constant(wp.float32(MIDDLE_GREY))


@wp.struct
class CameraEpisode:
    """How the draw of one car's episode mounts its camera and changes its pixels."""

    offset: wp.vec3d
    """What the draw adds to the mount, in the car's frame [m]."""
    forward: wp.vec3d
    """The camera's axes in the car's frame, unit vectors."""
    right: wp.vec3d
    down: wp.vec3d
    focal: wp.float64
    """Focal length [pixels]."""
    gains: wp.vec3
    """Factors of red, green and blue."""
    blur: wp.float32
    """Weight of the four neighbours in each pixel."""
    contrast: wp.float32
    light: wp.float32
    """Brightness, from the middle grey on [levels of 255]."""
    noise: wp.float32
    """Standard deviation of each pixel [levels of 255]."""


@wp.struct
class CameraView:
    """Where one eye of one car is and where it looks, in the world."""

    forward: wp.vec3
    """The camera's axes, unit vectors."""
    right: wp.vec3
    down: wp.vec3
    eye: wp.vec2
    """Its place [1/256 texels of the first level] from the texture's corner."""
    above: wp.float32
    """Its height over the ground [m], never below `MIN_CAMERA_HEIGHT_M`."""
    focal: wp.float32
    """Focal length [pixels]."""
    ground: wp.int32
    """Index of the track whose ground it sees."""


@wp.struct
class GroundTable:
    """The textures of some tracks in one array, and where each level of each is."""

    start: wp.array2d[wp.int64]
    """Index of each level's first texel, (tracks, levels)."""
    rows: wp.array2d[wp.int32]
    """Rows of each level, (tracks, levels)."""
    columns: wp.array2d[wp.int32]
    """Columns of each level, (tracks, levels)."""
    corner: wp.array2d[wp.float64]
    """The corners of smallest x and y [m], (tracks, 2)."""
    resolution: wp.array[wp.float64]
    """Size of a texel of the first level [m], (tracks,)."""


@wp.struct
class GroundHit:
    """Where a ray meets the ground; a ray into the sky has the index -1."""

    index: wp.int64
    """Index of the texel in the array of all textures."""
    across: wp.uint32
    """How far past the texel's centre, in x [1/256 texel]."""
    along: wp.uint32
    """The same in y."""


@wp.kernel
def start_cameras(
    mask: wp.array[wp.int32],
    seeds: wp.array[wp.uint64],
    draws: wp.array2d[wp.float64],
    pitch: wp.float64,
    fov: wp.float64,
    width: wp.float64,
    episodes: wp.array[CameraEpisode],
    frames: wp.array[FrameState],
):
    """Begin an episode of each car in the mask; one thread a car."""
    car = wp.tid()
    if mask[car] == 0:
        return
    half, one, zero = wp.float64(0.5), wp.float64(1.0), wp.float64(0.0)
    yaw = draws[car, wp.static(_COLUMN["camera_yaw"])]
    tilt = pitch + draws[car, wp.static(_COLUMN["camera_pitch"])]
    roll = draws[car, wp.static(_COLUMN["camera_roll"])]
    ahead = wp.vec3d(wp.cos(yaw), wp.sin(yaw), zero)
    right = wp.vec3d(wp.sin(yaw), -wp.cos(yaw), zero)
    down = wp.vec3d(zero, zero, -one)
    forward = wp.cos(tilt) * ahead + wp.sin(tilt) * down
    down = wp.cos(tilt) * down - wp.sin(tilt) * ahead
    episode = CameraEpisode()
    episode.offset = wp.vec3d(
        draws[car, wp.static(_COLUMN["camera_forward"])],
        draws[car, wp.static(_COLUMN["camera_left"])],
        draws[car, wp.static(_COLUMN["camera_up"])],
    )
    episode.forward = forward
    episode.right = wp.cos(roll) * right + wp.sin(roll) * down
    episode.down = wp.cos(roll) * down - wp.sin(roll) * right
    angle = wp.min(fov * draws[car, wp.static(_COLUMN["field_of_view"])], _MOST_FOV)
    episode.focal = half * width / wp.tan(half * angle)
    episode.gains = wp.vec3(
        wp.float32(draws[car, wp.static(_COLUMN["red"])]),
        wp.float32(draws[car, wp.static(_COLUMN["green"])]),
        wp.float32(draws[car, wp.static(_COLUMN["blue"])]),
    )
    episode.blur = wp.float32(draws[car, wp.static(_COLUMN["blur"])])
    episode.contrast = wp.float32(draws[car, wp.static(_COLUMN["contrast"])])
    episode.light = wp.float32(draws[car, wp.static(_COLUMN["brightness"])]) + _GREY
    episode.noise = wp.float32(draws[car, wp.static(_COLUMN["pixel_noise"])])
    episodes[car] = episode
    chance = draws[car, wp.static(_COLUMN["dropped_frames"])]
    frames[car] = first_frame(seeds[car], chance)


@wp.func
def in_world(own: wp.vec3d, ahead: wp.vec3d, left: wp.vec3d, up: wp.vec3d) -> wp.vec3d:
    """Return a vector of the car's frame in the world.

    Args:
        own: The vector.
        ahead: The car's axes in the world, unit vectors.
        left: The second.
        up: The third.
    """
    return own[0] * ahead + own[1] * left + own[2] * up


@wp.func
def rounded_vector(wide: wp.vec3d) -> wp.vec3:
    """Return a vector in float32."""
    return wp.vec3(wp.float32(wide[0]), wp.float32(wide[1]), wp.float32(wide[2]))


@wp.kernel
def aim_cameras(
    mask: wp.array[wp.int32],
    poses: wp.array2d[wp.float64],
    line: wp.array[wp.int32],
    mounts: wp.array[wp.vec3d],
    ground: GroundTable,
    episodes: wp.array[CameraEpisode],
    place: wp.uint64,
    frames: wp.array[FrameState],
    views: wp.array2d[CameraView],
):
    """Count a frame and find where each eye looks, in float64; one thread a car."""
    car = wp.tid()
    if mask[car] == 0:
        return
    frames[car] = next_frame(frames[car], place)
    one, two = wp.float64(1.0), wp.float64(2.0)
    x, y, z, w = poses[car, 3], poses[car, 4], poses[car, 5], poses[car, 6]
    ahead = wp.vec3d(one - two * (y * y + z * z), two * (x * y + z * w), two * (x * z - y * w))
    left = wp.vec3d(two * (x * y - z * w), one - two * (x * x + z * z), two * (y * z + x * w))
    up = wp.vec3d(two * (x * z + y * w), two * (y * z - x * w), one - two * (x * x + y * y))
    episode = episodes[car]
    track = line[car] // 2
    scale = wp.float64(256.0) / ground.resolution[track]
    view = CameraView()
    view.forward = rounded_vector(in_world(episode.forward, ahead, left, up))
    view.right = rounded_vector(in_world(episode.right, ahead, left, up))
    view.down = rounded_vector(in_world(episode.down, ahead, left, up))
    view.focal = wp.float32(episode.focal)
    view.ground = track
    for eye in range(mounts.shape[0]):
        own = in_world(mounts[eye] + episode.offset, ahead, left, up)
        view.eye = wp.vec2(
            wp.float32((poses[car, 0] + own[0] - ground.corner[track, 0]) * scale),
            wp.float32((poses[car, 1] + own[1] - ground.corner[track, 1]) * scale),
        )
        view.above = wp.float32(wp.max(poses[car, 2] + own[2], _LEAST_HEIGHT))
        views[car, eye] = view


@wp.func
def pixel_slope(at: wp.float32, size: wp.int32, focal: wp.float32) -> wp.float32:
    """Return how far a ray goes across over 1 m along the camera's axis [m].

    Args:
        at: Place in the frame from its first edge on [pixels].
        size: Size of the frame [pixels].
        focal: Focal length [pixels].
    """
    return (at - 0.5 * wp.float32(size)) / focal


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
    down = pixel_slope(wp.float32(row) + 0.5, height, view.focal)
    across = pixel_slope(middle, width, view.focal)
    drop = -view.forward[2] - down * view.down[2] - across * view.right[2]
    drop = wp.max(drop, 0.2 / view.focal)
    length = wp.sqrt(1.0 + down * down + across * across)
    stretch = length / drop
    taps = 1
    if stretch >= 6.0:
        taps = 2
    share = wp.sqrt(stretch / wp.float32(taps))
    patch = length / (view.focal * resolution) * view.above / drop * share
    level = wp.int32(0)
    while patch > _TEXELS_PER_PIXEL and level < _LAST_LEVEL:
        patch *= 0.5
        level += 1
    return wp.vec2i(level, taps)


@wp.func
def meet_ground(
    view: CameraView,
    ground: GroundTable,
    scale: wp.float32,
    level: wp.int32,
    right: wp.float32,
    down: wp.float32,
) -> GroundHit:
    """Return where a pixel's ray meets the ground; no pose gives an index outside the textures.

    Args:
        view: The eye.
        ground: The textures.
        scale: 1/256 texels of the level per metre.
        level: The level of the pyramid.
        right: Slope of the ray to the right.
        down: Slope of the ray down.
    """
    hit = GroundHit()
    hit.index = wp.int64(-1)
    drop = -view.forward[2] - down * view.down[2] - right * view.right[2]
    least = view.above / _HORIZON
    if drop > least:
        t = view.above * scale / drop
        finer = 1.0 / wp.float32(1 << level)
        x = view.eye[0] * finer - 128.0
        y = view.eye[1] * finer - 128.0
        u = wp.int32(x + t * (view.forward[0] + down * view.down[0] + right * view.right[0]))
        v = wp.int32(y + t * (view.forward[1] + down * view.down[1] + right * view.right[1]))
        columns = ground.columns[view.ground, level]
        column = wp.clamp(u >> 8, 0, columns - 1)
        row = wp.clamp(v >> 8, 0, ground.rows[view.ground, level] - 1)
        hit.index = ground.start[view.ground, level] + wp.int64(row * columns + column)
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
def part_of_row(view: CameraView, row: wp.int32, part: wp.int32, height: wp.int32, width: wp.int32):
    """Return the first column of a part of a row, the column after it, and its level's middle.

    All of a level camera's row has the level of its middle.

    Args:
        view: The eye.
        row: The row.
        part: Which of `ROW_PARTS`.
        height: Rows of the frame.
        width: Columns of the frame.
    """
    first = part * width // ROW_PARTS
    last = (part + 1) * width // ROW_PARTS
    down = pixel_slope(wp.float32(row) + 0.5, height, view.focal)
    tilt = wp.abs(view.right[2]) * 0.5 * wp.float32(width) / view.focal
    middle = 0.5 * wp.float32(width)
    if tilt >= 0.5 * (-view.forward[2] - down * view.down[2]):
        middle = wp.float32(first) + 0.5 * wp.float32(last - first)
    return first, last, middle


@wp.kernel
def draw_grey_ground(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    views: wp.array2d[CameraView],
    ground: GroundTable,
    texels: wp.array[wp.uint32],
    sky: wp.int32,
    run: wp.int32,
    out: wp.array4d[wp.uint8],
):
    """Draw the ground in grey, each eye in its channel.

    The threads are (cars, eyes, rows, `ROW_PARTS` x runs of a part).
    """
    car, eye, i, k = wp.tid()
    if mask[car] == 0 or frames[car].is_dropped == 1:
        return
    height, width = out.shape[1], out.shape[2]
    runs = ((width + ROW_PARTS - 1) // ROW_PARTS + run - 1) // run
    view = views[car, eye]
    first, last, middle = part_of_row(view, i, k // runs, height, width)
    resolution = wp.float32(ground.resolution[view.ground])
    level_taps = row_filter(view, resolution, i, middle, height, width)
    level, taps = level_taps[0], level_taps[1]
    scale = 256.0 / (resolution * wp.float32(1 << level))
    begin = first + (k % runs) * run
    for j in range(begin, wp.min(begin + run, last)):
        right = pixel_slope(wp.float32(j) + 0.5, width, view.focal)
        total = wp.int32(0)
        for tap in range(taps):
            share = (wp.float32(tap) + 0.5) / wp.float32(taps)
            down = pixel_slope(wp.float32(i) + share, height, view.focal)
            hit = meet_ground(view, ground, scale, level, right, down)
            if hit.index < wp.int64(0):
                total += sky
            else:
                total += blended_texel(texels[hit.index], hit)
        out[car, i, j, eye] = wp.uint8(total >> (taps - 1))


@wp.kernel
def draw_coloured_ground(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    views: wp.array2d[CameraView],
    ground: GroundTable,
    red: wp.array[wp.uint32],
    green: wp.array[wp.uint32],
    blue: wp.array[wp.uint32],
    sky: wp.vec3i,
    episodes: wp.array[CameraEpisode],
    is_grey: wp.int32,
    run: wp.int32,
    out: wp.array4d[wp.uint8],
):
    """Draw the ground in colour with its tint, or the grey of it, each eye in its own channel.

    The threads are those of `draw_grey_ground`.
    """
    car, eye, i, k = wp.tid()
    if mask[car] == 0 or frames[car].is_dropped == 1:
        return
    height, width = out.shape[1], out.shape[2]
    runs = ((width + ROW_PARTS - 1) // ROW_PARTS + run - 1) // run
    view, gains = views[car, eye], episodes[car].gains
    first, last, middle = part_of_row(view, i, k // runs, height, width)
    resolution = wp.float32(ground.resolution[view.ground])
    level_taps = row_filter(view, resolution, i, middle, height, width)
    level, taps = level_taps[0], level_taps[1]
    scale = 256.0 / (resolution * wp.float32(1 << level))
    begin = first + (k % runs) * run
    for j in range(begin, wp.min(begin + run, last)):
        right = pixel_slope(wp.float32(j) + 0.5, width, view.focal)
        r, g, b = wp.int32(0), wp.int32(0), wp.int32(0)
        for tap in range(taps):
            share = (wp.float32(tap) + 0.5) / wp.float32(taps)
            down = pixel_slope(wp.float32(i) + share, height, view.focal)
            hit = meet_ground(view, ground, scale, level, right, down)
            if hit.index < wp.int64(0):
                r += sky[0]
                g += sky[1]
                b += sky[2]
            else:
                r += blended_texel(red[hit.index], hit)
                g += blended_texel(green[hit.index], hit)
                b += blended_texel(blue[hit.index], hit)
        tinted = wp.vec3(
            tinted_byte(r >> (taps - 1), gains[0]),
            tinted_byte(g >> (taps - 1), gains[1]),
            tinted_byte(b >> (taps - 1), gains[2]),
        )
        if is_grey == 1:
            out[car, i, j, eye] = wp.uint8(wp.dot(_LUMA, tinted) + 0.5)
        else:
            for c in range(3):
                out[car, i, j, 3 * eye + c] = wp.uint8(tinted[c])
