"""What there is to perceive, and what a sensor is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from racer.track import TrackPosition
from racer.world import CarState


class SensorInput(NamedTuple):
    """What n cars could perceive; each car sees its own row of boxes."""

    state: CarState
    """Of all n cars."""
    place: TrackPosition
    """Of all n cars, relative to the track in the direction that each drives it."""
    is_reversed: np.ndarray
    """Whether a car drives the track against its own direction, (n,) bool."""
    boxes: np.ndarray
    """Centre [m] 3, quaternion x y z w 4, half sizes along its own axes [m] 3, (n, k, 10).

    Where the half sizes are 0 there is no box.
    """
    colours: np.ndarray
    """Red, green and blue of each box, (n, k, 3) uint8."""


def empty_road_input(state: CarState, place: TrackPosition) -> SensorInput:
    """The surroundings of cars that drive the track its own way and meet nothing."""
    n = len(state.body)
    boxes, colours = np.zeros((n, 0, 10)), np.zeros((n, 0, 3), dtype=np.uint8)
    return SensorInput(state, place, np.zeros(n, dtype=bool), boxes, colours)


class Sensor(Protocol):
    """Perceives for n cars; what it gives a car does not depend on the others."""

    @property
    def space(self) -> spaces.Box:
        """What one car's observation may be."""
        ...

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """Begin an episode.

        Args:
            cars: Indices of the cars that begin one, (k,).
            draws: What all n cars have drawn, rows of `randomisation.DRAW_DTYPE`, (n,).
        """
        ...

    def get_state(self) -> dict[str, Any]:
        """Return what it remembers of the frames so far."""
        ...

    def set_state(self, state: dict[str, Any], draws: np.ndarray) -> None:
        """Go on from such a state of cars that have drawn `draws`; see `start`."""
        ...

    def observe(self, around: SensorInput, cars: np.ndarray, out: np.ndarray) -> None:
        """Perceive once; each call is a frame.

        Args:
            around: What all n cars could perceive.
            cars: Indices of the cars that look, (k,).
            out: The rows `cars` are filled, the others left alone; (n, *space.shape).
        """
        ...


class FrameReader(Protocol):
    """Takes single frames; `sensors.frames` makes a `Sensor` of it."""

    @property
    def space(self) -> spaces.Box:
        """What one frame of one car may be."""
        ...

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        ...

    def get_state(self) -> dict[str, Any]:
        """Return what it keeps from one frame to the next, beside what was drawn."""
        ...

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        ...

    def read(
        self, around: SensorInput, cars: np.ndarray, frame: np.ndarray, out: np.ndarray
    ) -> None:
        """Fill rows `cars` (k,) of `out`; `frame` (n,) counts each car's frames, 0 the first."""
        ...
