"""Random numbers that depend on the episode's seed and the frame alone.

A number is drawn by hashing its place in the episode (splitmix64: Steele, Lea and Flood 2014), so
that a car gets the same numbers alone and among others, whatever other sensors draw and in which
order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

GOLDEN_RATIO_64 = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio, splitmix64's increment."""
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""The two multipliers of splitmix64's finaliser."""
FRAME_COUNTER_BITS = np.uint64(32)
"""A frame has room for two to this power of numbers."""
OFFSET_RANGE = 1 << 16
"""Number of different values that `draw_offsets` gives."""
DROP, PIXEL, BEAM = np.uint64(1 << 61), np.uint64(2 << 61), np.uint64(3 << 61)
"""Offsets of the seed that keep the kinds of numbers of one episode apart."""


@njit(cache=True)
def _hash(seed, frame, place):
    """Return 64 pseudo-random bits for a place in a frame of an episode."""
    counter = np.uint64(np.uint64(np.uint64(frame) << FRAME_COUNTER_BITS) + np.uint64(place))
    z = np.uint64(seed + np.uint64(counter + np.uint64(1)) * GOLDEN_RATIO_64)
    z = np.uint64(np.uint64(z ^ np.uint64(z >> np.uint64(30))) * FIRST)
    z = np.uint64(np.uint64(z ^ np.uint64(z >> np.uint64(27))) * SECOND)
    return np.uint64(z ^ np.uint64(z >> np.uint64(31)))


@njit(cache=True)
def _uniform(seed, frame, place):
    """Return a uniform number above 0 and up to 1."""
    return (np.float64(np.uint64(_hash(seed, frame, place) >> np.uint64(11))) + 1.0) * 2.0**-53


@njit(cache=True)
def draw_events(cars, seeds, frames, place, chance, out):
    """Fill `out` with whether an event happens to each of some cars in this frame.

    Args:
        cars: Indices of the cars, (k,).
        seeds: The episodes' seeds, (n,) uint64.
        frames: The episodes' frame numbers, (n,).
        place: The event's own number, which keeps it apart from others.
        chance: Probability of the event in a frame, (n,).
        out: Filled with booleans for `cars`, (n,).
    """
    for k in cars:
        out[k] = _uniform(seeds[k] + DROP, frames[k], place) <= chance[k]


@njit(cache=True)
def draw_offsets(cars, seeds, frames, out):
    """Fill rows of `out` with integers from 0 to `OFFSET_RANGE` - 1.

    Args:
        cars: Indices of the cars, (k,).
        seeds: The episodes' seeds, (n,) uint64.
        frames: The episodes' frame numbers, (n,).
        out: The rows `cars` are filled, (n, m).
    """
    for k in cars:
        for row in range(out.shape[1]):
            out[k, row] = np.int64(_hash(seeds[k] + PIXEL, frames[k], row) >> np.uint64(48))


@njit(cache=True, error_model="numpy")
def add_noise(cars, seeds, frames, sigma, far, ranges):
    """Add normal noise to the ranges of beams that hit something, by the Box-Muller transform.

    Args:
        cars: Indices of the cars, (k,).
        seeds: The episodes' seeds, (n,) uint64.
        frames: The episodes' frame numbers, (n,).
        sigma: Standard deviations [m], (n,).
        far: Range of a beam that hits nothing [m]; it gets no noise.
        ranges: Ranges [m], changed in place, (n, beams).
    """
    beams = ranges.shape[1]
    for k in cars:
        if sigma[k] <= 0.0:
            continue
        # One pair of uniform numbers makes the noise of two neighbouring beams.
        for j in range(0, beams, 2):
            if ranges[k, j] >= far and (j + 1 == beams or ranges[k, j + 1] >= far):
                continue
            length = sigma[k] * np.sqrt(-2.0 * np.log(_uniform(seeds[k] + BEAM, frames[k], j)))
            angle = 2.0 * np.pi * _uniform(seeds[k] + BEAM, frames[k], j + 1)
            if ranges[k, j] < far:
                ranges[k, j] += length * np.cos(angle)
            if j + 1 < beams and ranges[k, j + 1] < far:
                ranges[k, j + 1] += length * np.sin(angle)
