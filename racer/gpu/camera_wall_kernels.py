# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportReturnType=false
"""Warp kernels that draw the walls in the z-buffers of cameras, as `sensors.camera_objects` does.

A thread draws a band of rows of one segment of a wall. A row of a wall is what lies between its
four edges, each a plane through the pinhole, so that a segment beside or behind the camera needs no
clipping. This module is imported after `runtime.load_warp`.
"""

from __future__ import annotations

import warp as wp

from racer.gpu.camera_view_kernels import CameraView
from racer.gpu.frame_kernels import FrameState
from racer.gpu.runtime import PICTURE_OPTIONS
from racer.sensors.camera_ground import LUMA_WEIGHTS
from racer.sensors.camera_objects import AMBIENT_SHARE, LIGHT_DIRECTION, NEAR_PLANE_M
from racer.world import WALL_HEIGHT_M

wp.set_module_options(PICTURE_OPTIONS)

_AMBIENT = wp.constant(wp.float32(AMBIENT_SHARE))
_LIGHT = wp.constant(wp.vec2(float(LIGHT_DIRECTION[0]), float(LIGHT_DIRECTION[1])))
_LUMA = wp.constant(wp.vec3(*(float(weight) for weight in LUMA_WEIGHTS)))
_NEAR = wp.constant(wp.float32(NEAR_PLANE_M))
_WALL_HEIGHT = wp.constant(wp.float32(WALL_HEIGHT_M))


@wp.struct
class WallFaces:
    """The walls of some tracks as upright rectangles on the ground, track after track."""

    ends: wp.array[wp.vec4]
    """Both ends of each segment's foot, x y x y [m], (m,)."""
    colours: wp.array[wp.vec3]
    """Red, green and blue of each segment, (m,)."""
    first: wp.array[wp.int32]
    """Index of each track's first segment, and last m, (tracks + 1,)."""


@wp.struct
class SeenFace:
    """A rectangle as a camera sees it; vectors are forward, right and down from the pinhole."""

    corner: wp.vec3
    """The first end of its foot [m]."""
    along: wp.vec3
    """From there to the other end [m]."""
    rise: wp.vec3
    """From its foot to its upper edge [m]."""
    nearness: wp.vec3
    """Product of this and a ray (1, right, down) is the reciprocal of its depth there [1/m]."""
    colour: wp.uint64
    """Its colour, red in the lowest byte; grey alone there."""


@wp.func
def in_camera(view: CameraView, x: wp.float32, y: wp.float32, z: wp.float32) -> wp.vec3:
    """Return a vector of the world in a camera's axes: forward, right and down.

    Args:
        view: The eye.
        x: The vector.
        y: Its second coordinate.
        z: Its third.
    """
    world = wp.vec3(x, y, z)
    return wp.vec3(wp.dot(view.forward, world), wp.dot(view.right, world), wp.dot(view.down, world))


@wp.func
def lit_colour(
    view: CameraView, ends: wp.vec4, colour: wp.vec3, is_coloured: wp.int32
) -> wp.uint64:
    """Return the colour of a wall's side that a camera sees, packed.

    Args:
        view: The eye.
        ends: The wall's ends.
        colour: Its colour.
        is_coloured: 1 for three bytes, 0 for the grey of them.
    """
    ex, ey = ends[2] - ends[0], ends[3] - ends[1]
    lit = (ex * _LIGHT[1] - ey * _LIGHT[0]) / wp.sqrt(ex * ex + ey * ey)
    if ex * (view.place[1] - ends[1]) - ey * (view.place[0] - ends[0]) <= 0.0:
        lit = -lit
    shown = (_AMBIENT + (1.0 - _AMBIENT) * wp.max(lit, 0.0)) * colour
    if is_coloured == 0:
        return wp.uint64(wp.dot(_LUMA, shown) + 0.5)
    packed = wp.uint64(shown[0] + 0.5) | (wp.uint64(shown[1] + 0.5) << wp.uint64(8))
    return packed | (wp.uint64(shown[2] + 0.5) << wp.uint64(16))


@wp.func
def is_beside_picture(face: SeenFace, half: wp.float32) -> wp.bool:
    """Return whether a face is all behind, left or right of the picture, `half` wide at 1 m."""
    behind, left, right = wp.int32(0), wp.int32(0), wp.int32(0)
    for c in range(4):
        corner = face.corner
        if c == 1 or c == 2:
            corner += face.along
        if c >= 2:
            corner += face.rise
        behind += wp.where(corner[0] < _NEAR, 1, 0)
        left += wp.where(corner[1] < -half * corner[0], 1, 0)
        right += wp.where(corner[1] > half * corner[0], 1, 0)
    return behind == 4 or left == 4 or right == 4


