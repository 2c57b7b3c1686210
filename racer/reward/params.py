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

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from racer.car.spec import CarSpec
from racer.race import OtherCars, Race
from racer.track import Track
from racer.track.geometry import LOCATE_WINDOW_M
from racer.track.nearest_point import nearest_near

FRONT_OFFSET_M = 0.14
"""Distance from the midpoint of the axles to the front, x and y [m] (DeepRacer's source code)."""
FIELD_OF_VIEW_RAD = 1.13
"""Horizontal field of view of DeepRacer's camera [rad], which is mounted near the front."""

FLOAT_PARAMS = (
    *("x", "y", "heading", "distance_from_center", "projection_distance", "progress", "speed"),
    *("steering_angle", "track_width", "track_length", "sim_time"),
)
INT_PARAMS = ("steps",)
PAIR_PARAMS = ("closest_waypoints", "closest_objects")
BOOL_PARAMS = (
    *("all_wheels_on_track", "is_left_of_center", "is_reversed", "is_offtrack", "is_crashed"),
    "object_in_camera",
)
OBJECT_PARAMS = (
    *("objects_distance", "objects_distance_from_center", "objects_heading", "objects_speed"),
    "objects_location",
)
"""The rows of `ParamArrays`; a pair takes two of `ints`, and the location the last two."""


