# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportReturnType=false
"""Warp kernels that mount and aim the cameras, in float64, as `sensors.camera` does.

This module is imported after `runtime.load_warp`.
"""

from __future__ import annotations

import warp as wp

from racer.gpu.frame_kernels import FrameState, first_frame, next_frame
from racer.gpu.runtime import PICTURE_OPTIONS
from racer.randomisation import DRAWN_QUANTITIES
from racer.sensors.camera import MAX_FIELD_OF_VIEW_RAD, MIN_CAMERA_HEIGHT_M
from racer.sensors.camera_noise import MIDDLE_GREY

wp.set_module_options(PICTURE_OPTIONS)

_COLUMN = {name: column for column, name in enumerate(DRAWN_QUANTITIES)}
_LEAST_HEIGHT = wp.constant(wp.float64(MIN_CAMERA_HEIGHT_M))
_MOST_FOV = wp.constant(wp.float64(MAX_FIELD_OF_VIEW_RAD))
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
    place: wp.vec3
    """Its place [m]."""
    eye: wp.vec2
    """The same from the texture's corner on [1/256 texels of the first level]."""
    above: wp.float32
    """Its height over the ground [m], never below `MIN_CAMERA_HEIGHT_M`."""
    step: wp.float32
    """Reciprocal of the focal length: difference of the slopes of neighbouring pixels' rays."""
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
    """Begin an episode of each car in the mask; one thread a car.

    Args:
        mask, seeds, draws: As in `GpuCamera.start`.
        pitch: Tilt down of the mount [rad].
        fov: Horizontal field of view [rad].
        width: Columns of a frame.
        episodes: What the draws change, filled here.
        frames: The states of the cars' frames, set to those before the first.
    """
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
    name: wp.uint64,
    frames: wp.array[FrameState],
    views: wp.array2d[CameraView],
):
    """Count a frame and find where each eye looks, in float64; one thread a car.

    Args:
        mask, poses, line: As in `GpuCamera.observe`.
        mounts: Positions of the eyes in the car's frame [m].
        ground: The textures.
        episodes, frames: As `start_cameras` leaves them.
        name: What keeps the drops of this sensor apart from others.
        views: Filled here, (n, eyes).
    """
    car = wp.tid()
    if mask[car] == 0:
        return
    frames[car] = next_frame(frames[car], name)
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
    view.step = wp.float32(one / episode.focal)
    view.ground = track
    for eye in range(mounts.shape[0]):
        place = wp.vec3d(poses[car, 0], poses[car, 1], poses[car, 2])
        place += in_world(mounts[eye] + episode.offset, ahead, left, up)
        view.place = rounded_vector(place)
        view.eye = wp.vec2(
            wp.float32((place[0] - ground.corner[track, 0]) * scale),
            wp.float32((place[1] - ground.corner[track, 1]) * scale),
        )
        view.above = wp.float32(wp.max(place[2], _LEAST_HEIGHT))
        views[car, eye] = view
