"""The view from behind the car, with what a driver wants to know written on it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from racer.car.spec import CarSpec
from racer.sensors.camera import look
from racer.sensors.scene import scene_of
from racer.sensors.solids import easel, look_at, panels_of
from racer.track import Track
from racer.view.model import Pinhole, draw
from racer.world import yaw_of

BEHIND, ABOVE, AHEAD = 0.80, 0.42, 0.9
"""Where the camera stands behind and above the car, and how far ahead of it it looks [m]."""
FOV = 1.15
"""Horizontal field of view [rad]."""
MAP_SIDE = 170
INK, DIM = (255, 255, 255), (196, 204, 212)
SLOW, FAST = np.array([70, 120, 255]), np.array([255, 84, 50])


@dataclass(frozen=True)
class Hud:
    """What is written on a frame.

    Attributes:
        speed: [m/s].
        lap: Number of the lap, from 1.
        laps: Laps in all.
        time: Time in this lap [s].
        best: Fastest lap so far [s], or None.
        xy: The way driven so far [m], (T, 2).
        speeds: Speed along it [m/s], (T,).
        camera: The car's own frame, (H, W, C) uint8, or None: colour where C is 3, else its
            first plane.
    """

    speed: float
    lap: int
    laps: int
    time: float
    best: float | None
    xy: np.ndarray
    speeds: np.ndarray
    camera: np.ndarray | None = None


class ChaseView:
    """Draws a car on its track from behind and above.

    Args:
        track: The track.
        spec: The car.
        width: Columns of a frame.
        height: Rows of a frame.
        walls: Whether walls stand on the borders.
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
        self._panels, self._easel = panels_of(track if walls else None), easel(height, width)
        self._spec, self._scene = spec, scene_of(track)
        self._focal = width / 2 / np.tan(FOV / 2)
        self._font = ImageFont.load_default(18)
        self._large = ImageFont.load_default(34)
        corners = np.vstack([track.left, track.right])
        self._low = corners.min(axis=0)
        self._scale = (MAP_SIDE - 16) / float(np.ptp(corners, axis=0).max())
        self._map = self._draw_map(track, np.ptp(corners, axis=0))

    def frame(
        self,
        body: np.ndarray,
        steering: float,
        hud: Hud | None = None,
        yaw: float | None = None,
        boxes: np.ndarray | None = None,
        colours: np.ndarray | None = None,
    ) -> np.ndarray:
        """One frame, (height, width, 3) uint8.

        Args:
            body: The car's body row, (13,).
            steering: Angle of its front wheels [rad].
            hud: What to write on it.
            yaw: Where the camera looks [rad]; the car's own heading by default.
            boxes: What else stands on the road, rows as in `Surroundings`, (k, 10).
            colours: Red, green and blue of each, (k, 3) uint8.
        """
        camera = self._camera(body, yaw)
        ground = np.empty((self.size[1], self.size[0], 3), dtype=np.uint8)
        look(self._scene, camera.eye, camera.axes, camera.focal, ground)
        self._paint_sky(ground, camera)
        if boxes is None or colours is None:
            boxes, colours = np.zeros((0, 10)), np.zeros((0, 3), dtype=np.uint8)
        solids = boxes, colours, self._panels, self._easel
        look_at(camera.eye, camera.axes, camera.focal, *solids, ground)
        picture = Image.fromarray(ground)
        draw(picture, camera, self._spec, body, steering)
        if hud is not None:
            self._write(picture, body, hud)
        return np.asarray(picture)

    def _camera(self, body: np.ndarray, yaw: float | None) -> Pinhole:
        if yaw is None:
            yaw = float(yaw_of(body))
        ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        ground = np.array([body[0], body[1], 0.0])
        eye = ground - BEHIND * ahead + (0.0, 0.0, ABOVE)
        forward = ground + AHEAD * ahead - eye
        forward /= np.linalg.norm(forward)
        right = np.array([ahead[1], -ahead[0], 0.0])
        return Pinhole(eye, np.stack([forward, right, np.cross(forward, right)]), self._focal)

    def _paint_sky(self, ground: np.ndarray, camera: Pinhole) -> None:
        horizon = self.size[1] / 2 + camera.focal * camera.axes[0, 2] / -camera.axes[2, 2]
        rows = int(np.clip(np.ceil(horizon), 0, self.size[1]))
        height = np.linspace(1.0, 0.0, max(rows, 1))[:rows, None]
        sky = np.array([96, 150, 214]) * height + np.array([222, 232, 240]) * (1 - height)
        ground[:rows] = sky.astype(np.uint8)[:, None]

    def _on_map(self, xy: np.ndarray) -> np.ndarray:
        x, y = ((xy - self._low) * self._scale + 8).T
        return np.stack([x, self._map.height - y], axis=1)

    def _draw_map(self, track: Track, span: np.ndarray) -> Image.Image:
        size = int(span[0] * self._scale) + 16, int(span[1] * self._scale) + 16
        self._map = Image.new("RGBA", size, (12, 16, 22, 150))
        pen = ImageDraw.Draw(self._map)
        for ring in (track.left, track.right):
            closed = self._on_map(np.vstack([ring, ring[:1]]))
            pen.line(closed.ravel().tolist(), fill=(235, 235, 235, 200), width=1)
        return self._map

    def _write(self, picture: Image.Image, body: np.ndarray, hud: Hud) -> None:
        layer = Image.new("RGBA", picture.size)
        pen = ImageDraw.Draw(layer)
        pen.rounded_rectangle((14, 14, 214, 118), 10, fill=(12, 16, 22, 150))
        pen.text((28, 20), f"{hud.time:5.2f} s", font=self._large, fill=INK)
        pen.text((28, 62), f"lap {hud.lap} of {hud.laps}", font=self._font, fill=DIM)
        best = "" if hud.best is None else f"best {hud.best:.2f} s"
        pen.text((28, 86), best, font=self._font, fill=DIM)
        bottom = self.size[1] - 14
        pen.rounded_rectangle((14, bottom - 52, 214, bottom), 10, fill=(12, 16, 22, 150))
        pen.text((28, bottom - 44), f"{hud.speed:.1f} m/s", font=self._large, fill=INK)
        corner = (self.size[0] - self._map.width - 14, 14)
        layer.paste(self._map, corner)
        self._draw_way(pen, np.array(corner), body, hud)
        if hud.camera is not None:
            frame = hud.camera if hud.camera.shape[2] == 3 else np.repeat(hud.camera[..., :1], 3, 2)
            inset = Image.fromarray(frame).resize((160, 120))
            layer.paste(inset, (self.size[0] - 174, self.size[1] - 134))
        picture.paste(layer, mask=layer)

    def _draw_way(
        self, pen: ImageDraw.ImageDraw, corner: np.ndarray, body: np.ndarray, hud: Hud
    ) -> None:
        way = self._on_map(hud.xy) + corner
        top = max(float(hud.speeds.max(initial=0.1)), 0.1)
        for (a, b), speed in zip(pairwise(way), hud.speeds[1:]):
            if np.hypot(*(b - a)) < 0.5 * self._scale:
                colour = SLOW + (FAST - SLOW) * speed / top
                pen.line((*a, *b), fill=(*colour.astype(int).tolist(), 255), width=2)
        x, y = self._on_map(body[None, :2])[0] + corner
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=INK)
