"""A fast renderer of the chase camera's view: the ground, shadows on it, and cars with a z-buffer.

The camera never rolls, so all pixels of a row see the ground at the same depth: a row of ground is
a straight line through the ground texture. Cars are drawn at twice the resolution in both
directions and averaged, which smooths their edges.

Pictures are (H, W, 4) uint8: red, green, blue and 255. Inside, a pixel is one uint32 with red in
its lowest byte.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from PIL import Image, ImageFilter

from racer.sensors.camera_ground import PYRAMID_LEVELS, GroundTexture, TexturePyramid
from racer.sensors.camera_objects import WallSegments, draw_depth, draw_face, make_z_buffer

CANVAS_HORIZON_M = 500.0
"""Distance at which the ground ends [m], just below the horizon."""
TEXELS_PER_SAMPLE = 1.5
"""Largest patch of ground that one sample may cover [texels] before a coarser level is used."""
EDGE_SMOOTHING_TEXELS = 0.8
"""Blur of the finest level [texels]; without it, edges close to the camera look like stairs."""
ROW_BLOCK_PX = 320
"""Pixels of a row drawn at a time, so that intermediate arrays stay in the processor's cache."""
ANISOTROPY_PER_SAMPLE = 5.0
"""Length over width of a pixel's patch of ground that one sample covers; longer ones need more."""
MAX_SAMPLES = 4
"""Maximum number of samples of one pixel."""
SHADE, SOFT = 0.62, 0.25
"""Share of the light that a shadow absorbs, and share of its size over which its edge fades."""


