"""The `params` of DeepRacer's `reward_function(params)`, for n cars.

| key | type, unit | meaning |
|---|---|---|
| all_wheels_on_track | bool | all four wheel centres are between the borders |
| x, y | float, m | the front of the car: 0.14 m ahead of the midpoint of its axles |
| heading | float, degrees in [-180, 180) | yaw from +x, counter-clockwise |
| distance_from_center | float, m, >= 0 | from the centre line to the front |
| projection_distance | float, m | distance along the centre line from the start line to the front |
| progress | float, percent | share of the lap driven since the episode began; negative behind its \
start, 100 in the step that completes a lap, and from 0 again in the next lap |
| steps | int, >= 1 | control steps of the episode, including this one |
| speed | float, m/s | the commanded speed |
| steering_angle | float, degrees | the commanded angle, positive to the left |
| track_width | float, m | from border to border beside the front |
| track_length | float, m | length of the centre line |
| waypoints | list of (x, y), m | centre line as driven, last = first; for a DeepRacer .npy its \
rows, without those that repeat the centre point before them |
| closest_waypoints | [int, int] | the waypoints behind and ahead of the front, along the line |
| is_left_of_center | bool | the front is left of the centre line, seen in the driving direction |
| is_reversed | bool | the track is driven against its own direction |
| is_offtrack | bool | no wheel centre is between the borders |
| is_crashed | bool | the car hit something or turned over |
| sim_time | float, s | race time since the episode began, including penalties |
| closest_objects | [int, int] | the objects behind and ahead of the front along the line, across \
the start line too: indices of the lists below; [0, 0] without objects |
| objects_location | list of (x, y), m | the centre of each |
| objects_distance | list of float, m | distance along the centre line from the start line to each |
| objects_distance_from_center | list of float, m, >= 0 | from the centre line to each |
| objects_heading | list of float, radians | yaw of each moving object; 0.0 for a box |
| objects_left_of_center | list of bool | left of the centre line, in the driving direction |
| objects_speed | list of float, m/s | 0.0 for a box |
| object_in_camera | bool | the next object's centre is within the camera's horizontal view |

Every call receives a new dict with new lists. If the track is driven in reverse, `waypoints`, the
distances along the line and the sides left and right are those of the line as it is driven. If
cars race each other, the lists contain the boxes or bots first and then the other cars, without
cars that are off the road at that moment.

Where DeepRacer's documentation and its source code disagree, racer follows the source code:

- x, y is the front of the car (the documentation says its centre), and `distance_from_center`,
  `projection_distance`, `track_width`, `closest_waypoints`, `is_left_of_center` and
  `closest_objects` refer to the front's position on the track.
- `speed` is the command and not the car's actual speed (the documentation says observed).
- `is_reversed` refers to the track's own direction (the documentation says clockwise).
- `closest_waypoints` are neighbours along the line (the documentation says by distance from the
  car).
- `objects_heading` is in radians and 0.0 for a box (the documentation says degrees).
- `projection_distance`, `object_in_camera` and `sim_time` exist, and without objects
  `closest_objects` is [0, 0] and the lists are empty (the documentation does not mention that).

Rows of a track's file that repeat the one before are left out, as that source code does since
March 2026. An index into `waypoints` from an older log may count them.

racer differs from that source code in two points. `progress` is measured at the centre of mass, as
laps and endings are, so that 100 is a complete lap. `object_in_camera` tests the object's centre
only, not its corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import CarSpec
from racer.race import OtherCars, Race
from racer.track import Track, TrackPosition

FRONT_OFFSET_M = 0.14
"""Distance from the midpoint of the axles to the front, x and y [m] (DeepRacer's source code)."""
FIELD_OF_VIEW_RAD = 1.13
"""Horizontal field of view of DeepRacer's camera [rad], which is mounted near the front."""

OWN_KEYS = (
    *("all_wheels_on_track", "x", "y", "heading", "distance_from_center", "projection_distance"),
    *("progress", "steps", "speed", "steering_angle", "track_width", "is_left_of_center"),
    *("is_offtrack", "is_crashed", "sim_time"),
)
"""The params that are one number or truth value of each car."""
OBJECT_LISTS = (
    *("objects_location", "objects_distance", "objects_distance_from_center"),
    *("objects_heading", "objects_left_of_center", "objects_speed"),
)
OBJECT_KEYS = {*OBJECT_LISTS, "closest_objects", "object_in_camera"}
PLACE_KEYS = {
    *("distance_from_center", "projection_distance", "track_width", "is_left_of_center"),
    *("closest_waypoints", "closest_objects", "object_in_camera"),
    *OBJECT_LISTS,
}
"""The params for which the front is sought on the track."""
FRONT_KEYS = {"x", "y", *PLACE_KEYS}


def front_offset(spec: CarSpec) -> float:
    """Return the distance from a car's centre of mass to its front, the point of x and y [m]."""
    return FRONT_OFFSET_M + (spec.to_front_axle - spec.to_rear_axle) / 2


class StepFacts(NamedTuple):
    """State of n cars after one control step; every array has a leading axis of n.

    Example:
        >>> import numpy as np
        >>> from racer.car.spec import car_named
        >>> from racer.track import load_track
        >>> track, steps = load_track("oval"), np.array([1])
        >>> yes, no = np.array([True]), np.array([False])
        >>> xy, yaw = track.at(np.array([0.0]))
        >>> command = np.array([[0.0, 1.5]])
        >>> facts = StepFacts(xy, yaw, command, steps - 1, np.zeros(1), steps, yes, no, no, steps)
        >>> params = ParamsBuilder(track, car_named("deepracer")).build(facts, 0)
        >>> params["speed"], params["closest_waypoints"], params["all_wheels_on_track"]
        (1.5, [1, 2], True)
    """

    xy: np.ndarray
    """Centre of mass [m], (n, 2)."""
    yaw: np.ndarray
    """Heading [rad], (n,)."""
    command: np.ndarray
    """Commanded steering [rad, positive to the left] and speed [m/s], (n, 2)."""
    segment: np.ndarray
    """Index of the centre-line segment beside the centre of mass, (n,) int."""
    progress: np.ndarray
    """Share of the lap driven [percent], (n,)."""
    steps: np.ndarray
    """Control steps since the start, (n,) int."""
    all_wheels_on_track: np.ndarray
    """Whether all four wheel centres are between the borders, (n,) bool."""
    is_offtrack: np.ndarray
    """Whether no wheel centre is between the borders, (n,) bool."""
    is_crashed: np.ndarray
    """Whether the car hit something or turned over, (n,) bool."""
    time: np.ndarray
    """Race time, including penalties [s], (n,)."""
    objects: OtherCars | None = None
    """Boxes, bots and other cars on each car's road; None if there are none."""

    @classmethod
    def of(cls, race: Race) -> StepFacts:
        """Return the state of a race's n cars after its last step."""
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
    """Builds the `params` of cars on one track from their `StepFacts`.

    Args:
        track: The track in the direction in which it is driven.
        spec: The car.
        is_reversed: Whether that is against the track's own direction.

    Attributes:
        ahead: Distance from the centre of mass to the front, the point of x and y [m].
        centre: The waypoints: x and y [m], (2, N).
    """

    def __init__(self, track: Track, spec: CarSpec, is_reversed: bool = False) -> None:
        self.is_reversed = is_reversed
        self._track, self._width, self._length = track, track.width, track.length
        self._waypoints = [(x, y) for x, y in track.centre.tolist()]
        self._waypoints.append(self._waypoints[0])
        self.ahead = front_offset(spec)
        self.centre = np.ascontiguousarray(np.array(self._waypoints).T)

    def build(self, facts: StepFacts, i: int) -> dict[str, Any]:
        """Return the params of car i, a new dict of plain Python values."""
        return self.build_all(facts_of_cars(facts, np.array([i])))[0]

    def build_all(self, facts: StepFacts) -> list[dict[str, Any]]:
        """Return the params of all n cars; faster than calling `build` for each of several."""
        values = self.columns(facts, (*OWN_KEYS, "closest_waypoints"))
        closest = values.pop("closest_waypoints").tolist()
        rows = zip(*(values[name].tolist() for name in OWN_KEYS))
        all_params = [self._params(pair, *row) for pair, row in zip(closest, rows)]
        if facts.objects is not None and facts.objects.s.shape[1]:
            found = self.columns(facts, (*OBJECT_LISTS, "closest_objects", "object_in_camera"))
            counts = found["objects_count"].tolist()
            lists = {name: found[name].tolist() for name in OBJECT_LISTS}
            pairs, in_camera = (
                found[name].tolist() for name in ("closest_objects", "object_in_camera")
            )
            for i, (params, count) in enumerate(zip(all_params, counts)):
                if not count:
                    continue
                params.update({name: values[i][:count] for name, values in lists.items()})
                params["objects_location"] = [(x, y) for x, y in params["objects_location"]]
                params["closest_objects"] = pairs[i]
                params["object_in_camera"] = in_camera[i]
        return all_params

    def columns(self, facts: StepFacts, keys: Sequence[str]) -> dict[str, np.ndarray]:
        """Return params as arrays over n cars; only what these need is computed.

        Args:
            facts: The state of the cars.
            keys: The params, without `waypoints`, which is `centre`.

        Returns:
            An array (n, ...) for each key. Of the lists of objects, arrays (n, K, ...), the first
            `objects_count` items (n,) are those on the road.
        """
        wanted = set(keys)
        found: dict[str, np.ndarray] = {}
        front, place = np.empty((len(facts.xy), 2)), None
        if wanted & FRONT_KEYS:
            front = facts.xy + self.ahead * np.stack([np.cos(facts.yaw), np.sin(facts.yaw)], axis=1)
            found |= {"x": front[:, 0], "y": front[:, 1]}
        if wanted & PLACE_KEYS:
            place = self._track.locate(front, near=facts.segment)
            found["distance_from_center"] = np.abs(place.d)
            found["projection_distance"] = place.s
            found["track_width"] = self._width[place.segment]
            found["is_left_of_center"] = place.d > 0.0
            found["closest_waypoints"] = place.segment[:, None] + np.array([0, 1])
        if "heading" in wanted:
            found["heading"] = (np.rad2deg(facts.yaw) + 180.0) % 360.0 - 180.0
        if "steering_angle" in wanted:
            found["steering_angle"] = np.rad2deg(facts.command[:, 0])
        if "track_length" in wanted:
            found["track_length"] = np.full(len(facts.xy), self._length)
        if "is_reversed" in wanted:
            found["is_reversed"] = np.full(len(facts.xy), self.is_reversed)
        found["all_wheels_on_track"] = facts.all_wheels_on_track
        found["progress"], found["steps"] = facts.progress, facts.steps
        found["speed"], found["sim_time"] = facts.command[:, 1], facts.time
        found["is_offtrack"], found["is_crashed"] = facts.is_offtrack, facts.is_crashed
        if wanted & OBJECT_KEYS:
            found |= self._object_columns(facts, front, place)
        chosen = {key: found[key] for key in keys}
        return chosen | {key: found[key] for key in found if key == "objects_count"}

    def _object_columns(
        self, facts: StepFacts, front: np.ndarray, place: TrackPosition | None
    ) -> dict[str, np.ndarray]:
        """Return the params about objects; objects that are off the road are moved to the end."""
        n, objects = len(facts.xy), facts.objects
        if objects is None or not objects.s.shape[1]:
            none = np.zeros((n, 0))
            lists = dict.fromkeys(OBJECT_LISTS, none)
            lists |= {"objects_location": none[..., None].repeat(2, axis=2)}
            lists |= {"objects_left_of_center": none.astype(bool)}
            pair = np.zeros((n, 2), dtype=np.int64)
            return lists | {
                "closest_objects": pair,
                "object_in_camera": np.zeros(n, dtype=bool),
                "objects_count": np.zeros(n, dtype=np.int64),
            }
        assert place is not None
        is_present = np.isfinite(objects.pose[..., 0])
        if not is_present.all():
            order = np.argsort(~is_present, axis=1, kind="stable")
            is_present = np.take_along_axis(is_present, order, axis=1)
            objects = OtherCars(
                *(
                    np.take_along_axis(v, order if v.ndim == 2 else order[..., None], axis=1)
                    for v in objects
                )
            )
        cars, count = np.arange(n), is_present.sum(axis=1)
        behind = (place.s[:, None] - objects.s) % self._length
        previous = np.where(is_present, behind, np.inf).argmin(axis=1)
        following = np.where(is_present, behind, -np.inf).argmax(axis=1)
        away = objects.pose[cars, following, :2] - front
        bearing = np.arctan2(away[:, 1], away[:, 0]) - facts.yaw
        return {
            "objects_location": objects.pose[..., :2],
            "objects_distance": objects.s,
            "objects_distance_from_center": np.abs(objects.d),
            "objects_heading": np.where(objects.speed > 0.0, objects.pose[..., 2], 0.0),
            "objects_left_of_center": objects.d > 0.0,
            "objects_speed": objects.speed,
            "closest_objects": np.stack([previous, following], axis=1) * (count > 0)[:, None],
            "object_in_camera": (np.cos(bearing) > np.cos(FIELD_OF_VIEW_RAD / 2)) & (count > 0),
            "objects_count": count,
        }

    def _params(
        self,
        closest_waypoints: list[int],
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
            "closest_waypoints": closest_waypoints,
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
    """Return the facts of some cars only, given their indices (k,)."""
    chosen: dict[str, Any] = {
        name: values[cars] for name, values in facts._asdict().items() if name != "objects"
    }
    if facts.objects is not None:
        chosen["objects"] = OtherCars(*(values[cars] for values in facts.objects))
    return StepFacts(**chosen)
