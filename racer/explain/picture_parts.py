"""What each pixel of a camera shows, known from the simulator: lines, road, grass, sky, boxes."""

from __future__ import annotations

import numpy as np

from racer.car.spec import car_named
from racer.explain.recorded_lap import RecordedLap
from racer.sensors import CameraConfig, SensorInput, StereoConfig, make_sensor
from racer.sensors.camera_ground import (
    ASPHALT_COLOUR,
    CENTRE_LINE_COLOUR,
    GRASS_COLOUR,
    SKY_COLOUR,
    WHITE_COLOUR,
)
from racer.sensors.config import LeftCameraConfig

PICTURE_PARTS = (
    "white lines",
    "centre line",
    "road",
    "grass",
    "sky",
    "walls",
    "boxes and cars",
)
"""The parts of a picture, by their index in `picture_parts`."""
_PAINTS = np.array(
    [WHITE_COLOUR, CENTRE_LINE_COLOUR, ASPHALT_COLOUR, GRASS_COLOUR], dtype=np.float64
)
_SKY, _WALLS, _BOXES = (PICTURE_PARTS.index(part) for part in ("sky", "walls", "boxes and cars"))


def picture_parts(
    lap: RecordedLap, sensor: CameraConfig | LeftCameraConfig | StereoConfig, step: int
) -> np.ndarray:
    """Return the index of the part that each pixel of a camera shows at a step, (H, W).

    The view is rendered in colour; each pixel of the ground belongs to the nearest paint, and to a
    wall or a box where it differs from the view without them. Of a stereo pair it is the left
    camera's view.

    Args:
        lap: The lap.
        sensor: The camera.
        step: Index of the step.
    """
    left = sensor.baseline / 2 if isinstance(sensor, StereoConfig) else sensor.left
    lens = {name: getattr(sensor, name) for name in ("width", "height", "forward", "up")}
    camera = CameraConfig(
        **lens, pitch_deg=sensor.pitch_deg, fov=sensor.fov, left=left, colour="rgb"
    )
    now = lap.perceived[step]
    empty = now._replace(boxes=now.boxes[:, :0], colours=now.colours[:, :0])
    ground = _view(lap, camera, empty, False)
    apart = np.linalg.norm(ground[..., None, :] - _PAINTS, axis=-1)
    parts = apart.argmin(axis=-1)
    parts[(ground == SKY_COLOUR).all(axis=-1)] = _SKY  # No ground has exactly this colour.
    between = ground
    if lap.rules.walls:
        between = _view(lap, camera, empty, True)
        parts[(between != ground).any(axis=-1)] = _WALLS
    if now.boxes.shape[1]:
        whole = _view(lap, camera, now, lap.rules.walls)
        parts[(whole != between).any(axis=-1)] = _BOXES
    return parts


def _view(lap: RecordedLap, camera: CameraConfig, now: SensorInput, walls: bool) -> np.ndarray:
    """Return a view in colour, (H, W, 3) float64."""
    sensor = make_sensor(camera, car_named(lap.car), lap.track, 1, walls)
    out = np.zeros((1, *sensor.space.shape), dtype=np.uint8)
    sensor.observe(now, np.arange(1), out)
    return out[0].astype(np.float64)


def part_shares(maps: list[np.ndarray], parts: list[np.ndarray]) -> list[tuple[str, float, float]]:
    """Return how much of the maps lies on each part, and how much of the pictures it fills.

    Args:
        maps: Maps of several moments, (H, W) >= 0.
        parts: The parts of each moment's picture, (H, W).

    Returns:
        Name of each part that is seen, its share of the maps and its share of the pixels, the
        part with the largest share of the maps first.
    """
    weight, area = np.zeros(len(PICTURE_PARTS)), np.zeros(len(PICTURE_PARTS))
    for importance, part in zip(maps, parts):
        total = float(importance.sum())
        if total > 0.0:
            weight += np.bincount(part.ravel(), importance.ravel(), len(PICTURE_PARTS)) / total
        area += np.bincount(part.ravel(), minlength=len(PICTURE_PARTS)) / part.size
    weight /= max(float(weight.sum()), 1e-12)
    area /= max(float(area.sum()), 1e-12)
    seen = np.flatnonzero(area)
    return [
        (PICTURE_PARTS[k], float(weight[k]), float(area[k]))
        for k in seen[np.argsort(-weight[seen])]
    ]
