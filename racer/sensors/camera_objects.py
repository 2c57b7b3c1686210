"""Draw the objects on the ground, boxes and the walls on both borders, over a frame of the ground.

Every face is a convex polygon. At a pixel's centre the reciprocal of a face's depth is linear in
the pixel's column and row, so a z-buffer of the largest reciprocal shows the nearest face exactly,
in whatever order the faces are drawn. The ground is behind all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from racer.sensors.camera_ground import LUMA_WEIGHTS, WALL_COLOURS
from racer.track import Track
from racer.world import WALL_HEIGHT_M

WALL_STRIPE_M = 0.35
"""Approximate length over which a wall keeps one colour [m]; both colours occur equally often."""
NEAR_PLANE_M = 0.01
"""Depth along the camera's axis [m] below which nothing is seen."""
LIGHT_DIRECTION = np.array([0.36, 0.48, 0.8])
"""Unit vector towards the light."""
AMBIENT_SHARE = 0.7
"""Share of its colour that a face turned away from the light keeps."""
SEGMENTS_PER_CHUNK = 8
"""Segments of a wall that are skipped together if none of them can be in the picture."""
MAX_CLIPPED_CORNERS = 8
"""Room for the corners of a clipped face; a quadrilateral cut by the near plane has at most
five."""


class WallSegments(NamedTuple):
    """Walls as upright rectangles on the ground."""

    ends: np.ndarray
    """Both ends of each segment's foot, x y x y [m], (m, 4)."""
    colours: np.ndarray
    """Red, green and blue of each segment, (m, 3) uint8."""
    bounds: np.ndarray
    """Centre x, y and radius [m] of a circle around each `SEGMENTS_PER_CHUNK` segments, (k, 3)."""


class ZBuffer(NamedTuple):
    """The z-buffer of a frame, and scratch memory for a face; made once, used for many frames."""

    nearness: np.ndarray
    """Reciprocal of the depth of what a pixel sees [1/m], (H, W) float32; cleared when a row is
    drawn on."""
    paint: np.ndarray
    """Colour of what a pixel sees, red in the lowest byte, (H, W) int32."""
    first: np.ndarray
    """First column of each row that is drawn on, (H,) int64."""
    last: np.ndarray
    """The column after the last one that is drawn on, (H,) int64; not above `first` in an empty
    row."""
    low: np.ndarray
    """Where a face begins in each row [columns], (H,)."""
    high: np.ndarray
    """Where a face ends in each row [columns], (H,)."""
    face: np.ndarray
    """Corners of a face: forward, right and down from the pinhole [m], (CORNERS, 3)."""
    cut: np.ndarray
    """Its corners beyond the near plane, then their depth, column and row, (CORNERS, 3)."""
    arms: np.ndarray
    """Vectors from a box's centre to the middles of three of its faces, with axes as in `face`, (3,
    3)."""


def make_z_buffer(height: int, width: int) -> ZBuffer:
    """Return an empty z-buffer for frames of a size [pixels]."""
    return ZBuffer(
        np.zeros((height, width), dtype=np.float32),
        np.zeros((height, width), dtype=np.int32),
        np.full(height, width, dtype=np.int64),
        np.zeros(height, dtype=np.int64),
        np.full(height, np.inf),
        np.full(height, -np.inf),
        np.zeros((MAX_CLIPPED_CORNERS, 3)),
        np.zeros((MAX_CLIPPED_CORNERS, 3)),
        np.zeros((3, 3)),
    )


def wall_segments(track: Track | None) -> WallSegments:
    """Return the walls on both borders of a track, or no walls if there is no track."""
    sides = [] if track is None else [_striped(ring) for ring in (track.left, track.right)]
    ends = np.concatenate([side[0] for side in sides] or [np.zeros((0, 4))])
    colours = np.concatenate([side[1] for side in sides] or [np.zeros((0, 3), dtype=np.uint8)])
    bounds = [
        _bound(ends[k : k + SEGMENTS_PER_CHUNK]) for k in range(0, len(ends), SEGMENTS_PER_CHUNK)
    ]
    return WallSegments(ends, colours, np.array(bounds).reshape(-1, 3))


