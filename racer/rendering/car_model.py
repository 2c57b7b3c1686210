"""A car's model of coloured quadrilaterals, and the liveries of the cars in a race."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from racer.car.spec import CarSpec

GLASS, TYRE, RIM = (32, 40, 52), (28, 28, 30), (188, 192, 198)
WING, LAMP, HEADLIGHT = (30, 32, 38), (255, 70, 60), (250, 246, 220)
CAR_LIGHT_DIRECTION = np.array([0.35, 0.45, 0.82])
CAR_AMBIENT_SHARE = 0.66
"""Share of its colour that a face turned away from the light keeps."""

LIVERY_COLOURS = (
    (226, 61, 40),
    (66, 170, 238),
    (246, 214, 50),
    (130, 95, 245),
    (238, 238, 234),
    (20, 40, 150),
    (200, 120, 160),
    (110, 8, 40),
)
"""Body colours that colour-blind people can tell apart too, the first ones best."""
STRIPE_COLOURS = ((245, 240, 230), (24, 26, 30), (246, 150, 20))
"""Stripe colours; each further one repeats all body colours."""

# Side view of the body from the nose over the roof to the tail: x as a share of its length, z as
# height over the road [m], and the half width there as a share of its width.
BODY_PROFILE = (
    (0.50, 0.040, 0.36),
    (0.49, 0.062, 0.38),
    (0.20, 0.088, 0.42),
    (0.06, 0.128, 0.30),
    (-0.20, 0.132, 0.29),
    (-0.36, 0.098, 0.42),
    (-0.49, 0.094, 0.41),
    (-0.50, 0.040, 0.38),
)
FLOOR_HEIGHT_M = 0.040
"""Height of the body's lower edge over the road [m]."""
WHEEL_CORNERS = 14
"""Number of corners of a wheel's disc."""

Colour = tuple[int, int, int]


class Livery(NamedTuple):
    """Colours of a car."""

    body: Colour
    stripe: Colour


def livery(number: int) -> Livery:
    """Return the livery of a car by its number in the race, from 0; the first 24 all differ.

    Example:
        >>> livery(0)
        Livery(body=(226, 61, 40), stripe=(245, 240, 230))
    """
    repeat, place = divmod(number, len(LIVERY_COLOURS))
    is_pale = sum(LIVERY_COLOURS[place]) > 700  # A pale stripe would be invisible on it.
    return Livery(LIVERY_COLOURS[place], STRIPE_COLOURS[(repeat + is_pale) % len(STRIPE_COLOURS)])


