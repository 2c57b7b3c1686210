"""The effects of an episode's draw on pixels: tint, blur, contrast, brightness and noise."""

from __future__ import annotations

import numpy as np
from numba import njit

from racer.randomisation import neutral_draws
from racer.sensors.camera_ground import LUMA_WEIGHTS
from racer.sensors.counter_rng import OFFSET_RANGE, draw_offsets

NORMAL_NUMBERS = np.random.default_rng(11).standard_normal(OFFSET_RANGE + 1920, dtype=np.float32)
"""Normally distributed numbers. A row of pixels, at most 1920 wide, reads them from a hashed index
on."""
MIDDLE_GREY = 127.5
"""The grey that contrast leaves as it is."""
COLOUR_CHANNELS = ("red", "green", "blue")
"""The drawn factors of the colours, in the order of the channels."""
PIXEL_EFFECTS = ("blur", "contrast", "brightness", "pixel_noise")
"""The drawn quantities that apply to every channel alike."""


class CameraNoise:
    """The effects on the frames of n cars; a car whose draw is neutral keeps every byte.

    Args:
        n: Number of cars.
        height: Rows of a frame.
        channels: Channels of a frame; each has its own noise.
    """

    def __init__(self, n: int, height: int, channels: int) -> None:
        self._seeds = np.zeros(n, dtype=np.uint64)
        self._gains, self._looks = np.ones((n, 3)), np.zeros((n, len(PIXEL_EFFECTS)))
        self._is_tinted, self._is_changed = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self._places = np.zeros((n, height * channels), dtype=np.int64)
        self._tints = self._changes = False
        plain = neutral_draws(1)
        self._plain = np.array([plain[name][0] for name in PIXEL_EFFECTS])

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        self._seeds[cars] = draws["seed"][cars]
        for column, name in enumerate(COLOUR_CHANNELS):
            self._gains[cars, column] = draws[name][cars]
        for column, name in enumerate(PIXEL_EFFECTS):
            self._looks[cars, column] = draws[name][cars]
        self._is_tinted[cars] = (self._gains[cars] != 1.0).any(axis=1)
        self._is_changed[cars] = (self._looks[cars] != self._plain).any(axis=1)
        self._tints, self._changes = bool(self._is_tinted.any()), bool(self._is_changed.any())

    def tinted(self, cars: np.ndarray) -> np.ndarray:
        """Return those of the cars (k,) whose colours are changed."""
        return cars[self._is_tinted[cars]] if self._tints else cars[:0]

    def tint(self, car: int, frame: np.ndarray) -> None:
        """Multiply the colours of a car's frame (H, W, 3) by its factors, in place."""
        _tint(frame, self._gains[car])

    def apply(self, cars: np.ndarray, frame: np.ndarray, out: np.ndarray) -> None:
        """Apply blur, contrast, brightness and noise to frames, in place.

        Args:
            cars: Indices of the cars, (k,).
            frame: Each car's frame number in its episode, (n,).
            out: Frames; the rows `cars` are changed, (n, H, W, C) uint8.
        """
        if not self._changes:
            return
        changed = cars[self._is_changed[cars]]
        draw_offsets(changed, self._seeds, frame, self._places)
        _apply_effects(changed, self._looks, self._places, NORMAL_NUMBERS, out)


@njit(cache=True, error_model="numpy")
def _tint(frame, gains):
    """Multiply the three channels of a frame (H, W, 3) by gains (3,), rounded and clipped."""
    for c in range(3):
        gain = np.float32(gains[c])
        for i in range(frame.shape[0]):
            for j in range(frame.shape[1]):
                value = gain * np.float32(frame[i, j, c]) + np.float32(0.5)
                frame[i, j, c] = np.uint8(min(value, np.float32(255.0)))


@njit(cache=True, error_model="numpy")
def to_grey(frame, out):
    """Fill `out` (H, W) with the luma of a colour frame (H, W, 3), both uint8."""
    red, green, blue = (
        np.float32(LUMA_WEIGHTS[0]),
        np.float32(LUMA_WEIGHTS[1]),
        np.float32(LUMA_WEIGHTS[2]),
    )
    for i in range(frame.shape[0]):
        for j in range(frame.shape[1]):
            r, g, b = frame[i, j, 0], frame[i, j, 1], frame[i, j, 2]
            value = red * np.float32(r) + green * np.float32(g) + blue * np.float32(b)
            out[i, j] = np.uint8(value + np.float32(0.5))


@njit(cache=True, error_model="numpy")
def _apply_effects(cars, looks, places, normals, out):
    """Blur, contrast, brighten and add noise to frames, in place.

    Args:
        cars: Indices of the cars, (k,).
        looks: The values of `PIXEL_EFFECTS` for each car, (n, 4).
        places: Where each row of each channel begins in `normals`, (n, C x H).
        normals: Normally distributed numbers.
        out: Frames, (n, H, W, C) uint8.
    """
    _, height, width, channels = out.shape
    padded = np.empty((height + 2, width + 2), dtype=np.float32)
    top, middle, half = np.float32(255.0), np.float32(MIDDLE_GREY), np.float32(0.5)
    for k in cars:
        blur, contrast = np.float32(looks[k, 0]), np.float32(looks[k, 1])
        light, noise = np.float32(looks[k, 2] + MIDDLE_GREY), np.float32(looks[k, 3])
        own, share = np.float32(1.0) - blur, np.float32(0.25) * blur
        for c in range(channels):
            # A copy with its edges repeated, so that blur needs no branch and reads no new pixels.
            for i in range(height + 2):
                row = min(max(i - 1, 0), height - 1)
                for j in range(width):
                    padded[i, j + 1] = np.float32(out[k, row, j, c])
                padded[i, 0], padded[i, width + 1] = padded[i, 1], padded[i, width]
            for i in range(height):
                place = places[k, c * height + i]
                for j in range(width):
                    neighbours = padded[i, j + 1] + padded[i + 2, j + 1]
                    neighbours += padded[i + 1, j] + padded[i + 1, j + 2]
                    value = own * padded[i + 1, j + 1] + share * neighbours
                    value = contrast * (value - middle) + light + noise * normals[place + j]
                    out[k, i, j, c] = np.uint8(min(max(value, np.float32(0.0)), top) + half)