def _striped(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a ring cut at its points and where its colour changes: ends (m, 4), colours (m, 3)."""
    loop = np.vstack([ring, ring[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(loop, axis=0).T))])
    count = 2 * max(round(along[-1] / (2 * WALL_STRIPE_M)), 1)
    cuts = np.unique(np.concatenate([along, np.linspace(0.0, along[-1], count + 1)]))
    points = np.stack([np.interp(cuts, along, loop[:, axis]) for axis in (0, 1)], axis=1)
    middles = (cuts[1:] + cuts[:-1]) / 2
    stripe = (middles / along[-1] * count).astype(int) % 2
    return np.hstack([points[:-1], points[1:]]), np.array(WALL_COLOURS, dtype=np.uint8)[stripe]


def _bound(ends: np.ndarray) -> tuple[float, float, float]:
    """Return the centre x, y and the radius [m] of a circle around some segments (m, 4)."""
    points = ends.reshape(-1, 2)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    return (*centre.tolist(), float(np.hypot(*(points - centre).T).max()))


@njit(cache=True, error_model="numpy")
def draw_objects(cars, eyes, axes, focal, boxes, colours, walls, z_buffer, out, channel, channels):
    """Draw the boxes and walls that cars see over their frames of the ground.

    Args:
        cars: Indices of the cars whose frames are drawn, (k,).
        eyes: Positions of the pinholes [m], (n, 3).
        axes: Unit vectors forward, right and down in the world, the rows of (n, 3, 3).
        focal: Focal lengths [pixels], (n,).
        boxes: As in `SensorInput`, (n, m, 10).
        colours: As in `SensorInput`, (n, m, 3).
        walls: The walls.
        z_buffer: A z-buffer of the frames' size.
        out: The frames, (n, H, W, C) uint8.
        channel: The first of the channels that are drawn.
        channels: How many channels are drawn: 1 for grey, 3 for colour.
    """
    for k in cars:
        draw_depth(eyes[k], axes[k], focal[k], boxes[k], colours[k], walls, z_buffer, channels)
        _show(z_buffer, out[k], channel, channels)


@njit(cache=True, error_model="numpy")
def draw_depth(eye, axes, focal, boxes, colours, walls, z_buffer, channels):
    """Draw boxes and walls for one car in the z-buffer alone.

    Args:
        eye: Position of the pinhole [m], (3,).
        axes: Unit vectors forward, right and down in the world, the rows of (3, 3).
        focal: Focal length [pixels].
        boxes: Rows as in `SensorInput`, (m, 10).
        colours: Red, green and blue of each box, (m, 3).
        walls: The walls.
        z_buffer: The z-buffer to draw in.
        channels: 1 for grey, 3 for colour.
    """
    for box in range(boxes.shape[0]):
        if boxes[box, 7] > 0.0 and boxes[box, 8] > 0.0 and boxes[box, 9] > 0.0:
            _box(eye, axes, focal, boxes[box], colours[box], z_buffer, channels)
    for chunk in range(walls.bounds.shape[0]):
        _walls(eye, axes, focal, walls, chunk, z_buffer, channels)


@njit(cache=True, error_model="numpy")
def _is_out(z_buffer, focal, ahead, right, down, radius):
    """Return whether a sphere is outside the picture.

    Args:
        z_buffer: A z-buffer of the picture's size.
        focal: Focal length [pixels].
        ahead: Centre of the sphere, forward of the pinhole [m].
        right: To its right [m].
        down: Below it [m].
        radius: Radius of the sphere [m].
    """
    height, width = z_buffer.paint.shape
    wide, high = 0.5 * width / focal, 0.5 * height / focal
    return (
        ahead + radius < NEAR_PLANE_M
        or abs(right) - wide * ahead > radius * np.sqrt(1.0 + wide * wide)
        or abs(down) - high * ahead > radius * np.sqrt(1.0 + high * high)
    )


@njit(cache=True, error_model="numpy")
def _box(eye, axes, focal, box, colour, z_buffer, channels):
    """Draw the faces of one box that are turned to the pinhole; see `draw_depth`."""
    dx, dy, dz = box[0] - eye[0], box[1] - eye[1], box[2] - eye[2]
    centre = (
        axes[0, 0] * dx + axes[0, 1] * dy + axes[0, 2] * dz,
        axes[1, 0] * dx + axes[1, 1] * dy + axes[1, 2] * dz,
        axes[2, 0] * dx + axes[2, 1] * dy + axes[2, 2] * dz,
    )
    half = (box[7], box[8], box[9])
    radius = np.sqrt(half[0] * half[0] + half[1] * half[1] + half[2] * half[2])
    if _is_out(z_buffer, focal, centre[0], centre[1], centre[2], radius):
        return
    x, y, z, w = box[3], box[4], box[5], box[6]
    own = (
        (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)),
        (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)),
        (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)),
    )
    face, seen = z_buffer.face, z_buffer.arms
    for m in range(3):
        for i in range(3):
            seen[m, i] = (
                axes[i, 0] * own[m][0] + axes[i, 1] * own[m][1] + axes[i, 2] * own[m][2]
            ) * half[m]
    for m in range(3):
        p, q = (m + 1) % 3, (m + 2) % 3
        towards = seen[m, 0] * centre[0] + seen[m, 1] * centre[1] + seen[m, 2] * centre[2]
        side = -1.0 if towards > 0.0 else 1.0
        if side * towards + half[m] * half[m] >= 0.0:
            continue  # The pinhole is between this face's plane and that of the opposite face.
        for i in range(3):
            middle = centre[i] + side * seen[m, i]
            face[0, i] = middle + seen[p, i] + seen[q, i]
            face[1, i] = middle + seen[p, i] - seen[q, i]
            face[2, i] = middle - seen[p, i] - seen[q, i]
            face[3, i] = middle - seen[p, i] + seen[q, i]
        lit = side * (
            own[m][0] * LIGHT_DIRECTION[0]
            + own[m][1] * LIGHT_DIRECTION[1]
            + own[m][2] * LIGHT_DIRECTION[2]
        )
        draw_face(z_buffer, focal, _mix(colour, lit, channels))


@njit(cache=True, error_model="numpy")
def _walls(eye, axes, focal, walls, chunk, z_buffer, channels):
    """Draw one chunk of segments of the walls; see `draw_depth`."""
    bound, middle = walls.bounds[chunk], 0.5 * WALL_HEIGHT_M
    dx, dy, dz = bound[0] - eye[0], bound[1] - eye[1], middle - eye[2]
    ahead = axes[0, 0] * dx + axes[0, 1] * dy + axes[0, 2] * dz
    right = axes[1, 0] * dx + axes[1, 1] * dy + axes[1, 2] * dz
    down = axes[2, 0] * dx + axes[2, 1] * dy + axes[2, 2] * dz
    if _is_out(z_buffer, focal, ahead, right, down, np.sqrt(bound[2] * bound[2] + middle * middle)):
        return
    face = z_buffer.face
    for segment in range(
        chunk * SEGMENTS_PER_CHUNK, min((chunk + 1) * SEGMENTS_PER_CHUNK, walls.ends.shape[0])
    ):
        x0, y0, x1, y1 = walls.ends[segment]
        for i in range(3):
            base = -axes[i, 2] * eye[2]
            a = axes[i, 0] * (x0 - eye[0]) + axes[i, 1] * (y0 - eye[1]) + base
            b = axes[i, 0] * (x1 - eye[0]) + axes[i, 1] * (y1 - eye[1]) + base
            rise = axes[i, 2] * WALL_HEIGHT_M
            face[0, i], face[1, i], face[2, i], face[3, i] = a, b, b + rise, a + rise
        if _is_beside(face, focal, z_buffer.paint.shape[1]):
            continue
        ex, ey = x1 - x0, y1 - y0
        side = 1.0 if ex * (eye[1] - y0) - ey * (eye[0] - x0) > 0.0 else -1.0
        lit = (
            side * (-ey * LIGHT_DIRECTION[0] + ex * LIGHT_DIRECTION[1]) / np.sqrt(ex * ex + ey * ey)
        )
        draw_face(z_buffer, focal, _mix(walls.colours[segment], lit, channels))


@njit(cache=True, error_model="numpy")
def _is_beside(face, focal, width):
    """Return whether the four corners of a face are all behind, left or right of the picture."""
    wide = 0.5 * width / focal
    behind, left, right = True, True, True
    for c in range(4):
        behind &= face[c, 0] < NEAR_PLANE_M
        left &= face[c, 1] < -wide * face[c, 0]
        right &= face[c, 1] > wide * face[c, 0]
    return behind or left or right


@njit(cache=True, error_model="numpy")
def _mix(colour, lit, channels):
    """Return a face's colour in this light, packed into an int; grey is in the lowest byte."""
    share = AMBIENT_SHARE + (1.0 - AMBIENT_SHARE) * max(lit, 0.0)
    red, green, blue = share * colour[0], share * colour[1], share * colour[2]
    if channels == 1:
        return np.int32(
            LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue + 0.5
        )
    return np.int32(
        np.int32(red + 0.5) | (np.int32(green + 0.5) << 8) | (np.int32(blue + 0.5) << 16)
    )


@njit(cache=True, error_model="numpy")
def draw_face(z_buffer, focal, colour):
    """Draw the quadrilateral in the first four corners of `z_buffer.face`; both its sides are seen.

    Args:
        z_buffer: The z-buffer to draw in.
        focal: Focal length [pixels].
        colour: Its colour, packed.
    """
    face, cut = z_buffer.face, z_buffer.cut
    height, width = z_buffer.paint.shape
    ax, ay, az = face[1, 0] - face[0, 0], face[1, 1] - face[0, 1], face[1, 2] - face[0, 2]
    bx, by, bz = face[3, 0] - face[0, 0], face[3, 1] - face[0, 1], face[3, 2] - face[0, 2]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    # The plane is n . p = distance; it is seen edge-on where it contains the pinhole.
    distance = nx * face[0, 0] + ny * face[0, 1] + nz * face[0, 2]
    if distance == 0.0:
        return
    count = _clip(face, cut)
    for c in range(count):
        scale = focal / cut[c, 0]
        cut[c, 1] = cut[c, 1] * scale + 0.5 * width
        cut[c, 2] = cut[c, 2] * scale + 0.5 * height
    # The reciprocal depth of the plane is linear in column and row: its two slopes, and its value
    # at the centre of the first pixel.
    column, row = ny / (distance * focal), nz / (distance * focal)
    corner = nx / distance + (0.5 - 0.5 * width) * column + (0.5 - 0.5 * height) * row
    _fill(z_buffer, count, corner, column, row, colour)


@njit(cache=True, error_model="numpy")
def _clip(face, cut):
    """Fill `cut` with the part of a face beyond the near plane; return its number of corners."""
    count = 0
    for a in range(4):
        b = (a + 1) & 3
        depth, after = face[a, 0], face[b, 0]
        if depth >= NEAR_PLANE_M:
            for i in range(3):
                cut[count, i] = face[a, i]
            count += 1
        if (depth >= NEAR_PLANE_M) != (after >= NEAR_PLANE_M):
            # Always from the nearer end, so that two faces with this edge cut it at the same
            # point, bit for bit.
            near, far = (a, b) if depth < after else (b, a)
            t = (NEAR_PLANE_M - face[near, 0]) / (face[far, 0] - face[near, 0])
            cut[count, 0] = NEAR_PLANE_M
            for i in range(1, 3):
                cut[count, i] = face[near, i] + t * (face[far, i] - face[near, i])
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _fill(z_buffer, count, corner, column, row, colour):
    """Draw the pixels whose centres lie in a convex polygon, where nothing nearer is drawn yet.

    Args:
        z_buffer: Holds the corners of the polygon in `cut`, as columns and rows.
        count: Number of corners.
        corner: Reciprocal depth of the face at the centre of the first pixel [1/m].
        column: Change of the reciprocal depth from a column to the next [1/m].
        row: Change of it from a row to the next [1/m].
        colour: Its colour, packed.
    """
    nearness, paint, low, high = z_buffer.nearness, z_buffer.paint, z_buffer.low, z_buffer.high
    first, last, cut = z_buffer.first, z_buffer.last, z_buffer.cut
    height, width = paint.shape
    top, bottom = height, 0
    for a in range(count):
        b = a + 1 if a + 1 < count else 0
        upper, lower = (a, b) if cut[a, 2] < cut[b, 2] else (b, a)
        x, y = cut[upper, 1], cut[upper, 2]
        dx, dy = cut[lower, 1] - x, cut[lower, 2] - y
        begin, end = max(int(np.ceil(y - 0.5)), 0), min(int(np.ceil(y + dy - 0.5)), height)
        if begin >= end:
            continue
        top, bottom = min(top, begin), max(bottom, end)
        slope = dx / dy
        for i in range(begin, end):
            edge = x + (i + 0.5 - y) * slope
            low[i] = min(low[i], edge)
            high[i] = max(high[i], edge)
    slope = np.float32(column)
    for i in range(top, bottom):
        begin = int(np.ceil(max(low[i], 0.0) - 0.5))
        end = int(np.ceil(min(high[i], float(width)) - 0.5))
        low[i], high[i] = np.inf, -np.inf
        if begin >= end:
            continue
        # The first face in a row clears it, which is cheaper than clearing every row of a frame.
        if first[i] >= last[i]:
            for j in range(width):
                nearness[i, j] = 0.0
        first[i], last[i] = min(first[i], begin), max(last[i], end)
        near = np.float32(corner + begin * column + i * row)
        for j in range(begin, end):
            # Without a branch, so that the loop vectorizes.
            own, other = near + slope * np.float32(j - begin), nearness[i, j]
            is_nearer = own > other
            nearness[i, j] = own if is_nearer else other
            paint[i, j] = colour if is_nearer else paint[i, j]


@njit(cache=True, error_model="numpy")
def _show(z_buffer, out, channel, channels):
    """Copy what was drawn over the ground, and clear the z-buffer."""
    height, width = z_buffer.paint.shape
    for i in range(height):
        for c in range(channels):
            for j in range(z_buffer.first[i], z_buffer.last[i]):
                if z_buffer.nearness[i, j] > 0.0:
                    out[i, j, channel + c] = (z_buffer.paint[i, j] >> (8 * c)) & 255
        z_buffer.first[i], z_buffer.last[i] = width, 0