class CarModel:
    """A three-dimensional model of a car.

    Attributes:
        half: Half length and half width of its shadow [m], (2,).

    Args:
        spec: The car.
        colours: Its livery.
    """

    def __init__(self, spec: CarSpec, colours: Livery) -> None:
        wheels = [
            np.array([x, y, spec.wheel_radius])
            for x in (-spec.to_rear_axle, spec.to_front_axle)
            for y in (spec.tread / 2, -spec.tread / 2)
        ]
        middle = np.array([0.0, 0.0, (BODY_PROFILE[0][1] + BODY_PROFILE[4][1]) / 2])
        parts = [(_body(spec, colours), middle), *((_wheel(hub), hub) for hub in wheels)]
        shapes = [
            (_outward(corners, hub), colour) for part, hub in parts for corners, colour in part
        ]
        closed = len(shapes)
        shapes += _wing(spec)
        self._corners = np.array([corners for corners, _ in shapes])
        self._corners[..., 2] -= spec.mass_height
        self._paint = np.array([colour for _, colour in shapes], dtype=float)
        self._is_flat = np.arange(len(shapes)) >= closed
        each = len(parts[-1][0])
        self._steered = slice(closed - 2 * each, closed)
        self._hubs = np.repeat(wheels[2:], each, axis=0)[:, None] - (0.0, 0.0, spec.mass_height)
        self.half = np.array([0.5 * spec.body_length, 0.52 * spec.body_width])

    def parts(self) -> dict[str, Any]:
        """Return the model for another renderer, as JSON values.

        `faces` holds the corners of quadrilaterals [m], (k, 4, 3), in the car's frame around the
        centre of mass; `colours` their colours, (k, 3); `steered` the first and last index of
        those of each front wheel, and `hubs` the points that those turn around.
        """
        first, last = self._steered.start, self._steered.stop
        middle = (first + last) // 2
        return {
            "faces": self._corners.round(4).tolist(),
            "colours": self._paint.astype(int).tolist(),
            "steered": [[first, middle], [middle, last]],
            "hubs": self._hubs[:: middle - first, 0].round(4).tolist(),
        }

    def faces(
        self, body: np.ndarray, steering: float, eye: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the lit faces that are visible from a point, for `Canvas.draw_faces`.

        Args:
            body: The car's body row, (13,): see `racer.world.CarState`.
            steering: Angle of its front wheels [rad].
            eye: Position of the camera [m], (3,).

        Returns:
            Corners in the world [m], (k, 4, 3), and colours (k,) int32.
        """
        corners = self._corners.copy()
        cos, sin = np.cos(steering), np.sin(steering)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        corners[self._steered] = (corners[self._steered] - self._hubs) @ turn.T + self._hubs
        world = corners @ Rotation.from_quat(body[3:7]).as_matrix().T + body[:3]
        normals = _normals(world)
        towards = np.sum(normals * (eye - world[:, 0]), axis=1)
        normals[self._is_flat] *= np.sign(towards[self._is_flat, None])
        is_visible = (towards > 0.0) | self._is_flat
        light = CAR_AMBIENT_SHARE + (1.0 - CAR_AMBIENT_SHARE) * np.maximum(
            normals[is_visible] @ CAR_LIGHT_DIRECTION, 0.0
        )
        red, green, blue = np.rint(light[:, None] * self._paint[is_visible]).astype(np.int32).T
        return world[is_visible], red | (green << 8) | (blue << 16)


Shape = tuple[np.ndarray, Colour]
"""Corners of a face [m], (4, 3), in the car's frame over the road, and its colour."""


def _normals(faces: np.ndarray) -> np.ndarray:
    """Return the unit normals (..., 3) of quadrilaterals (..., 4, 3)."""
    normals = np.cross(faces[..., 1, :] - faces[..., 0, :], faces[..., 3, :] - faces[..., 0, :])
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def _outward(corners: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return a face's corners in the order whose normal points away from a part's middle."""
    away = _normals(corners) @ (corners.mean(axis=0) - middle)
    return corners if away > 0.0 else corners[[0, 3, 2, 1]]


def _body(spec: CarSpec, colours: Livery) -> list[Shape]:
    """Return the body with its stripe, windows and lamps."""
    x, z, w = np.array(BODY_PROFILE).T
    x, w = x * spec.body_length, w * spec.body_width
    sides = [np.stack([x, side * w, z], axis=1) for side in (1.0, -1.0)]
    shapes: list[Shape] = []
    for i in range(len(x) - 1):
        top = np.array([sides[0][i], sides[0][i + 1], sides[1][i + 1], sides[1][i]])
        shapes.append((top, GLASS if i in (2, 4) else colours.body))
        if i in (1, 3, 5):
            band = top * (1.0, 0.3, 1.0)
            band[:, 2] += 0.002
            shapes.append((band, colours.stripe))
        for side in sides:
            low = side[[i + 1, i]] * (1.0, 1.0, 0.0) + (0.0, 0.0, FLOOR_HEIGHT_M)
            shapes.append((np.array([side[i], side[i + 1], *low]), colours.body))
    for sign in (1.0, -1.0):
        window = ((0.14, 0.417, 0.094), (0.05, 0.327, 0.121), (-0.19, 0.322, 0.124))
        pane = np.array([*window, (-0.31, 0.42, 0.1)])
        shapes.append((pane * (spec.body_length, sign * spec.body_width, 1.0), GLASS))
        for end, inner, outer, low, high, colour in (
            (-0.506, 0.2, 0.36, 0.07, 0.086, LAMP),
            (0.501, 0.2, 0.34, 0.046, 0.058, HEADLIGHT),
        ):
            corners = ((end, inner, low), (end, outer, low), (end, outer, high), (end, inner, high))
            lamp = np.array(corners) * (spec.body_length, sign * spec.body_width, 1.0)
            shapes.append((lamp, colour))
    return shapes


def _wing(spec: CarSpec) -> list[Shape]:
    """Return the rear wing and its posts, which are visible from both sides."""
    tail, half = -0.5 * spec.body_length, 0.45 * spec.body_width
    plate = np.array([(0.02, half), (0.02, -half), (-0.035, -half), (-0.035, half)])
    corners = np.column_stack([plate[:, 0] + tail, plate[:, 1], [0.138, 0.138, 0.15, 0.15]])
    posts = [
        np.array(
            [(tail, y, 0.09), (tail, y + 0.012, 0.09), (tail, y + 0.012, 0.14), (tail, y, 0.14)]
        )
        for y in (-0.05, 0.038)
    ]
    return [(corners, WING), *((post, WING) for post in posts)]


def _wheel(centre: np.ndarray) -> list[Shape]:
    """Return a wheel; its radius is the height of its centre over the road."""
    turn = np.linspace(0, 2 * np.pi, WHEEL_CORNERS + 1)[:-1]
    ring = np.stack([np.cos(turn), np.zeros_like(turn), np.sin(turn)], axis=1)
    out, radius = np.array([0.0, np.sign(centre[1]), 0.0]), centre[2]
    rims = [centre + radius * ring + 0.016 * side * out for side in (-1, 1)]
    after = np.roll(np.arange(WHEEL_CORNERS), -1)
    shapes: list[Shape] = [
        (np.array([rims[0][i], rims[0][j], rims[1][j], rims[1][i]]), TYRE)
        for i, j in enumerate(after)
    ]
    hub = centre + 0.55 * radius * ring + 0.018 * out
    for disc, colour in ((rims[0], TYRE), (rims[1], TYRE), (hub, RIM)):
        shapes += [(disc[[0, i, i + 1, i + 2]], colour) for i in range(1, WHEEL_CORNERS - 2, 2)]
    return shapes
