"""The car as coloured faces, seen from a pinhole camera and drawn back to front."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial.transform import Rotation

from racer.car.spec import CarSpec

PAINT, STRIPE, GLASS = (226, 61, 40), (245, 240, 230), (32, 40, 52)
TYRE, RIM, WING, LAMP = (28, 28, 30), (188, 192, 198), (30, 32, 38), (255, 70, 60)
LIGHT = np.array([0.35, 0.45, 0.82])
SMOOTHING = 2
"""The car is drawn this many times as large, then averaged."""
BLUR = 3
"""Radius of the shadow's edge [pixels]."""

# Side view of the body in shares of its length (x) and in heights over the road [m] (z), with the
# half width there in shares of its width, from the nose over the roof to the tail.
PROFILE = (
    (0.50, 0.040, 0.36),
    (0.49, 0.062, 0.38),
    (0.20, 0.088, 0.42),
    (0.06, 0.128, 0.30),
    (-0.20, 0.132, 0.29),
    (-0.36, 0.098, 0.42),
    (-0.49, 0.094, 0.41),
    (-0.50, 0.040, 0.38),
)


class Face(NamedTuple):
    """A flat polygon in the car's frame [m], (k, 3), and its colour."""

    corners: np.ndarray
    colour: tuple[int, int, int]


def faces(spec: CarSpec, steering: float) -> list[Face]:
    """The car's faces; the front wheels turned by `steering` [rad]."""
    shapes = _body(spec) + _wing(spec)
    half = spec.tread / 2
    for x, angle in ((spec.to_front_axle, steering), (-spec.to_rear_axle, 0.0)):
        for y in (half, -half):
            shapes += _wheel(spec, np.array([x, y, spec.wheel_radius]), angle)
    lift = np.array([0.0, 0.0, spec.mass_height])
    return [Face(corners - lift, colour) for corners, colour in shapes]


def _body(spec: CarSpec) -> list[Face]:
    x, z, w = np.array(PROFILE).T
    x, w = x * spec.body_length, w * spec.body_width
    left, right = np.stack([x, w, z], axis=1), np.stack([x, -w, z], axis=1)
    shapes = [Face(left, PAINT), Face(right[::-1], PAINT)]
    for i in range(len(x) - 1):
        top = np.array([left[i], left[i + 1], right[i + 1], right[i]])
        shapes.append(Face(top, GLASS if i in (2, 4) else PAINT))
        if i in (1, 3, 5):
            band = top * (1.0, 0.3, 1.0)
            band[:, 2] += 0.001
            shapes.append(Face(band, STRIPE))
    for side in (1.0, -1.0):
        window = [(0.14, 0.094, 0.415), (0.05, 0.121, 0.325), (-0.19, 0.124, 0.32)]
        window.append((-0.31, 0.1, 0.418))
        pane = np.array(
            [(a * spec.body_length, side * b * spec.body_width, c) for a, c, b in window]
        )
        shapes.append(Face(pane[:: int(side)], GLASS))
        lamp = [(-0.503, b, c) for b, c in ((0.2, 0.07), (0.36, 0.07), (0.36, 0.086), (0.2, 0.086))]
        light = np.array(
            [(a * spec.body_length, side * b * spec.body_width, c) for a, b, c in lamp]
        )
        shapes.append(Face(light[:: -int(side)], LAMP))
    return shapes


def _wing(spec: CarSpec) -> list[Face]:
    tail, half = -0.5 * spec.body_length, 0.45 * spec.body_width
    plate = np.array([(0.02, half), (0.02, -half), (-0.035, -half), (-0.035, half)])
    corners = np.column_stack([plate[:, 0] + tail, plate[:, 1], [0.138, 0.138, 0.15, 0.15]])
    posts = [
        np.array(
            [(tail, y, 0.09), (tail, y + 0.012, 0.09), (tail, y + 0.012, 0.14), (tail, y, 0.14)]
        )
        for y in (-0.05, 0.038)
    ]
    return [Face(corners[::-1], WING), Face(corners, WING), *(Face(post, WING) for post in posts)]


