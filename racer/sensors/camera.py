"""A pinhole camera over the painted ground: one ray for each pixel, met with the plane z = 0.

A frame is drawn row by row in three loops, split so that each suits the processor: where the rays
meet the ground (vector arithmetic), the texels there (loads), and their blend (vector arithmetic).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from racer.car.spec import CarSpec
from racer.randomisation import neutral_draws
from racer.sensors.camera_ground import PYRAMID_LEVELS, ground_texture
from racer.sensors.camera_noise import CameraNoise, to_grey
from racer.sensors.camera_objects import draw_objects, make_z_buffer, wall_segments
from racer.sensors.config import CameraConfig, LeftCameraConfig, StereoConfig
from racer.sensors.sensor_input import SensorInput
from racer.track import Track

CAMERA_HORIZON_M = 2000.0
"""Distance ahead at which the ground ends [m], just below the horizon."""
MIN_CAMERA_HEIGHT_M = 0.01
"""Height from which a camera below the ground looks, in a car on its roof [m]."""
MAX_FIELD_OF_VIEW_RAD = 3.0
"""Largest field of view that a draw can give [rad]."""
TEXELS_PER_PIXEL = 1.5
"""A level of the pyramid is used while a pixel's patch of ground is at most this many of its
texels."""


class Camera:
    """Frames of one camera, or of a stereo pair, fixed to each car's chassis.

    A mount is `forward` of the middle between the axles, `left` of the car's plane of symmetry and
    `up` over the road at rest, and the camera is tilted down by `pitch_deg`. It rolls and pitches
    with the chassis. An episode's draw moves and turns it, changes its field of view, and changes
    its pixels by `sensors.camera_noise`.

    Args:
        config: Which camera it is and how it is mounted.
        spec: The car.
        track: The track whose ground is painted.
        n: Number of cars.
        walls: Whether walls stand on the borders.
    """

    def __init__(
        self,
        config: CameraConfig | LeftCameraConfig | StereoConfig,
        spec: CarSpec,
        track: Track,
        n: int,
        walls: bool = False,
    ) -> None:
        self._config, self._ground = config, ground_texture(track)
        self._is_rgb = isinstance(config, CameraConfig) and config.colour == "rgb"
        middle = (spec.to_front_axle - spec.to_rear_axle) / 2
        if isinstance(config, StereoConfig):
            sides = (config.baseline / 2, -config.baseline / 2)
        else:
            sides = (config.left,)
        self._mounts = np.array(
            [[config.forward + middle, left, config.up - spec.mass_height] for left in sides]
        )
        self._offset, self._turn, self._focal = np.zeros((n, 3)), np.zeros((n, 3, 3)), np.zeros(n)
        self._eyes, self._axes = np.zeros((n, 3)), np.zeros((n, 3, 3))
        self._walls = wall_segments(track if walls else None)
        self._z_buffer = make_z_buffer(config.height, config.width)
        self._noise = CameraNoise(n, config.height, config.channels)
        self.space = config.model_copy(update={"stack": 1}).space
        self.start(np.arange(n), neutral_draws(n))

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        rows, config = draws[cars], self._config
        for axis, name in enumerate(("camera_forward", "camera_left", "camera_up")):
            self._offset[cars, axis] = rows[name]
        pitch = np.deg2rad(config.pitch_deg) + rows["camera_pitch"]
        self._turn[cars] = _turned(rows["camera_yaw"], pitch, rows["camera_roll"])
        fov = np.minimum(config.fov * rows["field_of_view"], MAX_FIELD_OF_VIEW_RAD)
        self._focal[cars] = config.width / 2 / np.tan(fov / 2)
        self._noise.start(cars, draws)

    def get_state(self) -> dict[str, Any]:
        """Return an empty dict: nothing is kept from one frame to the next."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Do nothing: nothing is kept from one frame to the next."""

    def read(
        self, inputs: SensorInput, cars: np.ndarray, frame: np.ndarray, out: np.ndarray
    ) -> None:
        """Fill rows of `out` with a frame of each of some cars.

        Args:
            inputs: What all n cars could perceive.
            cars: Indices of the cars, (k,).
            frame: Each car's frame number in its episode, (n,).
            out: Rows `cars` are filled, (n, H, W, C) uint8.
        """
        count = 3 if self._is_rgb else 1
        tinted = self._noise.tinted(cars)
        # A grey camera sees a tint through the luma of a coloured frame, which is drawn for those
        # cars alone.
        plain = cars if self._is_rgb or not len(tinted) else np.setdiff1d(cars, tinted)
        for eye, mount in enumerate(self._mounts):
            body = inputs.state.body
            _pose(body, cars, mount, self._offset, self._turn, self._eyes, self._axes)
            self._draw(inputs, plain, slice(None), self._is_rgb, out, eye * count)
            for car in tinted:
                frames = out[car : car + 1]
                if not self._is_rgb:
                    frames = np.empty((1, *out.shape[1:3], 3), dtype=np.uint8)
                    self._draw(inputs, np.arange(1), slice(car, car + 1), True, frames, 0)
                self._noise.tint(car, frames[0])
                if not self._is_rgb:
                    to_grey(frames[0], out[car, ..., eye])
        self._noise.apply(cars, frame, out)

    def _draw(
        self,
        inputs: SensorInput,
        cars: np.ndarray,
        rows: slice,
        is_rgb: bool,
        out: np.ndarray,
        channel: int,
    ) -> None:
        """Draw the ground and the objects on it.

        Args:
            inputs: What all n cars could perceive.
            cars: Indices of the cars, counted from the first of `rows`, as the rows of `out` are.
            rows: The cars that `out` has rows for.
            is_rgb: Whether three channels are drawn.
            out: Frames, (rows, H, W, C) uint8.
            channel: The first channel that is drawn.
        """
        grounds = self._ground.colours if is_rgb else (self._ground.grey,)
        view = (cars, self._eyes[rows], self._axes[rows], self._focal[rows])
        for k, ground in enumerate(grounds):
            _observe(ground, *view, out[..., channel + k])
        solids = (inputs.boxes[rows], inputs.colours[rows], self._walls, self._z_buffer)
        draw_objects(*view, *solids, out, channel, len(grounds))