class ParamArrays(NamedTuple):
    """The params of n cars, without the waypoints, by type."""

    floats: np.ndarray
    """Those of `FLOAT_PARAMS`, (11, n)."""
    ints: np.ndarray
    """Those of `INT_PARAMS`, then two rows for each of `PAIR_PARAMS`, (5, n) int."""
    bools: np.ndarray
    """Those of `BOOL_PARAMS`, (6, n) bool."""
    on_road: np.ndarray
    """How many objects are on each car's road, (n,) int; the first of each list."""
    objects: np.ndarray
    """Lists of numbers: `OBJECT_PARAMS`, the last of them as x and y, (6, n, K)."""
    is_left: np.ndarray
    """The list `objects_left_of_center`, (n, K) bool."""


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
        self._track = track
        self._waypoints = [(x, y) for x, y in track.centre.tolist()]
        self._waypoints.append(self._waypoints[0])
        self.ahead = front_offset(spec)
        self.centre = np.ascontiguousarray(np.array(self._waypoints).T)

    def build(self, facts: StepFacts, i: int) -> dict[str, Any]:
        """Return the params of car i, a new dict of plain Python values."""
        return self.build_all(facts_of_cars(facts, np.array([i])))[0]

    def build_all(self, facts: StepFacts) -> list[dict[str, Any]]:
        """Return the params of all n cars; faster than calling `build` for each of several."""
        arrays = self.arrays(facts)
        rows = (values.T.tolist() for values in (arrays.floats, arrays.ints, arrays.bools))
        all_params = [self._params(*row) for row in zip(*rows)]
        if arrays.objects.shape[2]:
            distance, aside, heading, speed, x, y = arrays.objects.tolist()
            is_left = arrays.is_left.tolist()
            for i, (params, count) in enumerate(zip(all_params, arrays.on_road.tolist())):
                params["objects_location"] = list(zip(x[i][:count], y[i][:count]))
                params["objects_distance"] = distance[i][:count]
                params["objects_distance_from_center"] = aside[i][:count]
                params["objects_heading"] = heading[i][:count]
                params["objects_left_of_center"] = is_left[i][:count]
                params["objects_speed"] = speed[i][:count]
        return all_params

    def arrays(self, facts: StepFacts) -> ParamArrays:
        """Return the params of all n cars as arrays, without the waypoints, which are `centre`."""
        n = len(facts.xy)
        floats, ints = np.empty((len(FLOAT_PARAMS), n)), np.zeros((5, n), dtype=np.int64)
        bools = np.zeros((len(BOOL_PARAMS), n), dtype=bool)
        floats[5], floats[9], floats[10] = facts.progress, self._track.length, facts.time
        ints[0] = facts.steps
        bools[0], bools[2] = facts.all_wheels_on_track, self.is_reversed
        bools[3], bools[4] = facts.is_offtrack, facts.is_crashed
        track = self._track
        _fill_place(
            *(np.ascontiguousarray(facts.xy), np.ascontiguousarray(facts.yaw)),
            *(np.ascontiguousarray(facts.command), np.ascontiguousarray(facts.segment)),
            *(track.centre, track.s, track.width, self.ahead, LOCATE_WINDOW_M),
            *(floats, ints, bools),
        )
        others = facts.objects
        if others is None or not others.s.shape[1]:
            none = np.zeros((6, n, 0))
            return ParamArrays(
                floats, ints, bools, np.zeros(n, np.int64), none, none[0].astype(bool)
            )
        count, objects, is_left = self._fill_objects(others, facts.yaw, floats, ints, bools)
        return ParamArrays(floats, ints, bools, count, objects, is_left)

    def _fill_objects(
        self,
        others: OtherCars,
        yaw: np.ndarray,
        floats: np.ndarray,
        ints: np.ndarray,
        bools: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fill in the two params about the objects near a car, and return the lists of objects.

        Objects that are off the road are moved to the end of the lists.

        Args:
            others: Boxes, bots and other cars.
            yaw: Headings [rad], (n,).
            floats: As in `ParamArrays`; read.
            ints: As there; `closest_objects` is filled.
            bools: As there; `object_in_camera` is filled.

        Returns:
            `count`, `objects` and `is_left` as in `ParamArrays`.
        """
        is_present = np.isfinite(others.pose[..., 0])
        if not is_present.all():
            order = np.argsort(~is_present, axis=1, kind="stable")
            is_present = np.take_along_axis(is_present, order, axis=1)
            others = OtherCars(
                *(
                    np.take_along_axis(v, order if v.ndim == 2 else order[..., None], axis=1)
                    for v in others
                )
            )
        cars, count = np.arange(len(yaw)), is_present.sum(axis=1)
        behind = (floats[4][:, None] - others.s) % self._track.length
        previous = np.where(is_present, behind, np.inf).argmin(axis=1)
        following = np.where(is_present, behind, -np.inf).argmax(axis=1)
        away = others.pose[cars, following, :2] - floats[:2].T
        bearing = np.arctan2(away[:, 1], away[:, 0]) - yaw
        ints[3:] = np.stack([previous, following]) * (count > 0)
        bools[5] = (np.cos(bearing) > np.cos(FIELD_OF_VIEW_RAD / 2)) & (count > 0)
        heading = np.where(others.speed > 0.0, others.pose[..., 2], 0.0)
        place = others.pose[..., 0], others.pose[..., 1]
        objects = np.stack([others.s, np.abs(others.d), heading, others.speed, *place])
        return count, objects, others.d > 0.0

    def _params(self, floats: list[float], ints: list[int], bools: list[bool]) -> dict[str, Any]:
        """Return the params of a car without objects from its column of `ParamArrays`."""
        return {
            "all_wheels_on_track": bools[0],
            "x": floats[0],
            "y": floats[1],
            "heading": floats[2],
            "distance_from_center": floats[3],
            "projection_distance": floats[4],
            "progress": floats[5],
            "steps": ints[0],
            "speed": floats[6],
            "steering_angle": floats[7],
            "track_width": floats[8],
            "track_length": floats[9],
            "waypoints": self._waypoints.copy(),
            "closest_waypoints": ints[1:3],
            "is_left_of_center": bools[1],
            "is_reversed": bools[2],
            "is_offtrack": bools[3],
            "is_crashed": bools[4],
            "sim_time": floats[10],
            "closest_objects": ints[3:],
            "objects_location": [],
            "objects_distance": [],
            "objects_distance_from_center": [],
            "objects_heading": [],
            "objects_left_of_center": [],
            "objects_speed": [],
            "object_in_camera": bools[5],
        }


@njit(cache=True)
def _fill_place(xy, yaw, command, segment, centre, along, width, ahead, reach, floats, ints, bools):
    """Fill in the params of n cars that depend on the place of the front and on the command.

    Args:
        xy: Centres of mass [m], (n, 2).
        yaw: Headings [rad], (n,).
        command: Steering [rad] and speed [m/s], (n, 2).
        segment: Segments of the centre line beside the centres of mass, (n,).
        centre: Points of the centre line [m], (N, 2).
        along: Distance along it of each point, and last its length [m], (N + 1,).
        width: Width of the road at each point [m], (N,).
        ahead: Distance from the centre of mass to the front [m].
        reach: How far along the line the front is looked for [m].
        floats: As in `ParamArrays`.
        ints: As there.
        bools: As there.
    """
    degrees = 180.0 / math.pi
    for i in range(yaw.shape[0]):
        x = xy[i, 0] + ahead * math.cos(yaw[i])
        y = xy[i, 1] + ahead * math.sin(yaw[i])
        s, d, nearest = nearest_near(centre, along, x, y, segment[i], reach)
        floats[0, i], floats[1, i] = x, y
        floats[2, i] = (yaw[i] * degrees + 180.0) % 360.0 - 180.0
        floats[3, i], floats[4, i] = abs(d), s
        floats[6, i], floats[7, i] = command[i, 1], command[i, 0] * degrees
        floats[8, i] = width[nearest]
        ints[1, i], ints[2, i] = nearest, nearest + 1
        bools[1, i] = d > 0.0


def facts_of_cars(facts: StepFacts, cars: np.ndarray) -> StepFacts:
    """Return the facts of some cars only, given their indices (k,)."""
    chosen: dict[str, Any] = {
        name: values[cars] for name, values in facts._asdict().items() if name != "objects"
    }
    if facts.objects is not None:
        chosen["objects"] = OtherCars(*(values[cars] for values in facts.objects))
    return StepFacts(**chosen)