def _wheel(spec: CarSpec, centre: np.ndarray, steering: float) -> list[Face]:
    turn = np.linspace(0, 2 * np.pi, 15)[:-1]
    round_ = np.stack([np.cos(turn), np.zeros_like(turn), np.sin(turn)], axis=1)
    cos, sin = np.cos(steering), np.sin(steering)
    pose = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    out = np.array([0.0, np.sign(centre[1]), 0.0])
    shapes = []
    rims = [centre + (spec.wheel_radius * round_ + 0.016 * side * out) @ pose.T for side in (-1, 1)]
    for i in range(len(turn)):
        j = (i + 1) % len(turn)
        shapes.append(Face(np.array([rims[0][i], rims[0][j], rims[1][j], rims[1][i]]), TYRE))
    shapes.append(Face(rims[1], TYRE))
    shapes.append(Face(rims[0], TYRE))
    hub = centre + (0.55 * spec.wheel_radius * round_ + 0.017 * out) @ pose.T
    return [*shapes, Face(hub, RIM)]


class Pinhole(NamedTuple):
    """A camera: where it stands [m], its forward, right and down (3, 3), and its focal length."""

    eye: np.ndarray
    axes: np.ndarray
    focal: float

    def project(self, points: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (k, 2) and depths [m] (k,) of world points (k, 3) in a picture of `size`."""
        depth, right, down = self.axes @ (points - self.eye).T
        depth = np.maximum(depth, 1e-3)
        pixels = np.stack([right, down], axis=1) * (self.focal / depth)[:, None]
        return pixels + np.array(size) / 2, depth


def draw(
    picture: Image.Image, camera: Pinhole, spec: CarSpec, body: np.ndarray, steering: float
) -> None:
    """Draw the car and its shadow into a picture.

    Args:
        picture: RGB; changed in place.
        camera: The camera that took it.
        spec: The car.
        body: Its body row, (13,).
        steering: Angle of its front wheels [rad].
    """
    place, rotation = body[:3], Rotation.from_quat(body[3:7]).as_matrix()
    _shadow(picture, camera, spec, place, rotation)
    big = (picture.width * SMOOTHING, picture.height * SMOOTHING)
    camera = camera._replace(focal=camera.focal * SMOOTHING)
    shapes = faces(spec, steering)
    counts = [len(corners) for corners, _ in shapes]
    first = np.cumsum([0, *counts[:-1]])
    world = np.vstack([corners for corners, _ in shapes]) @ rotation.T + place
    pixels, depth = camera.project(world, big)
    distance = np.add.reduceat(depth, first) / counts
    shade = 0.66 + 0.34 * np.maximum(_normals(world, first, camera.eye) @ LIGHT, 0.0)
    paint = np.rint(shade[:, None] * [colour for _, colour in shapes]).astype(int)
    low = np.floor(pixels.min(axis=0) / SMOOTHING - 2).astype(int)
    high = np.ceil(pixels.max(axis=0) / SMOOTHING + 2).astype(int)
    width, height = np.clip(high - low, 1, 4000)
    layer = Image.new("RGBA", (int(width) * SMOOTHING, int(height) * SMOOTHING))
    pen, pixels = ImageDraw.Draw(layer), pixels - low * SMOOTHING
    for face in np.argsort(-distance, kind="stable"):
        outline = pixels[first[face] : first[face] + counts[face]]
        pen.polygon(outline.ravel().tolist(), fill=(*paint[face].tolist(), 255))
    layer = layer.reduce(SMOOTHING)
    picture.paste(layer, (int(low[0]), int(low[1])), layer)


def _normals(corners: np.ndarray, first: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Unit normals of the faces whose corners begin at `first`, (k, 3), towards the eye."""
    origin = corners[first]
    normals = np.cross(corners[first + 1] - origin, corners[first + 2] - origin)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    is_away = np.sum(normals * (eye - origin), axis=1, keepdims=True) < 0
    return np.where(is_away, -normals, normals)


def _shadow(
    picture: Image.Image, camera: Pinhole, spec: CarSpec, place: np.ndarray, rotation: np.ndarray
) -> None:
    angle = np.linspace(0, 2 * np.pi, 25)[:-1]
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rim = np.sign(rim) * np.abs(rim) ** 0.5 * (0.54 * spec.body_length, 0.56 * spec.body_width)
    ground = np.column_stack([rim, np.zeros(len(rim))]) @ rotation.T + place
    ground[:, 2] = 0.0
    pixels, _ = camera.project(ground, picture.size)
    low = np.floor(pixels.min(axis=0)).astype(int) - 4 * BLUR
    high = np.ceil(pixels.max(axis=0)).astype(int) + 4 * BLUR
    width, height = (high - low).tolist()
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon((pixels - low).ravel().tolist(), fill=150)
    corner = int(low[0]), int(low[1])
    picture.paste((12, 14, 16), corner, mask.filter(ImageFilter.GaussianBlur(BLUR)))
