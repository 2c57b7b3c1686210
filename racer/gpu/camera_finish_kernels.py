# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportReturnType=false
"""Warp kernels that finish a camera's frame: blur, contrast, brightness, noise, and the stack.

This module is imported after `runtime.load_warp`.
"""

from __future__ import annotations

import warp as wp

from racer.gpu.camera_view_kernels import CameraEpisode
from racer.gpu.frame_kernels import PIXEL_NUMBERS, FrameState, counter_hash
from racer.gpu.runtime import PICTURE_OPTIONS
from racer.sensors.camera_noise import MIDDLE_GREY

wp.set_module_options(PICTURE_OPTIONS)

_GREY = wp.constant(wp.float32(MIDDLE_GREY))


@wp.func
def changed_byte(
    drawn: wp.array4d[wp.uint8],
    episode: CameraEpisode,
    normal: wp.float32,
    car: wp.int32,
    i: wp.int32,
    j: wp.int32,
    c: wp.int32,
) -> wp.uint8:
    """Return a pixel of a drawn frame with its blur, contrast, brightness and noise.

    Args:
        drawn: The frames, (n, H, W, C).
        episode: What changes the pixels.
        normal: A normally distributed number.
        car: Which car's frame it is.
        i: Its row.
        j: Its column.
        c: Its channel.
    """
    value = wp.float32(drawn[car, i, j, c])
    if episode.blur > 0.0:
        last_row, last_column = drawn.shape[1] - 1, drawn.shape[2] - 1
        around = wp.float32(drawn[car, wp.max(i - 1, 0), j, c])
        around += wp.float32(drawn[car, wp.min(i + 1, last_row), j, c])
        around += wp.float32(drawn[car, i, wp.max(j - 1, 0), c])
        around += wp.float32(drawn[car, i, wp.min(j + 1, last_column), c])
        value = (1.0 - episode.blur) * value + 0.25 * episode.blur * around
    value = episode.contrast * (value - _GREY) + episode.light + episode.noise * normal
    return wp.uint8(wp.clamp(value, 0.0, 255.0) + 0.5)


@wp.kernel
def finish_frames(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    episodes: wp.array[CameraEpisode],
    normals: wp.array[wp.float32],
    drawn: wp.array4d[wp.uint8],
    has_effects: wp.int32,
    stack: wp.int32,
    kept: wp.array4d[wp.uint8],
    pixels: wp.int32,
    out: wp.array4d[wp.uint8],
):
    """Change the pixels of drawn frames, and stack the last frames, the oldest first.

    The threads are (cars, rows, runs of a row). Frame f is kept in slot f modulo slots; there is
    one slot less than frames in a stack, but one at least where frames are dropped.

    Args:
        mask, frames, episodes: As `start_cameras` and `aim_cameras` leave them.
        normals: `NORMAL_NUMBERS`.
        drawn: The drawn frames, (n, H, W, C).
        has_effects: 1 if the draws may change pixels.
        stack: Frames in one observation.
        kept: The frames before this one, (slots x n, H, W, C).
        pixels: Pixels of a run.
        out: The observations, (n, H, W, C x stack).
    """
    car, i, k = wp.tid()
    if mask[car] == 0:
        return
    state = frames[car]
    cars, channels = mask.shape[0], drawn.shape[3]
    slots = kept.shape[0] // cars
    first, last = k * pixels, wp.min((k + 1) * pixels, drawn.shape[2])
    if state.frame > 0:
        for m in range(stack - 1):
            old = wp.max(state.frame - (stack - 1) + m, 0) % slots * cars + car
            for j in range(first, last):
                for c in range(channels):
                    out[car, i, j, m * channels + c] = kept[old, i, j, c]
    now, before = wp.int32(0), wp.int32(0)
    if slots > 0:
        now = state.frame % slots * cars + car
        before = (state.frame + slots - 1) % slots * cars + car
    for c in range(channels):
        place = wp.int32(0)
        if has_effects == 1 and state.is_dropped == 0:
            number = wp.uint64(c * drawn.shape[1] + i)
            bits = counter_hash(state.seed + PIXEL_NUMBERS, state.frame, number)
            place = wp.int32(bits >> wp.uint64(48))
        for j in range(first, last):
            byte = wp.uint8(0)
            if state.is_dropped == 1:
                byte = kept[before, i, j, c]
            elif has_effects == 1:
                byte = changed_byte(drawn, episodes[car], normals[place + j], car, i, j, c)
            else:
                byte = drawn[car, i, j, c]
            if state.frame == 0:
                for m in range(stack - 1):
                    out[car, i, j, m * channels + c] = byte
            out[car, i, j, (stack - 1) * channels + c] = byte
            if slots > 0:
                kept[now, i, j, c] = byte
