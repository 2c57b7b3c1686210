# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportReturnType=false
"""Warp functions of a sensor's frames: their count, their drops, and the numbers drawn for them.

They give the bits of `sensors.counter_rng`, so that a sensor on the device gets the same noise as
one on the processor. This module is imported after `runtime.load_warp`.
"""

from __future__ import annotations

import warp as wp

from racer.gpu.runtime import EXACT_OPTIONS
from racer.sensors.counter_rng import (
    BEAM,
    DROP,
    FIRST,
    FRAME_COUNTER_BITS,
    GOLDEN_RATIO_64,
    PIXEL,
    SECOND,
)

wp.set_module_options(EXACT_OPTIONS)

BEAM_NUMBERS = wp.constant(wp.uint64(int(BEAM)))
"""`BEAM`, as a kernel reads it."""
PIXEL_NUMBERS = wp.constant(wp.uint64(int(PIXEL)))
"""`PIXEL`, as a kernel reads it."""
_DROP = wp.constant(wp.uint64(int(DROP)))
_GOLDEN = wp.constant(wp.uint64(int(GOLDEN_RATIO_64)))
_FIRST, _SECOND = wp.constant(wp.uint64(int(FIRST))), wp.constant(wp.uint64(int(SECOND)))
_LAST_BIT = wp.constant(wp.float64(2.0**-53))
_FRAME_BITS = wp.constant(wp.uint64(int(FRAME_COUNTER_BITS)))


@wp.struct
class FrameState:
    """What decides over the frames of one car."""

    seed: wp.uint64
    """The episode's seed."""
    chance: wp.float64
    """Probability that a frame is dropped."""
    frame: wp.int32
    """Number of the frame in its episode; -1 before the first."""
    is_dropped: wp.int32
    """1 if this frame is dropped, else 0."""


@wp.func
def counter_hash(seed: wp.uint64, frame: wp.int32, place: wp.uint64) -> wp.uint64:
    """Return 64 pseudo-random bits for a place in a frame of an episode.

    Args:
        seed: The episode's seed.
        frame: The number of the frame in it.
        place: The number's place in the frame.
    """
    counter = (wp.uint64(frame) << _FRAME_BITS) + place
    z = seed + (counter + wp.uint64(1)) * _GOLDEN
    z = (z ^ (z >> wp.uint64(30))) * _FIRST
    z = (z ^ (z >> wp.uint64(27))) * _SECOND
    return z ^ (z >> wp.uint64(31))


@wp.func
def counter_uniform(seed: wp.uint64, frame: wp.int32, place: wp.uint64) -> wp.float64:
    """Return a uniform number above 0 and up to 1; for the arguments see `counter_hash`.

    Args:
        seed: The episode's seed.
        frame: The number of the frame in it.
        place: The number's place in the frame.
    """
    bits = wp.float64(counter_hash(seed, frame, place) >> wp.uint64(11))
    return (bits + wp.float64(1.0)) * _LAST_BIT


@wp.func
def first_frame(seed: wp.uint64, chance: wp.float64) -> FrameState:
    """Return the state before an episode's first frame, whose drops have a probability."""
    state = FrameState()
    state.seed = seed
    state.chance = chance
    state.frame = -1
    state.is_dropped = 0
    return state


@wp.func
def next_frame(state: FrameState, place: wp.uint64) -> FrameState:
    """Return the state of the next frame; `place` keeps the drops of each sensor apart."""
    state.frame += 1
    state.is_dropped = 0
    number = counter_uniform(state.seed + _DROP, state.frame, place)
    if state.frame > 0 and number <= state.chance:
        state.is_dropped = 1
    return state
