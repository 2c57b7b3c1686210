"""The state sensor: numbers about the car and the road ahead, for a policy without a camera."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from racer.car.spec import CarSpec
from racer.sensors.sensor_input import SensorInput
from racer.track import Track

LOOKAHEAD_DISTANCES_M = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Distances along the centre line at which the road ahead is observed [m]."""
STATE_MEANINGS = (
    "forward velocity / 4 m/s",
    "leftward velocity / 4 m/s",
    "yaw rate / 5 rad/s, positive to the left",
    "angle of the front wheels / steering limit, positive to the left",
    "commanded steering / steering limit",
    "commanded speed / 4 m/s",
    "distance left of the centre line / half the road's width",
    "sine of the heading relative to the road",
    "cosine of the heading relative to the road",
    "half the road's width / 1 m",
    *(
        f"the centre line's point {distance:g} m ahead: {side} of the car / 4 m"
        for distance in LOOKAHEAD_DISTANCES_M
        for side in ("forward", "left")
    ),
)
"""The meaning of each number of an observation, in order."""
CAR_NUMBERS = 10
"""How many of the numbers are about the car itself; the others are about the road ahead."""
STATE_SIZE = CAR_NUMBERS + 2 * len(LOOKAHEAD_DISTANCES_M)
"""How many numbers an observation has."""


class RoadArrays(NamedTuple):
    """The arrays of a `Track`, first in its own direction and then in the other one."""

    centre: np.ndarray
    s: np.ndarray
    heading: np.ndarray
    width: np.ndarray


class StateSensor:
    """26 numbers, each about -1 to 1, in the car's frame.

    | index | meaning | unit of 1 |
    |---|---|---|
    | 0, 1 | forward and leftward velocity | 4 m/s |
    | 2 | yaw rate | 5 rad/s |
    | 3 | angle of the front wheels | steering limit |
    | 4, 5 | commanded steering and speed | steering limit, 4 m/s |
    | 6 | distance left of the centre line | half the width |
    | 7, 8 | sine and cosine of the heading relative to the road | |
    | 9 | half the road's width | 1 m |
    | 10-25 | x and y of the centre line at each of `LOOKAHEAD_DISTANCES_M`, from the car | 4 m |
    """

    def __init__(self, spec: CarSpec, track: Track) -> None:
        ways = (track, track.reversed())
        self._spec = spec
        self._road = RoadArrays(
            *(np.stack([getattr(way, name) for way in ways]) for name in RoadArrays._fields)
        )
        self._ahead = np.array(LOOKAHEAD_DISTANCES_M)
        self.space = spaces.Box(-10.0, 10.0, (STATE_SIZE,), np.float32)

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """Do nothing: no draw changes what is known about the car and the road."""

    def get_state(self) -> dict[str, Any]:
        """Return an empty dict: nothing is kept from one frame to the next."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Do nothing: nothing is kept from one frame to the next."""

    def read(
        self, inputs: SensorInput, cars: np.ndarray, frame: np.ndarray, out: np.ndarray
    ) -> None:
        """Fill rows of `out` with the 26 numbers of some cars.

        Args:
            inputs: What all n cars could perceive.
            cars: Indices of the cars, (k,).
            frame: Each car's frame number in its episode, (n,).
            out: The rows `cars` are filled, (n, 26).
        """
        state, limit = inputs.state, self._spec.steering_limit
        _fill(
            *(cars, state.body, state.yaw, state.steering, state.command, limit),
            *(inputs.place, inputs.is_reversed, self._road, self._ahead, out),
        )


@njit(cache=True)
def _fill(cars, body, yaw, steering, command, limit, place, is_reversed, road, ahead, out):
    """Fill rows of `out` with the numbers of some cars.

    Args:
        cars: Indices of the cars, (k,).
        body: Body rows, (n, 13).
        yaw: Headings [rad], (n,).
        steering: Angles of the front wheels [rad], (n,).
        command: Commanded steering [rad] and speed [m/s], (n, 2).
        limit: The steering limit [rad].
        place: The `TrackPosition` of the cars in the driven direction.
        is_reversed: Whether each car drives the track against its own direction, (n,).
        road: The track's arrays.
        ahead: Distances at which the road ahead is observed [m], (m,).
        out: Filled, (n, 26).
    """
    n = road.centre.shape[1]
    for k in cars:
        way = int(is_reversed[k])
        centre, along = road.centre[way], road.s[way]
        heading, width = road.heading[way], road.width[way]
        cos, sin = np.cos(yaw[k]), np.sin(yaw[k])
        i = place.segment[k]
        half = 0.5 * width[i]
        out[k, 0] = (body[k, 7] * cos + body[k, 8] * sin) / 4.0
        out[k, 1] = (-body[k, 7] * sin + body[k, 8] * cos) / 4.0
        out[k, 2] = body[k, 12] / 5.0
        out[k, 3] = steering[k] / limit
        out[k, 4] = command[k, 0] / limit
        out[k, 5] = command[k, 1] / 4.0
        out[k, 6] = place.d[k] / half
        out[k, 7] = np.sin(yaw[k] - heading[i])
        out[k, 8] = np.cos(yaw[k] - heading[i])
        out[k, 9] = half
        for j in range(ahead.shape[0]):
            # Walk on from the last segment: the distances ahead only grow.
            target = (place.s[k] + ahead[j]) % along[n]
            while along[i] > target or along[i + 1] <= target:
                i = (i + 1) % n
            t = (target - along[i]) / (along[i + 1] - along[i])
            i1 = (i + 1) % n
            x = centre[i, 0] + t * (centre[i1, 0] - centre[i, 0]) - body[k, 0]
            y = centre[i, 1] + t * (centre[i1, 1] - centre[i, 1]) - body[k, 1]
            out[k, CAR_NUMBERS + 2 * j] = (x * cos + y * sin) / 4.0
            out[k, CAR_NUMBERS + 2 * j + 1] = (-x * sin + y * cos) / 4.0
        # The space's limits; only a car far off the road reaches them.
        for j in range(out.shape[1]):
            out[k, j] = min(max(out[k, j], -10.0), 10.0)
