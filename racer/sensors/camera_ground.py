"""The painted ground of a track, which every camera sees."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from racer.track import Track

TEXEL_SIZE_M = 0.005
"""Size of a texel of the finest level [m], unless the track is too large for it."""
MAX_TEXTURE_TEXELS = 4096
"""Largest length of a texture [texels]; a larger track gets larger texels."""
PYRAMID_LEVELS = 7
"""Levels of the pyramid; each has half the resolution of the one before."""
SUPERSAMPLING = 2
"""Edges are painted at this many times the resolution, then averaged."""
GRASS_MARGIN_WIDTHS = 1.5
"""Width of the striped grass around the road, in road widths; beyond it the grass is plain."""

ASPHALT_COLOUR = (56, 58, 63)
WHITE_COLOUR = (240, 240, 236)
CENTRE_LINE_COLOUR = (250, 170, 28)
GRASS_COLOUR = (66, 122, 58)
SKY_COLOUR = (158, 196, 230)
WALL_COLOURS = ((206, 44, 40), (236, 234, 228))
"""The two alternating colours of the walls on the borders."""

BORDER_LINE_SHARE = 0.055
"""Widths of lines and lengths of dashes are shares of the median road width: a road of 0.8 m has
border lines of 44 mm, and a road of any other size looks the same."""
CENTRE_LINE_SHARE = 0.035
DASH_SHARE = 0.25
START_SQUARE_SHARE = 0.09
START_STRIPE_SHARE = 0.9

LUMA_WEIGHTS = np.array([0.2989, 0.587, 0.114])
"""Weights of red, green and blue in grey."""


class TexturePyramid(NamedTuple):
    """A texture and its successive halvings, as the kernels read it.

    For `sensors.camera` it has one channel. A texel of four bytes holds its own byte and those of
    its right, upper and upper right neighbour, so that one 32-bit load brings all that bilinear
    sampling needs. The last texel is the sky.
    """

    texels: np.ndarray
    """The texels of every level, row after row, and what follows them, (M,) uint32."""
    start: np.ndarray
    """Index of each level's first texel, (LEVELS,) int64."""
    rows: np.ndarray
    """Number of rows of each level, (LEVELS,) int32."""
    columns: np.ndarray
    """Number of columns of each level, (LEVELS,) int32."""
    origin: np.ndarray
    """The corner of smallest x and y [m], (2,)."""
    resolution: float
    """Size of a texel of the first level [m]."""


@dataclass(frozen=True)
class GroundTexture:
    """The ground z = 0 as a picture; its outermost texels, and all beyond them, are plain grass.

    Attributes:
        origin: The corner of smallest x and y [m], (2,).
        resolution: Size of a texel [m].
        rgb: The ground, (rows, columns, 3) uint8; rows grow with y, columns with x.
    """

    origin: np.ndarray
    resolution: float
    rgb: np.ndarray

    @cached_property
    def grey(self) -> TexturePyramid:
        """The pyramid that a grey camera samples."""
        return self._pyramid(luma(self.rgb), int(luma(np.array(SKY_COLOUR))))

    @cached_property
    def colours(self) -> tuple[TexturePyramid, TexturePyramid, TexturePyramid]:
        """The pyramids that a colour camera samples: red, green and blue."""
        red, green, blue = (self._pyramid(self.rgb[..., k], SKY_COLOUR[k]) for k in range(3))
        return red, green, blue

    @cached_property
    def levels(self) -> list[np.ndarray]:
        """The picture and its halvings, each texel the mean of four, (rows, columns, 3) uint8."""
        return _halvings(self.rgb)

    def _pyramid(self, finest: np.ndarray, sky: int) -> TexturePyramid:
        """Return the pyramid of one channel (rows, columns) uint8 and the sky's value."""
        levels = _halvings(finest)
        plain = np.array([sky * 0x01010101], dtype=np.uint32)
        return self.stacked([_quads(level) for level in levels], plain)

    def stacked(self, levels: Sequence[np.ndarray], *rest: np.ndarray) -> TexturePyramid:
        """Return the texels of this ground's levels, one level after the other.

        Args:
            levels: The texels of each level, (rows, columns) uint32.
            *rest: What follows them, (k,) uint32.
        """
        start = np.concatenate([[0], np.cumsum([level.size for level in levels[:-1]])])
        rows, columns = np.array([level.shape for level in levels], dtype=np.int32).T.copy()
        flat = np.concatenate([*(level.ravel() for level in levels), *rest])
        return TexturePyramid(flat, start, rows, columns, self.origin, self.resolution)


