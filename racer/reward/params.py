"""The `params` of DeepRacer's `reward_function(params)`, for n cars that race alone.

| key | type, unit | meaning |
|---|---|---|
| all_wheels_on_track | bool | all four wheel centres lie between the borders |
| x, y | float, m | the front of the car: 0.14 m ahead of the middle between its axles |
| heading | float, degrees in [-180, 180) | yaw from +x, counter-clockwise |
| distance_from_center | float, m, >= 0 | from the centre line to the centre of mass |
| projection_distance | float, m | way along the centre line from the start line to the car |
| progress | float, percent | way made good since the episode began; below 0 behind its start |
| steps | int, >= 1 | control steps of the episode, this one included |
| speed | float, m/s | the commanded speed |
| steering_angle | float, degrees | the commanded angle, positive to the left |
| track_width | float, m | from border to border beside the car |
| track_length | float, m | length of the centre line |
| waypoints | list of (x, y), m | centre line as driven, last = first; shared: do not change it |
| closest_waypoints | [int, int] | the waypoints behind and ahead of the car, along the line |
| is_left_of_center | bool | left of the centre line, seen in the driving direction |
| is_reversed | bool | the track is driven against its own direction |
| is_offtrack | bool | no wheel centre lies between the borders |
| is_crashed | bool | the car hit something or turned over |
| sim_time | float, s | race time since the episode began |
| closest_objects | [int, int] | [0, 0]: there are no objects |
| objects_location, objects_distance, objects_distance_from_center, objects_heading, \
objects_left_of_center, objects_speed | list | empty: there are no objects |
| object_in_camera | bool | False |

Where DeepRacer's documents and its source disagree, the source is followed: `speed` is the
command and not what the car does (the documents say observed), `is_reversed` is about the
track's direction (they say clockwise), `projection_distance` and `sim_time` exist (they do not
say so), and without objects `closest_objects` is [0, 0] (they do not say). One thing differs
from both: that source measures the place on the track at the front of the car; here it is the
centre of mass, as in the laps and endings, so that one place decides everything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import CarSpec
from racer.track import Track

FRONT = 0.14
"""From the middle between the axles to the point that x, y mean [m] (DeepRacer's source)."""


class Facts(NamedTuple):
    """What happened to n cars in one control step; every array has a leading axis of n."""

    xy: np.ndarray
    """Centre of mass [m], (n, 2)."""
    yaw: np.ndarray
    """Heading [rad], (n,)."""
    command: np.ndarray
    """Commanded steering [rad, positive to the left] and speed [m/s], (n, 2)."""
    place_s: np.ndarray
    """Distance along the centre line [m], (n,)."""
    place_d: np.ndarray
    """Distance left of the centre line [m], (n,)."""
    place_segment: np.ndarray
    """Index of the centre-line segment, (n,) int."""
    progress: np.ndarray
    """Share of the lap made good since the start [percent], (n,)."""
    steps: np.ndarray
    """Control steps since the start, (n,) int."""
    all_wheels_on_track: np.ndarray
    """(n,) bool."""
    is_offtrack: np.ndarray
    """(n,) bool."""
    is_crashed: np.ndarray
    """(n,) bool."""
    time: np.ndarray
    """Race time [s], (n,)."""


class ParamsBuilder:
    """Turns facts into params on one track.

    Attributes:
        is_reversed: Whether the track is driven against its own direction; the track given is
            the one driven.
    """

    def __init__(self, track: Track, spec: CarSpec) -> None:
        self.is_reversed = False
        self._width, self._length = track.width, track.length
        self._waypoints = [(x, y) for x, y in track.centre.tolist()]
        self._waypoints.append(self._waypoints[0])
        self._ahead = FRONT + (spec.to_front_axle - spec.to_rear_axle) / 2

    def build(self, facts: Facts, i: int) -> dict[str, Any]:
        """The params of car i: a fresh dict of plain Python values."""
        return self.build_all(Facts(*(values[i : i + 1] for values in facts)))[0]

    def build_all(self, facts: Facts) -> list[dict[str, Any]]:
        """The params of all n cars; for more than one car faster than `build`."""
        front = facts.xy + self._ahead * np.stack([np.cos(facts.yaw), np.sin(facts.yaw)], axis=1)
        columns = (
            facts.all_wheels_on_track,
            front[:, 0],
            front[:, 1],
            (np.rad2deg(facts.yaw) + 180.0) % 360.0 - 180.0,
            np.abs(facts.place_d),
            facts.place_s,
            facts.progress,
            facts.steps,
            facts.command[:, 1],
            np.rad2deg(facts.command[:, 0]),
            self._width[facts.place_segment],
            facts.place_segment,
            facts.place_d > 0.0,
            facts.is_offtrack,
            facts.is_crashed,
            facts.time,
        )
        return [self._params(*row) for row in zip(*(values.tolist() for values in columns))]

    def _params(
        self,
        all_wheels_on_track: bool,
        x: float,
        y: float,
        heading: float,
        distance_from_center: float,
        projection_distance: float,
        progress: float,
        steps: int,
        speed: float,
        steering_angle: float,
        track_width: float,
        segment: int,
        is_left_of_center: bool,
        is_offtrack: bool,
        is_crashed: bool,
        sim_time: float,
    ) -> dict[str, Any]:
        return {
            "all_wheels_on_track": all_wheels_on_track,
            "x": x,
            "y": y,
            "heading": heading,
            "distance_from_center": distance_from_center,
            "projection_distance": projection_distance,
            "progress": progress,
            "steps": steps,
            "speed": speed,
            "steering_angle": steering_angle,
            "track_width": track_width,
            "track_length": self._length,
            "waypoints": self._waypoints,
            "closest_waypoints": [segment, segment + 1],
            "is_left_of_center": is_left_of_center,
            "is_reversed": self.is_reversed,
            "is_offtrack": is_offtrack,
            "is_crashed": is_crashed,
            "sim_time": sim_time,
            "closest_objects": [0, 0],
            "objects_location": [],
            "objects_distance": [],
            "objects_distance_from_center": [],
            "objects_heading": [],
            "objects_left_of_center": [],
            "objects_speed": [],
            "object_in_camera": False,
        }
