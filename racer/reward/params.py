"""The `params` of DeepRacer's `reward_function(params)`, for n cars.

| key | type, unit | meaning |
|---|---|---|
| all_wheels_on_track | bool | all four wheel centres lie between the borders |
| x, y | float, m | the front of the car: 0.14 m ahead of the middle between its axles |
| heading | float, degrees in [-180, 180) | yaw from +x, counter-clockwise |
| distance_from_center | float, m, >= 0 | from the centre line to the front |
| projection_distance | float, m | way along the centre line from the start line to the front |
| progress | float, percent | way made good since the episode began; below 0 behind its start, \
100 in the step that completes a lap, and from 0 again in the next lap |
| steps | int, >= 1 | control steps of the episode, this one included |
| speed | float, m/s | the commanded speed |
| steering_angle | float, degrees | the commanded angle, positive to the left |
| track_width | float, m | from border to border beside the front |
| track_length | float, m | length of the centre line |
| waypoints | list of (x, y), m | centre line as driven, last = first; for a DeepRacer .npy its \
rows, without those that repeat the centre point before them |
| closest_waypoints | [int, int] | the waypoints behind and ahead of the front, along the line |
| is_left_of_center | bool | the front is left of the centre line, seen in the driving direction |
| is_reversed | bool | the track is driven against its own direction |
| is_offtrack | bool | no wheel centre lies between the borders |
| is_crashed | bool | the car hit something or turned over |
| sim_time | float, s | race time since the episode began, penalties included |
| closest_objects | [int, int] | the objects behind and ahead of the front along the line, across \
the start line too: indices of the lists below; [0, 0] without objects |
| objects_location | list of (x, y), m | the middle of each |
| objects_distance | list of float, m | way along the centre line from the start line to each |
| objects_distance_from_center | list of float, m, >= 0 | from the centre line to each |
| objects_heading | list of float, radians | yaw of each that drives; 0.0 for a box |
| objects_left_of_center | list of bool | left of the centre line, in the driving direction |
| objects_speed | list of float, m/s | 0.0 for a box |
| object_in_camera | bool | the next object's middle lies within the camera's horizontal view |

Every call gets a dict and lists of its own. In reverse `waypoints`, the distances along the line
and left and right are those of the line as it is driven. Where cars race each other, the lists
hold the boxes or bots and then the other cars, without those that are off the road at that moment.

Where DeepRacer's documents and its source disagree, the source is followed:

- x, y is the front of the car (the documents say its centre), and the place on the track that
  `distance_from_center`, `projection_distance`, `track_width`, `closest_waypoints`,
  `is_left_of_center` and `closest_objects` tell of is that of the front.
- `speed` is the command and not what the car does (they say observed).
- `is_reversed` is about the track's own direction (they say clockwise).
- `closest_waypoints` are neighbours along the line (they say by distance from the car).
- `objects_heading` is in radians and 0.0 for a box (they say degrees).
- `projection_distance`, `object_in_camera` and `sim_time` exist, and without objects
  `closest_objects` is [0, 0] and the lists are empty (they do not say so).

Rows of a track's file that repeat the one before are left out, as that source does since March
2026. An index into `waypoints` out of an older log may count them.

Two things differ from that source. `progress` is measured at the centre of mass, as the laps
and endings are, so that 100 is a lap. `object_in_camera` looks at the object's middle and not at
its corners too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import CarSpec
from racer.race import OtherCars, Race
from racer.track import Track, TrackPosition

FRONT_OFFSET_M = 0.14
"""From the middle between the axles to the point that x, y mean [m] (DeepRacer's source)."""
FIELD_OF_VIEW_RAD = 1.13
"""Horizontal field of view of DeepRacer's camera [rad], which stands near that point."""


def front_offset(spec: CarSpec) -> float:
    """From the centre of mass to the point that x, y mean [m]."""
    return FRONT_OFFSET_M + (spec.to_front_axle - spec.to_rear_axle) / 2


class StepFacts(NamedTuple):
    """What happened to n cars in one control step; every array has a leading axis of n."""

    xy: np.ndarray
    """Centre of mass [m], (n, 2)."""
    yaw: np.ndarray
    """Heading [rad], (n,)."""
    command: np.ndarray
    """Commanded steering [rad, positive to the left] and speed [m/s], (n, 2)."""
    segment: np.ndarray
    """Index of the centre-line segment beside the centre of mass, (n,) int."""
    progress: np.ndarray
    """Share of the lap made good [percent], (n,)."""
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
    objects: OtherCars | None = None
    """What shares the road with each car, if anything."""

    @classmethod
    def of(cls, race: Race) -> StepFacts:
        """What the last step of a race was."""
        state = race.world.state
        return cls(
            xy=state.xy,
            yaw=state.yaw,
            command=state.command,
            segment=race.place.segment,
            progress=race.progress,
            steps=race.steps,
            all_wheels_on_track=race.wheels_on_road == 4,
            is_offtrack=race.wheels_on_road == 0,
            is_crashed=race.is_crashed,
            time=race.time,
            objects=race.others if race.objects.count or race.is_together else None,
        )


class ParamsBuilder:
    """Turns facts into params on one track.

    Args:
        track: The track as it is driven.
        spec: The car.
        is_reversed: Whether that is against the track's own direction.

    Attributes:
        ahead: From the centre of mass to the point that x, y mean [m].
    """

    def __init__(self, track: Track, spec: CarSpec, is_reversed: bool = False) -> None:
        self.is_reversed = is_reversed
        self._track, self._width, self._length = track, track.width, track.length
        self._waypoints = [(x, y) for x, y in track.centre.tolist()]
        self._waypoints.append(self._waypoints[0])
        self.ahead = front_offset(spec)

    def build(self, facts: StepFacts, i: int) -> dict[str, Any]:
        """The params of car i: a fresh dict of plain Python values."""
        return self.build_all(facts_of_cars(facts, np.array([i])))[0]

    def build_all(self, facts: StepFacts) -> list[dict[str, Any]]:
        """The params of all n cars; for more than one car faster than `build`."""
        front = facts.xy + self.ahead * np.stack([np.cos(facts.yaw), np.sin(facts.yaw)], axis=1)
        place = self._track.locate(front, near=facts.segment)
        columns = (
            facts.all_wheels_on_track,
            front[:, 0],
            front[:, 1],
            (np.rad2deg(facts.yaw) + 180.0) % 360.0 - 180.0,
            np.abs(place.d),
            place.s,
            facts.progress,
            facts.steps,
            facts.command[:, 1],
            np.rad2deg(facts.command[:, 0]),
            self._width[place.segment],
            place.segment,
            place.d > 0.0,
            facts.is_offtrack,
            facts.is_crashed,
            facts.time,
        )
        every = [self._params(*row) for row in zip(*(values.tolist() for values in columns))]
        if facts.objects is not None and facts.objects.s.shape[1]:
            for own, objects in zip(every, self._objects(facts, facts.objects, front, place)):
                own.update(objects)
        return every

    def _objects(
        self, facts: StepFacts, objects: OtherCars, front: np.ndarray, place: TrackPosition
    ) -> Iterator[dict[str, Any]]:
        """The keys about objects, a dict a car; without those of cars that are off the road."""
        is_there = np.isfinite(objects.pose[..., 0])
        if is_there.all():
            yield from self._seen(facts.yaw, objects, front, place.s)
            return
        for i, there in enumerate(is_there):
            if not there.any():
                yield {}
                continue
            left = OtherCars(*(values[i : i + 1, there] for values in objects))
            one = slice(i, i + 1)
            yield from self._seen(facts.yaw[one], left, front[one], place.s[one])

    def _seen(
        self, yaw: np.ndarray, objects: OtherCars, front: np.ndarray, s: np.ndarray
    ) -> Iterator[dict[str, Any]]:
        cars = np.arange(len(front))
        behind = (s[:, None] - objects.s) % self._length
        previous, following = behind.argmin(axis=1), behind.argmax(axis=1)
        away = objects.pose[cars, following, :2] - front
        bearing = np.arctan2(away[:, 1], away[:, 0]) - yaw
        is_seen = np.cos(bearing) > np.cos(FIELD_OF_VIEW_RAD / 2)
        moving = objects.speed > 0.0
        for i in cars.tolist():
            yield {
                "closest_objects": [int(previous[i]), int(following[i])],
                "objects_location": [(x, y) for x, y in objects.pose[i, :, :2].tolist()],
                "objects_distance": objects.s[i].tolist(),
                "objects_distance_from_center": np.abs(objects.d[i]).tolist(),
                "objects_heading": np.where(moving[i], objects.pose[i, :, 2], 0.0).tolist(),
                "objects_left_of_center": (objects.d[i] > 0.0).tolist(),
                "objects_speed": objects.speed[i].tolist(),
                "object_in_camera": bool(is_seen[i]),
            }

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
            "waypoints": list(self._waypoints),
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


def facts_of_cars(facts: StepFacts, cars: np.ndarray) -> StepFacts:
    """The facts of cars (k,) alone."""
    chosen: dict[str, Any] = {
        name: values[cars] for name, values in facts._asdict().items() if name != "objects"
    }
    if facts.objects is not None:
        chosen["objects"] = OtherCars(*(values[cars] for values in facts.objects))
    return StepFacts(**chosen)