_painted: list[tuple[weakref.ref[Track], GroundTexture]] = []


def ground_texture(track: Track) -> GroundTexture:
    """Return a track's painted ground; the last four are cached while their tracks live."""
    for owner, scene in _painted:
        if owner() is track:
            return scene
    scene = paint_ground(track)
    _remember(track, scene)
    return scene


def _remember(track: Track, scene: GroundTexture) -> None:
    alive = [entry for entry in _painted if entry[0]() is not None]
    _painted[:] = [(weakref.ref(track), scene), *alive[:3]]


def with_inner_line_moved(track: Track, shift: float) -> Track:
    """Return a track whose inner border, with its line and its wall, is moved into the road.

    Cameras see the same ground as before in every other place, to the texel.

    Args:
        track: The track.
        shift: How far the border is moved [m].
    """
    moved = _shifted(track, shift, is_outer_moved=False)
    _remember(moved, paint_ground(track, shift))
    return moved


def _shifted(track: Track, shift: float, is_outer_moved: bool) -> Track:
    """Return a track with its inner border, or both borders, moved from the inside to the outside.

    Args:
        track: The track.
        shift: How far a border is moved [m].
        is_outer_moved: Whether the outer border is moved as far in the same direction.
    """
    outwards = (track.left - track.right) / track.width[:, None] * shift
    if not track.is_clockwise:
        outwards = -outwards
    borders = {"left": track.left + outwards, "right": track.right + outwards}
    if not is_outer_moved:
        del borders["left" if track.is_clockwise else "right"]
    return replace(track, **borders)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Return the grey of RGB bytes (..., 3) as bytes (...), rounded."""
    return (rgb.astype(np.float32) @ LUMA_WEIGHTS.astype(np.float32) + 0.5).astype(np.uint8)


def paint_ground(track: Track, inner_line_shift: float = 0.0) -> GroundTexture:
    """Return the ground of a track: grass, road, borders, dashed centre line and start line.

    Args:
        track: The track.
        inner_line_shift: How far the inner border's line, and the road's edge, are moved into the
            road [m].
    """
    width = float(np.median(track.width))
    border = np.concatenate([track.left, track.right])
    low, high = (
        border.min(axis=0) - GRASS_MARGIN_WIDTHS * width,
        border.max(axis=0) + GRASS_MARGIN_WIDTHS * width,
    )
    resolution = max(TEXEL_SIZE_M, float((high - low).max()) / MAX_TEXTURE_TEXELS)
    # The size is a multiple of the coarsest level's texels, so that every level halves evenly.
    coarsest = 1 << (PYRAMID_LEVELS - 1)
    columns, rows = (np.ceil((high - low) / resolution / coarsest) * coarsest).astype(int)
    origin = (low + high - np.array([columns, rows]) * resolution) / 2

    size = (int(columns), int(rows))
    ground = _grass(size, round(START_STRIPE_SHARE * width / resolution), round(width / resolution))
    scale = SUPERSAMPLING / resolution

    def brush(polygons: list[tuple[np.ndarray, bool]]) -> Image.Image:
        mask = Image.new("L", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
        draw = ImageDraw.Draw(mask)
        for polygon, filled in polygons:
            draw.polygon(((polygon - origin) * scale - 0.5).ravel().tolist(), 255 * filled)
        return mask.reduce(SUPERSAMPLING)

    edges, inner = track, track
    if inner_line_shift:
        edges = _shifted(track, inner_line_shift, is_outer_moved=False)
        inner = _shifted(track, inner_line_shift, is_outer_moved=True)
    lines = (track, inner) if track.is_clockwise else (inner, track)
    ground.paste(_speckle(size, ASPHALT_COLOUR), mask=brush(_between(edges, 0.0, 1.0)))
    for line, side in zip(lines, (0.0, 1.0 - BORDER_LINE_SHARE)):
        ground.paste(WHITE_COLOUR, mask=brush(_between(line, side, side + BORDER_LINE_SHARE)))
    ground.paste(CENTRE_LINE_COLOUR, mask=brush([(dash, True) for dash in _dashes(track, width)]))
    whites, blacks = _start_line(track, width)
    ground.paste(WHITE_COLOUR, mask=brush([(square, True) for square in whites]))
    ground.paste((24, 24, 26), mask=brush([(square, True) for square in blacks]))
    return GroundTexture(origin, resolution, np.asarray(ground))


def _between(track: Track, first: float, last: float) -> list[tuple[np.ndarray, bool]]:
    """Return the polygons of a band of the road, and whether each is filled or cut out.

    Args:
        track: The road.
        first: Where the band begins, as a share of the way from the left border to the right one.
        last: Where it ends, as such a share.
    """
    rings = [track.left + share * (track.right - track.left) for share in (first, last)]
    rings.sort(key=lambda ring: -np.ptp(ring, axis=0).prod())
    return [(rings[0], True), (rings[1], False)]


def _dashes(track: Track, width: float) -> list[np.ndarray]:
    """Return the polygons of the centre line's dashes; a whole number of them fits the lap."""
    count = max(round(track.length / (2 * DASH_SHARE * width)), 1)
    period = track.length / count
    s = (np.arange(count)[:, None] + np.linspace(0.25, 0.75, 9)) * period
    loop = np.vstack([track.centre, track.centre[:1]])
    across = (track.left - track.right) / track.width[:, None]
    across = np.vstack([across, across[:1]]) * (CENTRE_LINE_SHARE * width / 2)
    left, right = (
        np.stack([np.interp(s, track.s, ring[:, axis]) for axis in (0, 1)], axis=-1)
        for ring in (loop + across, loop - across)
    )
    return list(np.concatenate([left, right[:, ::-1]], axis=1))


