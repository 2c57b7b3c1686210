"""The interface of sensors: what they are given, and what they must provide."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from racer.track import TrackPosition
from racer.world import CarState


class SensorInput(NamedTuple):
    """What n cars could perceive; each car has its own row of boxes."""

    state: CarState
    """State of all n cars."""
    place: TrackPosition
    """Positions of all n cars on the track, in the direction in which each drives it."""
    is_reversed: np.ndarray
    """Whether each car drives the track against its own direction, (n,) bool."""
    boxes: np.ndarray
    """Centre [m] 3, quaternion x y z w 4, half sizes along its own axes [m] 3, (n, k, 10).

    A row with half sizes of 0 is no box."""
    colours: np.ndarray
    """Red, green and blue of each box, (n, k, 3) uint8."""


def empty_road_input(state: CarState, place: TrackPosition) -> SensorInput:
    """Return the input of cars that drive the track in its own direction and meet nothing."""
    n = len(state.body)
    boxes, colours = np.zeros((n, 0, 10)), np.zeros((n, 0, 3), dtype=np.uint8)
    return SensorInput(state, place, np.zeros(n, dtype=bool), boxes, colours)


class Sensor(Protocol):
    """Observes for n cars; a car's observation does not depend on the other cars that observe."""

    @property
    def space(self) -> spaces.Box:
        """The space of one car's observation."""
        ...

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """Begin an episode.

        Args:
            cars: Indices of the cars that begin one, (k,).
            draws: Draws of all n cars, rows of `randomisation.DRAW_DTYPE`, (n,).
        """
        ...

    def get_state(self) -> dict[str, Any]:
        """Return what the sensor keeps of the frames so far."""
        ...

    def set_state(self, state: dict[str, Any], draws: np.ndarray) -> None:
        """Continue from a state that `get_state` returned.

        Args:
            state: What `get_state` returned.
            draws: The draws of all n cars when it did; see `start`.
        """
        ...

    def observe(self, inputs: SensorInput, cars: np.ndarray, out: np.ndarray) -> None:
        """Observe once; each call is a frame.

        Args:
            inputs: What all n cars could perceive.
            cars: Indices of the cars that observe, (k,).
            out: The rows `cars` are filled and the others stay, (n, *space.shape).
        """
        ...


class FrameReader(Protocol):
    """Takes single frames; `sensors.frame_stack` makes a `Sensor` of it."""

    @property
    def space(self) -> spaces.Box:
        """The space of one frame of one car."""
        ...

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        ...

    def get_state(self) -> dict[str, Any]:
        """Return what the reader keeps from one frame to the next, except for the draws."""
        ...

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that `get_state` returned."""
        ...

    def read(
        self, inputs: SensorInput, cars: np.ndarray, frame: np.ndarray, out: np.ndarray
    ) -> None:
        """Take a frame of some cars.

        Args:
            inputs: What all n cars could perceive.
            cars: Indices of the cars, (k,).
            frame: Each car's frame number in its episode, 0 for the first, (n,).
            out: The rows `cars` are filled and the others stay, (n, *space.shape).
        """
        ...
