"""What is random in a sensor: a function of the episode's seed and the frame, and of nothing else.

A number is drawn by hashing its place in the episode (splitmix64: Steele, Lea and Flood 2014), so
that a car's numbers are the same alone and among others, whoever else looks and in what order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

GOLDEN_RATIO_64 = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
FRAME_COUNTER_BITS = np.uint64(32)
"""A frame has room for two to this power of numbers."""
OFFSET_RANGE = 1 << 16
"""How many places `draw_offsets` tells apart."""
DROP, PIXEL, BEAM = np.uint64(1 << 61), np.uint64(2 << 61), np.uint64(3 << 61)
"""Offsets that keep the kinds of numbers of one episode apart."""


@njit(cache=True)
def _hash(seed, frame, place):
    """64 bits for a place in a frame of an episode."""
    counter = np.uint64(np.uint64(np.uint64(frame) << FRAME_COUNTER_BITS) + np.uint64(place))
    z = np.uint64(seed + np.uint64(counter + np.uint64(1)) * GOLDEN_RATIO_64)
    z = np.uint64(np.uint64(z ^ np.uint64(z >> np.uint64(30))) * FIRST)
    z = np.uint64(np.uint64(z ^ np.uint64(z >> np.uint64(27))) * SECOND)
    return np.uint64(z ^ np.uint64(z >> np.uint64(31)))


@njit(cache=True)
def _uniform(seed, frame, place):
    """A number above 0 and up to 1."""
    return (np.float64(np.uint64(_hash(seed, frame, place) >> np.uint64(11))) + 1.0) * 2.0**-53


@njit(cache=True)
def draw_events(cars, seeds, frames, place, chance, out):
    """Whether something with a chance each frame happens to cars (k,) in this one; fills (n,)."""
    for k in cars:
        out[k] = _uniform(seeds[k] + DROP, frames[k], place) <= chance[k]


@njit(cache=True)
def draw_offsets(cars, seeds, frames, out):
    """Fill rows of `out` (n, m) for cars (k,) with numbers from 0 to `OFFSET_RANGE` - 1."""
    for k in cars:
        for row in range(out.shape[1]):
            out[k, row] = np.int64(_hash(seeds[k] + PIXEL, frames[k], row) >> np.uint64(48))


@njit(cache=True, error_model="numpy")
def add_noise(cars, seeds, frames, sigma, far, ranges):
    """Add normal noise to what beams have hit, by Box and Muller.

    Args:
        cars: Whose beams, (k,).
        seeds: The episodes' seeds, (n,) uint64.
        frames: The episodes' frames, (n,).
        sigma: Standard deviations [m], (n,).
        far: The range of a beam that hits nothing [m]; it keeps it.
        ranges: [m], (n, beams).
    """
    beams = ranges.shape[1]
    for k in cars:
        if sigma[k] <= 0.0:
            continue
        for j in range(0, beams, 2):
            length = sigma[k] * np.sqrt(-2.0 * np.log(_uniform(seeds[k] + BEAM, frames[k], j)))
            angle = 2.0 * np.pi * _uniform(seeds[k] + BEAM, frames[k], j + 1)
            if ranges[k, j] < far:
                ranges[k, j] += length * np.cos(angle)
            if j + 1 < beams and ranges[k, j + 1] < far:
                ranges[k, j + 1] += length * np.sin(angle)