def _start_line(track: Track, width: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the white and the black squares, two rows centred on the start line."""
    left, right = track.left[0], track.right[0]
    count = max(round(float(track.width[0]) / (START_SQUARE_SHARE * width)), 2)
    step = (right - left) / count
    ahead = np.array([-step[1], step[0]])
    squares: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for row in (-1, 0):
        for column in range(count):
            corner = left + column * step + row * ahead
            square = np.array([corner, corner + step, corner + step + ahead, corner + ahead])
            squares[(row + column) % 2].append(square)
    return squares


def _grass(size: tuple[int, int], stripe: int, margin: int) -> Image.Image:
    """Return mown stripes that fade to plain grass before the edge.

    Args:
        size: Columns and rows [texels].
        stripe: Width of a stripe [texels].
        margin: Width of the fade [texels].
    """
    columns, rows = size
    across = np.add.outer(0.35 * np.arange(rows), np.arange(columns))
    light = _speckle(size, tuple(round(1.07 * value) for value in GRASS_COLOUR))
    ground = _speckle(size, tuple(round(0.95 * value) for value in GRASS_COLOUR))
    stripes = ((across // max(stripe, 1)) % 2 == 0).astype(np.uint8) * 255
    ground.paste(light, mask=Image.fromarray(stripes))
    rim = [np.minimum(np.arange(n), np.arange(n)[::-1]) for n in (rows, columns)]
    fade = np.clip(np.minimum.outer(*rim) / max(margin, 1) - 0.25, 0.0, 0.5) * 2 * 255
    plain = Image.new("RGB", size, GRASS_COLOUR)
    plain.paste(ground, mask=Image.fromarray(fade.astype(np.uint8)))
    return plain


def _speckle(size: tuple[int, int], colour: tuple[int, ...]) -> Image.Image:
    """Return a plain colour with a faint grain, the same each time."""
    grain = np.random.default_rng(5).normal(0.0, 3.0, (256, 256, 1))
    tile = np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)
    columns, rows = size
    tiled = np.tile(tile, (-(-rows // 256), -(-columns // 256), 1))
    return Image.fromarray(np.ascontiguousarray(tiled[:rows, :columns]))


def _halvings(level: np.ndarray) -> list[np.ndarray]:
    """Return a picture and its successive halvings, each texel the mean of four."""
    picture = Image.fromarray(np.ascontiguousarray(level))
    levels = [level]
    for _ in range(PYRAMID_LEVELS - 1):
        picture = picture.reduce(2)
        levels.append(np.asarray(picture))
    return levels


def _quads(level: np.ndarray) -> np.ndarray:
    """Return each byte with its right, upper and upper right neighbour in one 32-bit number."""
    wide = np.pad(level, ((0, 1), (0, 1)), mode="edge").astype(np.uint32)
    right, above = wide[:-1, 1:] << 8, wide[1:, :-1] << 16
    return wide[:-1, :-1] | right | above | (wide[1:, 1:] << 24)