class Pinhole(NamedTuple):
    """A pinhole camera whose `right` axis is level.

    Attributes:
        eye: Position [m], (3,).
        axes: Unit vectors forward, right and down in the world, (3, 3).
        focal: Focal length [pixels].
    """

    eye: np.ndarray
    axes: np.ndarray
    focal: float

    def project(self, points: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels (k, 2) and depths [m] (k,) of world points (k, 3).

        Args:
            points: Points in the world [m], (k, 3).
            size: Width and height of the picture [pixels].
        """
        depth, right, down = self.axes @ (points - self.eye).T
        scale = self.focal / np.maximum(depth, 1e-3)
        return np.stack([right, down], axis=1) * scale[:, None] + np.array(size) / 2, depth

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Return world points (..., 3) in camera coordinates: forward, right and down [m]."""
        return (points - self.eye) @ self.axes.T


def ground_pyramid(scene: GroundTexture) -> TexturePyramid:
    """Return a ground texture's levels for `Canvas`: uint32 texels with red in the lowest byte."""
    packed = []
    finest = Image.fromarray(scene.rgb).filter(ImageFilter.GaussianBlur(EDGE_SMOOTHING_TEXELS))
    for level in (np.asarray(finest), *scene.levels[1:]):
        texels = np.zeros((*level.shape[:2], 4), dtype=np.uint8)
        texels[..., :3] = level
        packed.append(texels.view(np.uint32)[..., 0])
    return scene.stacked(packed)


class Canvas:
    """Draws pictures of one size: first a static background, then moving cars in front of it.

    Call `draw_background`, `draw_shadow` and `draw_faces` for every car, then `compose`.

    Args:
        width: Width of a picture [pixels].
        height: Height of a picture [pixels].
    """

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._back = make_z_buffer(height, width)
        self._solid, self._ghost = (make_z_buffer(2 * height, 2 * width) for _ in range(2))
        self._nothing = np.zeros(width, dtype=np.float32)
        self._has_ghosts = False

    def draw_background(
        self,
        camera: Pinhole,
        ground: TexturePyramid,
        boxes: np.ndarray,
        colours: np.ndarray,
        walls: WallSegments,
        picture: np.ndarray,
    ) -> None:
        """Draw the ground and all static objects; pixels above the horizon are left unchanged.

        Args:
            camera: The camera.
            ground: Texture of the ground, from `ground_pyramid`.
            boxes: Rows as in `SensorInput.boxes`, (k, 10).
            colours: Red, green and blue of each box, (k, 3) uint8.
            walls: The walls.
            picture: The picture, (H, W, 4) uint8; changed in place.
        """
        _clear_buffer(self._back)
        pixels = picture.view(np.uint32)[..., 0]
        _draw_ground(ground, camera.eye, camera.axes, camera.focal, pixels)
        draw_depth(*camera, boxes, colours, walls, self._back, 3)
        _copy_visible(self._back, pixels)

    def draw_shadow(
        self, camera: Pinhole, place: np.ndarray, yaw: float, half: np.ndarray, picture: np.ndarray
    ) -> None:
        """Draw the shadow of a rounded rectangle on the ground.

        Args:
            camera: The camera.
            place: Centre of the shadow [m], (2,).
            yaw: Direction of its length [rad].
            half: Half its length and half its width [m], (2,).
            picture: The picture, (H, W, 4) uint8; changed in place.
        """
        reach = 1.0 + SOFT
        corners = np.array([(a, b) for a in (-reach, reach) for b in (-reach, reach)]) * half
        cos, sin = np.cos(yaw), np.sin(yaw)
        world = np.zeros((4, 3))
        world[:, :2] = corners @ np.array([[cos, sin], [-sin, cos]]) + place
        pixels, depth = camera.project(world, self.size)
        if depth.min() < 0.05:
            return
        low = np.clip(np.floor(pixels.min(axis=0)), 0, self.size).astype(int).tolist()
        high = np.clip(np.ceil(pixels.max(axis=0)), 0, self.size).astype(int).tolist()
        pose = (place[0], place[1], cos, sin, half[0], half[1])
        bounds = (*low, *high)
        _draw_shadow(camera.eye, camera.axes, camera.focal, pose, bounds, self._back, picture)

    def draw_faces(
        self, camera: Pinhole, faces: np.ndarray, colours: np.ndarray, is_ghost: bool = False
    ) -> None:
        """Draw quadrilaterals into the z-buffer; `compose` copies them into a picture.

        Args:
            camera: The camera.
            faces: Corners in the world [m], (k, 4, 3).
            colours: Red in the lowest byte, then green and blue, (k,) int32.
            is_ghost: Whether the faces are half transparent.
        """
        buffer = self._ghost if is_ghost else self._solid
        self._has_ghosts |= is_ghost
        _draw_faces(buffer, camera.to_camera(faces), 2.0 * camera.focal, colours)

    def compose(self, picture: np.ndarray) -> None:
        """Copy all faces drawn so far into a picture of the background, and clear them.

        Args:
            picture: The picture, (H, W, 4) uint8; changed in place.
        """
        pixels = picture.view(np.uint32)[..., 0]
        if self._has_ghosts:
            _blend_ghosts(self._solid, self._ghost, pixels)
        _downsample(self._solid, self._back, self._nothing, pixels)
        _clear_buffer(self._solid)
        self._has_ghosts = False


def blend_over(layer: np.ndarray, corner: tuple[int, int], picture: np.ndarray) -> None:
    """Blend a layer over a picture by the layer's opacity; parts outside the picture are cut off.

    Args:
        layer: The layer, (h, w, 4) uint8: red, green, blue and opacity.
        corner: Column and row of its upper left corner [pixels].
        picture: The picture, (H, W, 4) uint8; changed in place.
    """
    (left, top), (high, wide) = corner, picture.shape[:2]
    rows = slice(max(-top, 0), max(min(layer.shape[0], high - top), 0))
    columns = slice(max(-left, 0), max(min(layer.shape[1], wide - left), 0))
    over = layer.view(np.uint32)[rows, columns, 0]
    low = slice(max(top, 0), max(top, 0) + over.shape[0])
    side = slice(max(left, 0), max(left, 0) + over.shape[1])
    _blend_layer(over, picture.view(np.uint32)[low, side, 0])


@njit(cache=True, error_model="numpy", nogil=True)
def _draw_ground(ground, eye, axes, focal, out):
    """Draw the ground into pixels (H, W) uint32, in several short loops that each vectorize."""
    height, width = out.shape
    index, weight = np.empty(ROW_BLOCK_PX, dtype=np.int32), np.empty(ROW_BLOCK_PX, dtype=np.uint32)
    quads, sums = (
        np.empty((4, ROW_BLOCK_PX), dtype=np.uint32),
        np.empty((2, ROW_BLOCK_PX), dtype=np.uint32),
    )
    opaque, pair, byte = np.uint32(0xFF000000), np.uint32(0x00FF00FF), np.uint32(0xFF)
    eight = np.uint32(8)
    for i in range(height):
        down = (i + 0.5 - 0.5 * height) / focal
        drop = -axes[0, 2] - down * axes[2, 2]
        if drop <= eye[2] / CANVAS_HORIZON_M:
            continue
        stretch = np.sqrt(1.0 + down * down) / drop
        halvings = 0
        while 1 << halvings < MAX_SAMPLES and stretch > ANISOTROPY_PER_SAMPLE * (1 << halvings):
            halvings += 1
        taps = 1 << halvings
        patch = eye[2] / (drop * focal * ground.resolution) * np.sqrt(max(stretch / taps, 1.0))
        level = 0
        while patch > TEXELS_PER_SAMPLE and level < PYRAMID_LEVELS - 1:
            patch *= 0.5
            level += 1
        for begin in range(0, width, ROW_BLOCK_PX):
            sums[:] = 0
            for tap in range(taps):
                row = (i + (tap + 0.5) / taps - 0.5 * height) / focal
                across = (begin + 0.5 - 0.5 * width) / focal
                _locate_texels(ground, level, eye, axes, focal, row, across, index, weight)
                start, columns = ground.start[level], ground.columns[level]
                _fetch_texels(ground.texels, start, columns, index, quads)
                for k in range(2):
                    _add_bilinear(quads[0], quads[1], quads[2], quads[3], weight, 8 * k, sums[k])
            shift = np.uint32(halvings)
            red_blue, green, line = sums[0], sums[1], out[i, begin:]
            for j in range(min(ROW_BLOCK_PX, line.shape[0])):
                rb = np.uint32(np.uint32(red_blue[j] >> shift) & pair)
                g = np.uint32(np.uint32(green[j] >> shift) & byte)
                line[j] = np.uint32(np.uint32(rb | np.uint32(g << eight)) | opaque)


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
def _locate_texels(ground, level, eye, axes, focal, row, across, index, weight):
    """Fill in the texel that each pixel of a row sees, and the offsets from the texel's centre.

    `index` gets the texel's index, `weight` the offsets in x and y, 8 bits each.
    """
    depth = eye[2] / max(-axes[0, 2] - row * axes[2, 2], eye[2] / CANVAS_HORIZON_M)
    scale = 256.0 / (ground.resolution * (1 << level))
    x = eye[0] + depth * (axes[0, 0] + row * axes[2, 0] + across * axes[1, 0]) - ground.origin[0]
    y = eye[1] + depth * (axes[0, 1] + row * axes[2, 1] + across * axes[1, 1]) - ground.origin[1]
    x0, y0 = np.float32(x * scale - 128.0), np.float32(y * scale - 128.0)
    dx = np.float32(depth * axes[1, 0] / focal * scale)
    dy = np.float32(depth * axes[1, 1] / focal * scale)
    columns = np.int32(ground.columns[level])
    last_column, last_row = np.int32(columns - 2), np.int32(ground.rows[level] - 2)
    zero, eight, byte = np.int32(0), np.int32(8), np.int32(255)
    for j in range(index.shape[0]):
        step = np.float32(j)
        u, v = np.int32(x0 + dx * step), np.int32(y0 + dy * step)
        c = min(max(np.int32(u >> eight), zero), last_column)
        r = min(max(np.int32(v >> eight), zero), last_row)
        index[j] = np.int32(np.int32(r * columns) + c)
        weight[j] = np.uint32(np.int32(u & byte) | np.int32(np.int32(v & byte) << eight))


@njit(cache=True, error_model="numpy", nogil=True)
def _fetch_texels(texels, start, columns, index, quads):
    """Fill in each pixel's texel and its right, upper and upper right neighbours."""
    first, second, third, fourth = quads
    for j in range(index.shape[0]):
        at = np.uint64(start + index[j])
        above = np.uint64(start + index[j] + columns)
        first[j], second[j] = texels[at], texels[at + np.uint64(1)]
        third[j], fourth[j] = texels[above], texels[above + np.uint64(1)]


@njit(cache=True, error_model="numpy", nogil=True)
def _add_bilinear(a, b, c, d, weight, shift, total):
    """Add the bilinear means of the bytes at bits `shift` and `shift` + 16 to `total`.

    It is called for each pair of bytes, because a loop over more arrays does not vectorize.
    """
    pair, byte = np.uint32(0x00FF00FF), np.uint32(0xFF)
    eight, full, half = np.uint32(8), np.uint32(256), np.uint32(0x00800080)
    shift = np.uint32(shift)
    for j in range(total.shape[0]):
        fu, fv = np.uint32(weight[j] & byte), np.uint32(np.uint32(weight[j] >> eight) & byte)
        both = np.uint32(np.uint32(fu * fv) >> eight)
        right, above = np.uint32(fu - both), np.uint32(fv - both)
        none = np.uint32(np.uint32(full - fu) - above)
        own = np.uint32(np.uint32(np.uint32(a[j] >> shift) & pair) * none)
        own = np.uint32(own + np.uint32(np.uint32(np.uint32(b[j] >> shift) & pair) * right))
        own = np.uint32(own + np.uint32(np.uint32(np.uint32(c[j] >> shift) & pair) * above))
        own = np.uint32(own + np.uint32(np.uint32(np.uint32(d[j] >> shift) & pair) * both))
        own = np.uint32(np.uint32(np.uint32(own + half) >> eight) & pair)
        total[j] = np.uint32(total[j] + own)


@njit(cache=True, error_model="numpy", nogil=True)
def _draw_shadow(eye, axes, focal, pose, bounds, back, out):
    height, width = out.shape[0], out.shape[1]
    x0, y0, cos, sin, long, wide = pose
    left, top, right, bottom = bounds
    outer, inner = (1.0 + SOFT) ** 4, (1.0 - SOFT) ** 4
    for i in range(top, bottom):
        down = (i + 0.5 - 0.5 * height) / focal
        drop = -axes[0, 2] - down * axes[2, 2]
        if drop <= 0.01:
            continue
        depth = eye[2] / drop
        is_bare = back.first[i] >= back.last[i]
        for j in range(left, right):
            if not is_bare and back.nearness[i, j] * depth > 1.0:
                continue
            across = (j + 0.5 - 0.5 * width) / focal
            x = eye[0] + depth * (axes[0, 0] + down * axes[2, 0] + across * axes[1, 0]) - x0
            y = eye[1] + depth * (axes[0, 1] + down * axes[2, 1] + across * axes[1, 1]) - y0
            a, b = (x * cos + y * sin) / long, (y * cos - x * sin) / wide
            share = min(max((outer - a * a * a * a - b * b * b * b) / (outer - inner), 0.0), 1.0)
            light = 1.0 - SHADE * share * share * (3.0 - 2.0 * share)
            for c in range(3):
                out[i, j, c] = np.uint8(out[i, j, c] * light)


@njit(cache=True, error_model="numpy", nogil=True)
def _draw_faces(z_buffer, faces, focal, colours):
    for k in range(faces.shape[0]):
        for corner in range(4):
            for axis in range(3):
                z_buffer.face[corner, axis] = faces[k, corner, axis]
        draw_face(z_buffer, focal, colours[k])


@njit(cache=True, error_model="numpy", nogil=True)
def _blend_ghosts(solid, ghost, out):
    """Mix the half transparent faces with the solid faces or picture behind, and clear them."""
    wide = ghost.paint.shape[1]
    half = np.int32(0x7F7F7F)
    for row in range(ghost.paint.shape[0]):
        first, last = ghost.first[row], ghost.last[row]
        if first >= last:
            continue
        if solid.first[row] >= solid.last[row]:
            solid.nearness[row] = 0.0
        solid.first[row], solid.last[row] = min(solid.first[row], first), max(solid.last[row], last)
        for column in range(first, last):
            near, other = ghost.nearness[row, column], solid.nearness[row, column]
            if near > other:
                behind = np.int32(out[row >> 1, column >> 1])
                behind = solid.paint[row, column] if other > 0.0 else behind
                mixed = ((behind >> 1) & half) + ((ghost.paint[row, column] >> 1) & half)
                solid.paint[row, column] = mixed
                solid.nearness[row, column] = near
        ghost.first[row], ghost.last[row] = wide, 0


@njit(cache=True, error_model="numpy", nogil=True)
def _clear_buffer(z_buffer):
    z_buffer.first[:] = z_buffer.paint.shape[1]
    z_buffer.last[:] = 0


@njit(cache=True, error_model="numpy", nogil=True)
def _copy_visible(z_buffer, out):
    """Copy the pixels of a z-buffer that something was drawn to."""
    opaque, nothing = np.uint32(0xFF000000), np.float32(0.0)
    for i in range(out.shape[0]):
        for j in range(z_buffer.first[i], z_buffer.last[i]):
            paint = np.uint32(np.uint32(z_buffer.paint[i, j]) | opaque)
            out[i, j] = paint if z_buffer.nearness[i, j] > nothing else out[i, j]


@njit(cache=True, error_model="numpy", nogil=True)
def _downsample(z_buffer, behind, nothing, out):
    """Average four samples per pixel: a face's if nearer than the background, else `out` itself."""
    for i in range(out.shape[0]):
        upper, lower = 2 * i, 2 * i + 1
        first = min(z_buffer.first[upper], z_buffer.first[lower])
        last = max(z_buffer.last[upper], z_buffer.last[lower])
        if first >= last:
            continue
        for row in (upper, lower):
            if z_buffer.first[row] >= z_buffer.last[row]:
                z_buffer.nearness[row] = 0.0
        begin, end = first // 2, (last + 1) // 2
        part = slice(2 * begin, 2 * end)
        far = behind.nearness[i] if behind.first[i] < behind.last[i] else nothing
        rows = z_buffer.nearness[upper, part], z_buffer.nearness[lower, part], far[begin:end]
        paint = z_buffer.paint[upper, part], z_buffer.paint[lower, part]
        _downsample_row(*rows, *paint, out[i, begin:end])


@njit(cache=True, error_model="numpy", nogil=True)
def _downsample_row(near_upper, near_lower, far, upper, lower, line):
    pair, byte, opaque = np.uint32(0x00FF00FF), np.uint32(0xFF), np.uint32(0xFF000000)
    eight, two, half = np.uint32(8), np.uint32(2), np.uint32(0x00020002)
    for j in range(line.shape[0]):
        ground, k = line[j], 2 * j
        a = np.uint32(upper[k]) if near_upper[k] > far[j] else ground
        b = np.uint32(upper[k + 1]) if near_upper[k + 1] > far[j] else ground
        c = np.uint32(lower[k]) if near_lower[k] > far[j] else ground
        d = np.uint32(lower[k + 1]) if near_lower[k + 1] > far[j] else ground
        rb = np.uint32(np.uint32(a & pair) + np.uint32(b & pair))
        rb = np.uint32(rb + np.uint32(np.uint32(c & pair) + np.uint32(d & pair)))
        g = np.uint32(np.uint32(np.uint32(a >> eight) & byte) + two)
        g = np.uint32(g + np.uint32(np.uint32(b >> eight) & byte))
        g = np.uint32(g + np.uint32(np.uint32(c >> eight) & byte))
        g = np.uint32(g + np.uint32(np.uint32(d >> eight) & byte))
        rb = np.uint32(np.uint32(np.uint32(rb + half) >> two) & pair)
        g = np.uint32(np.uint32(g >> two) << eight)
        line[j] = np.uint32(np.uint32(rb | g) | opaque)


@njit(cache=True, error_model="numpy", nogil=True)
def _blend_layer(layer, out):
    pair, byte, opaque = np.uint32(0x00FF00FF), np.uint32(0xFF), np.uint32(0xFF000000)
    eight, top, one, full = np.uint32(8), np.uint32(24), np.uint32(7), np.uint32(256)
    for i in range(layer.shape[0]):
        over, line = layer[i], out[i]
        for j in range(over.shape[0]):
            above, below = over[j], line[j]
            share = np.uint32(above >> top)
            share = np.uint32(share + np.uint32(share >> one))
            rest = np.uint32(full - share)
            rb = np.uint32(np.uint32(above & pair) * share)
            rb = np.uint32(rb + np.uint32(np.uint32(below & pair) * rest))
            g = np.uint32(np.uint32(np.uint32(above >> eight) & byte) * share)
            g = np.uint32(g + np.uint32(np.uint32(np.uint32(below >> eight) & byte) * rest))
            rb = np.uint32(np.uint32(rb >> eight) & pair)
            g = np.uint32(np.uint32(np.uint32(g >> eight) & byte) << eight)
            line[j] = np.uint32(np.uint32(rb | g) | opaque)


@njit(cache=True, error_model="numpy", nogil=True)
def to_yuv420p(picture, out):
    """Convert a picture to yuv420p (ITU-R BT.601).

    Args:
        picture: Pixels, (H, W) uint32.
        out: The three planes, (H * 3 // 2, W) uint8; filled in.
    """
    height, width = picture.shape
    byte, eight, sixteen = np.int32(255), np.int32(8), np.int32(16)
    for i in range(height):
        line, row = picture[i], out[i]
        for j in range(width):
            pixel = np.int32(line[j])
            r, g, b = pixel & byte, (pixel >> eight) & byte, (pixel >> sixteen) & byte
            luma = np.int32(66) * r + np.int32(129) * g + np.int32(25) * b + np.int32(4224)
            row[j] = np.uint8(np.int32(luma) >> eight)
    blue, red = out[height:].reshape(2, height // 2, width // 2)
    for i in range(height // 2):
        upper, lower, u, v = picture[2 * i], picture[2 * i + 1], blue[i], red[i]
        for j in range(width // 2):
            a, b = np.int32(upper[2 * j]), np.int32(upper[2 * j + 1])
            c, d = np.int32(lower[2 * j]), np.int32(lower[2 * j + 1])
            r = (a & byte) + (b & byte) + (c & byte) + (d & byte)
            g = ((a >> eight) & byte) + ((b >> eight) & byte)
            g += ((c >> eight) & byte) + ((d >> eight) & byte)
            e = ((a >> sixteen) & byte) + ((b >> sixteen) & byte)
            e += ((c >> sixteen) & byte) + ((d >> sixteen) & byte)
            u[j] = np.uint8((-38 * r - 74 * g + 112 * e + 131584) >> 10)
            v[j] = np.uint8((112 * r - 94 * g - 18 * e + 131584) >> 10)