def _turned(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Return the axes of turned cameras in the car's frame: forward, right and down, (k, 3, 3).

    A camera is turned to the left by `yaw`, then tilted down by `pitch`, then rolled to its right
    side by `roll`.

    Args:
        yaw: [rad], (k,).
        pitch: [rad], (k,).
        roll: [rad], (k,).
    """
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    ahead = np.stack([np.cos(yaw), np.sin(yaw), zero], axis=1)
    right = np.stack([np.sin(yaw), -np.cos(yaw), zero], axis=1)
    down = np.stack([zero, zero, -one], axis=1)
    cos, sin = np.cos(pitch)[:, None], np.sin(pitch)[:, None]
    forward, down = cos * ahead + sin * down, cos * down - sin * ahead
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return np.stack([forward, cos * right + sin * down, cos * down - sin * right], axis=1)


@njit(cache=True, error_model="numpy")
def _pose(body, cars, mount, offset, turn, eyes, axes):
    """Fill each camera's position and axes in the world from those in the car's frame.

    Args:
        body: Body rows, (n, 13).
        cars: Indices of the cars, (k,).
        mount: Position of the camera in the car's frame [m], (3,).
        offset: What each car's draw adds to it [m], (n, 3).
        turn: Axes of the camera in the car's frame, the rows of (n, 3, 3).
        eyes: Filled with the positions [m], (n, 3).
        axes: Filled with the axes in the world, the rows of (n, 3, 3).
    """
    for k in cars:
        x, y, z, w = body[k, 3], body[k, 4], body[k, 5], body[k, 6]
        ahead = (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w))
        left = (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w))
        up = (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y))
        along = mount[0] + offset[k, 0]
        aside, over = mount[1] + offset[k, 1], mount[2] + offset[k, 2]
        for m in range(3):
            for i in range(3):
                own = turn[k, i]
                axes[k, i, m] = own[0] * ahead[m] + own[1] * left[m] + own[2] * up[m]
            eyes[k, m] = body[k, m] + along * ahead[m] + aside * left[m] + over * up[m]


@njit(cache=True, error_model="numpy")
def _observe(ground, cars, eyes, axes, focal, out):
    """Draw the ground in the frames `out` (n, H, W) of cars (k,)."""
    for k in cars:
        _frame(ground, eyes[k], axes[k], focal[k], out[k])


@njit(cache=True, error_model="numpy")
def _frame(ground, eye, axes, focal, out):
    """Draw the ground in one frame: each row at once, or in four parts if roll tilts it."""
    height, width = out.shape
    index, weight = np.empty(width, dtype=np.int32), np.empty(width, dtype=np.int32)
    quad, total = np.empty(width, dtype=np.uint32), np.empty(width, dtype=np.int32)
    tilt = abs(axes[1, 2]) * 0.5 * width / focal
    sky = np.uint8(ground.texels[-1])
    for i in range(height):
        down = (i + 0.5 - 0.5 * height) / focal
        middle = -axes[0, 2] - down * axes[2, 2]
        # Not even the lowest corner of the row looks below the horizon.
        if middle + tilt + 0.5 / focal <= 0.0:
            out[i] = sky
            continue
        # One level of the pyramid serves a whole row if its two ends fall by similar amounts.
        if tilt < 0.5 * middle:
            _span(ground, eye, axes, focal, i, out, 0, index, weight, quad, total)
            continue
        for part in range(4):
            first, last = part * width // 4, (part + 1) * width // 4
            span = slice(first, last)
            parts = index[span], weight[span], quad[span], total[span]
            _span(ground, eye, axes, focal, i, out, first, *parts)


@njit(cache=True, error_model="numpy")
def _span(ground, eye, axes, focal, i, out, first, index, weight, quad, total):
    """Draw the ground in a part of row i from the column `first` on.

    The four scratch arrays `index`, `weight`, `quad` and `total` are as long as the part.
    """
    height, width = out.shape
    count = index.shape[0]
    down = (i + 0.5 - 0.5 * height) / focal
    across = (first + 0.5 * count - 0.5 * width) / focal
    drop = -axes[0, 2] - down * axes[2, 2] - across * axes[1, 2]
    length = np.sqrt(1.0 + down * down + across * across)
    texel = length / (focal * ground.resolution)
    above = max(eye[2], MIN_CAMERA_HEIGHT_M)
    level, taps = _filter(max(drop, 0.2 / focal), length, above, texel)
    total[:] = 0
    for tap in range(taps):
        row = (i + (tap + 0.5) / taps - 0.5 * height) / focal
        column = (first + 0.5 - 0.5 * width) / focal
        _aim(ground, level, eye, axes, focal, row, column, index, weight)
        _fetch(ground.texels, ground.start[level], index, quad)
        _blend(quad, weight, total)
    # The mean of one or two taps: shift by 0 or by 1.
    halvings = np.int32(taps >> 1)
    for j in range(count):
        out[i, first + j] = np.int32(total[j] >> halvings)


@njit(cache=True, error_model="numpy")
def _filter(drop, length, above, texels):
    """Return the pyramid level and the number of taps down the pixel for a ray.

    A pixel's patch of ground is longer than wide by length / drop. Up to two taps along it, and a
    level as coarse as the patch of one tap (between its length and its width), keep distant lines
    from flickering without blurring them sideways.

    Args:
        drop: How far the ray falls over 1 m along the camera's axis [m].
        length: Length of the ray over that metre [m].
        above: Height of the camera [m].
        texels: Texels of the finest level that a pixel spans 1 m from the camera's plane.
    """
    stretch = length / drop
    taps = 1 if stretch < 6.0 else 2
    patch = texels * above / drop * np.sqrt(stretch / taps)
    level = 0
    while patch > TEXELS_PER_PIXEL and level < PYRAMID_LEVELS - 1:
        patch *= 0.5
        level += 1
    return level, taps


@njit(cache=True, fastmath=True, error_model="numpy")
def _aim(ground, level, eye, axes, focal, row, column, index, weight):
    """Fill `index` and `weight` with the texel that each pixel's ray hits, and where in it.

    The first ray's slope is `column` to the right and `row` down; the next are 1 / focal apart.
    `index` gets the texel's index in its level, or that of the sky after all levels. `weight` gets
    the 1/256 texels past the texel's centre, x in the low byte and y in the next. Every number
    stays 32 bits wide so that the loop vectorizes. No pose, however broken, gives an index outside
    the texture.
    """
    step, across = np.float32(1.0 / focal), np.float32(column)
    fx, sx = np.float32(axes[0, 0] + row * axes[2, 0]), np.float32(axes[1, 0])
    fy, sy = np.float32(axes[0, 1] + row * axes[2, 1]), np.float32(axes[1, 1])
    fz, sz = np.float32(-axes[0, 2] - row * axes[2, 2]), np.float32(-axes[1, 2])
    scale = 256.0 / (ground.resolution * (1 << level))
    x0 = np.float32((eye[0] - ground.origin[0]) * scale - 128.0)
    y0 = np.float32((eye[1] - ground.origin[1]) * scale - 128.0)
    above = np.float32(max(eye[2], MIN_CAMERA_HEIGHT_M) * scale)
    least = np.float32(max(eye[2], MIN_CAMERA_HEIGHT_M) / CAMERA_HORIZON_M)
    zero, eight, byte = np.int32(0), np.int32(8), np.int32(255)
    stride = np.int32(ground.columns[level])
    last_column, last_row = np.int32(stride - 1), np.int32(ground.rows[level] - 1)
    sky = np.int32(ground.texels.shape[0] - 1 - ground.start[level])
    for j in range(index.shape[0]):
        a = across + step * np.float32(j)
        drop = fz + a * sz
        t = above / max(drop, least)
        u = np.int32(x0 + t * (fx + a * sx))
        v = np.int32(y0 + t * (fy + a * sy))
        c = min(max(np.int32(u >> eight), zero), last_column)
        r = min(max(np.int32(v >> eight), zero), last_row)
        index[j] = np.int32(np.int32(r * stride) + c) if drop > least else sky
        weight[j] = np.int32(np.int32(u & byte) | np.int32(np.int32(v & byte) << eight))


@njit(cache=True, error_model="numpy")
def _fetch(texels, start, index, quad):
    """Fill `quad` with the texels at `index`; a loop of its own, as such loads do not vectorize."""
    for j in range(index.shape[0]):
        quad[j] = texels[np.uint64(start + index[j])]


@njit(cache=True, error_model="numpy")
def _blend(quad, weight, total):
    """Add the bilinear mean of each quad of bytes to `total`.

    The lower and the upper pair are blended in the two halves of one 32-bit product.
    """
    even, low = np.uint32(0x00FF00FF), np.uint32(0xFFFF)
    eight, sixteen = np.uint32(8), np.uint32(16)
    byte, full, half = np.uint32(255), np.uint32(256), np.uint32(0x8000)
    for j in range(quad.shape[0]):
        q, w = quad[j], np.uint32(weight[j])
        fu, fv = np.uint32(w & byte), np.uint32(np.uint32(w >> eight) & byte)
        near = np.uint32(q & even)
        right = np.uint32(np.uint32(q >> eight) & even)
        pair = np.uint32(np.uint32(near << eight) + np.uint32(np.uint32(right - near) * fu))
        lower, upper = np.uint32(pair & low), np.uint32(pair >> sixteen)
        mean = np.uint32(np.uint32(lower * np.uint32(full - fv)) + np.uint32(upper * fv))
        total[j] += np.int32(np.uint32(np.uint32(mean + half) >> sixteen))