@wp.func
def cut_row(span: wp.vec2, edge: wp.vec3, side: wp.float32, down: wp.float32) -> wp.vec2:
    """Return the part of a row on the inner side of an edge: least and largest slope to the right.

    Args:
        span: The part so far.
        edge: Normal of the plane through the pinhole and the edge.
        side: 1 or -1, the sign that the product of `edge` and a ray has inside.
        down: The row's slope down.
    """
    constant, slope = side * (edge[0] + down * edge[2]), side * edge[1]
    if slope > 0.0:
        span[0] = wp.max(span[0], -constant / slope)
    elif slope < 0.0:
        span[1] = wp.min(span[1], -constant / slope)
    elif constant < 0.0:
        span[1] = span[0]
    return span


@wp.func
def rows_of_face(face: SeenFace, step: wp.float32, height: wp.int32) -> wp.vec2i:
    """Return the first row that a face can cover and the row after the last one.

    Args:
        face: The face.
        step: Difference of the slopes of neighbouring rows.
        height: Rows of the frame.
    """
    least, most = wp.float32(height), wp.float32(0.0)
    for c in range(4):
        corner = face.corner
        if c == 1 or c == 2:
            corner += face.along
        if c >= 2:
            corner += face.rise
        if corner[0] < _NEAR:
            # A part of it is behind the camera: every row is tried.
            least = 0.0
            most = wp.float32(height)
        else:
            row = corner[2] / (corner[0] * step) + 0.5 * wp.float32(height)
            least, most = wp.min(least, row), wp.max(most, row)
    # One row to spare at both ends, for rounding.
    least = wp.clamp(wp.floor(least) - 1.0, 0.0, wp.float32(height))
    most = wp.clamp(wp.ceil(most) + 1.0, 0.0, wp.float32(height))
    return wp.vec2i(wp.int32(least), wp.int32(most))


@wp.kernel
def draw_walls(
    mask: wp.array[wp.int32],
    frames: wp.array[FrameState],
    views: wp.array2d[CameraView],
    walls: WallFaces,
    is_coloured: wp.int32,
    bands: wp.int32,
    paint: wp.array4d[wp.uint64],
):
    """Draw each segment of the walls in the z-buffer of each eye.

    The threads are (cars, eyes, segments of the longest track, `bands`). A pixel of the z-buffer
    holds the reciprocal of the depth of what it sees, a float32, in its upper half, and the colour
    in its lower one, so that the largest number is what is nearest.

    Args:
        mask, frames, views: As `aim_cameras` leaves them.
        walls: The walls.
        is_coloured: 1 to draw in colour, 0 in grey.
        bands: Bands of rows, each drawn by a thread of its own.
        paint: The z-buffers, (n, eyes, H, W); 0 where nothing is.
    """
    car, eye, k, band = wp.tid()
    if mask[car] == 0 or frames[car].is_dropped == 1:
        return
    view = views[car, eye]
    segment = walls.first[view.ground] + k
    if segment >= walls.first[view.ground + 1]:
        return
    height, width = paint.shape[2], paint.shape[3]
    half = 0.5 * wp.float32(width) * view.step
    ends = walls.ends[segment]
    face = SeenFace()
    face.corner = in_camera(view, ends[0] - view.place[0], ends[1] - view.place[1], -view.place[2])
    face.along = in_camera(view, ends[2] - ends[0], ends[3] - ends[1], 0.0)
    face.rise = in_camera(view, 0.0, 0.0, _WALL_HEIGHT)
    if is_beside_picture(face, half):
        return
    normal = wp.cross(face.along, face.rise)
    distance = wp.dot(normal, face.corner)
    if distance == 0.0:
        return  # It is seen edge-on.
    face.nearness = normal / distance
    face.colour = lit_colour(view, ends, walls.colours[segment], is_coloured)
    side = wp.sign(distance)
    foot = wp.cross(face.corner, face.along)
    end = wp.cross(face.corner + face.along, face.rise)
    top = -wp.cross(face.corner + face.rise, face.along)
    start = -wp.cross(face.corner, face.rise)
    rows = rows_of_face(face, view.step, height)
    each = (rows[1] - rows[0] + bands - 1) // bands
    first = rows[0] + band * each
    for i in range(first, wp.min(first + each, rows[1])):
        down = (wp.float32(i) + 0.5 - 0.5 * wp.float32(height)) * view.step
        span = wp.vec2(-half, half)
        span = cut_row(span, foot, side, down)
        span = cut_row(span, end, side, down)
        span = cut_row(span, top, side, down)
        span = cut_row(span, start, side, down)
        # And no nearer than the near plane.
        nearest = wp.vec3(1.0 / _NEAR, 0.0, 0.0) - face.nearness
        span = cut_row(span, nearest, 1.0, down)
        if span[0] < span[1]:
            middle = 0.5 * wp.float32(width) - 0.5
            begin = wp.int32(wp.ceil(span[0] / view.step + middle))
            after = wp.int32(wp.ceil(span[1] / view.step + middle))
            for j in range(wp.max(begin, 0), wp.min(after, width)):
                right = (wp.float32(j) - middle) * view.step
                near = wp.dot(face.nearness, wp.vec3(1.0, right, down))
                if near > 0.0:
                    key = wp.uint64(wp.cast(near, wp.uint32)) << wp.uint64(32)
                    wp.atomic_max(paint, car, eye, i, j, key | face.colour)
