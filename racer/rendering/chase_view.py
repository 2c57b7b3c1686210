"""The chase view: a picture of the cars from a camera behind and above one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from racer.car.spec import CarSpec
from racer.rendering.canvas import Canvas, Pinhole, ground_pyramid
from racer.rendering.car_model import CarModel, Livery, livery
from racer.rendering.hud import NameTag
from racer.sensors.camera_ground import ground_texture
from racer.sensors.camera_objects import wall_segments
from racer.track import Track
from racer.world import yaw_of

BEHIND, ABOVE, AHEAD = 0.80, 0.42, 0.9
"""The camera's distance behind and above the car, and of the point ahead that it looks at [m]."""
CHASE_FOV_RAD = 1.15
"""Horizontal field of view of a 4:3 picture [rad]; a wider picture shows more at its sides."""
WIDE_PICTURE_GAIN = 0.5
"""Exponent with which the focal length grows with a picture's width beyond 4:3.

0 keeps the vertical field of view and 1 the horizontal one.
"""
NAME_HEIGHT_M = 0.19
"""Height of a name tag over the road [m]."""
ZENITH, HAZE = np.array([96, 150, 214]), np.array([222, 232, 240])

DEFAULT_LIVERY = livery(0)


@dataclass(frozen=True)
class DrawnCar:
    """A car in a picture.

    Attributes:
        body: Its body row, (13,): see `racer.world.CarState`.
        steering: Angle of its front wheels [rad].
        livery: Its colours.
        name: Text of the name tag over it; no tag if empty.
        is_ghost: Whether it is drawn half transparent, because it is waiting out a penalty.
    """

    body: np.ndarray
    steering: float
    livery: Livery = DEFAULT_LIVERY
    name: str = ""
    is_ghost: bool = False


def drawn_bots(rows: np.ndarray, spec: CarSpec, before: int = 1) -> list[DrawnCar]:
    """Return bot cars with names, in the liveries that follow those of the racing cars.

    Args:
        rows: Their rows as in `SensorInput.boxes`, (k, 10).
        spec: The car.
        before: Number of racing cars.
    """
    actors = []
    for number, row in enumerate(rows, 1):
        body = np.zeros(13)
        body[:7] = row[:7]
        body[2] = spec.mass_height
        actors.append(DrawnCar(body, 0.0, livery(before + number - 1), f"bot {number}"))
    return actors


class ChaseView:
    """Draws cars on their track, seen from behind and above one of them.

    Args:
        track: The track.
        spec: The car; all cars are the same.
        width: Width of a picture [pixels].
        height: Height of a picture [pixels].
        walls: Whether there are walls on the borders.
    """

    def __init__(
        self,
        track: Track,
        spec: CarSpec,
        width: int = 640,
        height: int = 480,
        walls: bool = False,
    ) -> None:
        self.size = (width, height)
        self._panels, self._canvas = wall_segments(track if walls else None), Canvas(width, height)
        self.spec, self._ground = spec, ground_pyramid(ground_texture(track))
        usual = height * 4 / 3
        self._focal = (
            usual * (max(width / usual, 1.0) ** WIDE_PICTURE_GAIN) / 2 / np.tan(CHASE_FOV_RAD / 2)
        )
        self._models: dict[Livery, CarModel] = {}
        self._still, self._last = self._sky(), ()

    def frame(
        self,
        body: np.ndarray,
        cars: Sequence[DrawnCar],
        boxes: np.ndarray | None = None,
        colours: np.ndarray | None = None,
        yaw: float | None = None,
    ) -> np.ndarray:
        """Return a picture, (height, width, 4) uint8: red, green, blue and 255.

        Args:
            body: Body row of the car that the camera follows, (13,).
            cars: All cars, including that one.
            boxes: Other objects on the road, rows as in `SensorInput.boxes`, (k, 10).
            colours: Red, green and blue of each object, (k, 3) uint8.
            yaw: Direction of the camera [rad]; the followed car's heading by default.

        Returns:
            A new array, which the caller may change.
        """
        camera = self.camera(body, yaw)
        if boxes is None or colours is None:
            boxes, colours = np.zeros((0, 10)), np.zeros((0, 3), dtype=np.uint8)
        picture = self._draw_background(camera, boxes, colours).copy()
        for car in cars:
            if not car.is_ghost:
                half, heading = self._model(car.livery).half, float(yaw_of(car.body))
                self._canvas.draw_shadow(camera, car.body[:2], heading, half, picture)
        for car in cars:
            if self._is_in_view(camera, car):
                faces = self._model(car.livery).faces(car.body, car.steering, camera.eye)
                self._canvas.draw_faces(camera, *faces, car.is_ghost)
        self._canvas.compose(picture)
        return picture

    def tags(
        self, body: np.ndarray, cars: Sequence[DrawnCar], yaw: float | None
    ) -> tuple[NameTag, ...]:
        """Return the name tags of cars, at their pixels in the picture that `frame` draws.

        Args:
            body: Body row of the car that the camera follows, (13,).
            cars: The cars; those without a name get no tag.
            yaw: Direction of the camera [rad], as in `frame`.
        """
        named = [car for car in cars if car.name]
        if not named:
            return ()
        above = np.array(
            [car.body[:3] * (1.0, 1.0, 0.0) + (0.0, 0.0, NAME_HEIGHT_M) for car in named]
        )
        pixels, depths = self.camera(body, yaw).project(above, self.size)
        return tuple(
            NameTag(pixel, float(depth), car.name, car.livery.body)
            for pixel, depth, car in zip(pixels, depths, named)
        )

    def camera(self, body: np.ndarray, yaw: float | None = None) -> Pinhole:
        """Return the level camera behind a car, looking along `yaw` [rad] or the car's heading."""
        if yaw is None:
            yaw = float(yaw_of(body))
        ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        ground = np.array([body[0], body[1], 0.0])
        eye = ground - BEHIND * ahead + (0.0, 0.0, ABOVE)
        forward = ground + AHEAD * ahead - eye
        forward /= np.linalg.norm(forward)
        right = np.array([ahead[1], -ahead[0], 0.0])
        return Pinhole(eye, np.stack([forward, right, np.cross(forward, right)]), self._focal)

    def _draw_background(
        self, camera: Pinhole, boxes: np.ndarray, colours: np.ndarray
    ) -> np.ndarray:
        """Return the background, drawn again only if camera or boxes have changed."""
        now = (camera.eye, camera.axes, boxes, colours)
        if not self._last or not all(map(np.array_equal, self._last, now)):
            static = self._ground, boxes, colours, self._panels
            self._canvas.draw_background(camera, *static, self._still)
            self._last = tuple(array.copy() for array in now)
        return self._still

    def _sky(self) -> np.ndarray:
        """Return the sky, which is the same in every picture because the camera's pitch is fixed.

        From the horizon down it has the colour `HAZE`.
        """
        width, height = self.size
        camera = self.camera(np.zeros(13), 0.0)
        horizon = height / 2 + camera.focal * camera.axes[0, 2] / -camera.axes[2, 2]
        share = np.clip((np.arange(height) + 0.5) / max(horizon, 1.0), 0.0, 1.0)[:, None]
        sky = np.full((height, width, 4), 255, dtype=np.uint8)
        sky[..., :3] = (ZENITH * (1 - share) + HAZE * share)[:, None]
        return sky

    def _model(self, colours: Livery) -> CarModel:
        if colours not in self._models:
            self._models[colours] = CarModel(self.spec, colours)
        return self._models[colours]

    def _is_in_view(self, camera: Pinhole, car: DrawnCar) -> bool:
        """Return whether a part of the car may be visible."""
        ahead, right, _ = camera.to_camera(car.body[:3])
        reach = self.spec.body_length
        return ahead > -reach and abs(right) < ahead * self.size[0] / 2 / self._focal + 2 * reach
