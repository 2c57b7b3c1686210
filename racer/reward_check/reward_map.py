"""The map of a reward over a track, and its payments along a driver's lap."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from racer.car.spec import deepracer
from racer.errors import ConfigError
from racer.evaluation import evaluate_entries, make_race_rules
from racer.race import OtherCars, RaceConfig, RaceKind
from racer.reward import ParamsBuilder, RewardSource, StepFacts
from racer.reward.param_cases import CONTROL_PERIOD_S, ParamCase, objects_of_case
from racer.reward_check.probes import rewards_of_tape
from racer.reward_check.recorded_params import params_of_race
from racer.track import Track, load_track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from racer.entries.package import Entry

CELLS_ACROSS = 24
"""Number of cells across the road and a little beyond both borders."""
BEYOND_BORDER_WIDTHS = 0.2
"""How far the map reaches beyond each border, in road widths."""


class RewardSurface(NamedTuple):
    """A reward over a road of N centre-line segments."""

    corners: np.ndarray
    """Corners of the cells [m], (N + 1, CELLS_ACROSS + 1, 2)."""
    paid: np.ndarray
    """Reward of a step that ends in a cell, (N, CELLS_ACROSS)."""


def explain_reward(
    source: RewardSource,
    track: str,
    speed: float = 1.4,
    heading: float = 0.0,
    kind: RaceKind = "time_trial",
    is_reversed: bool = False,
    driver: Entry | str = "pure-pursuit",
) -> Figure:
    """Return a picture of a reward on a track.

    Args:
        source: The reward.
        track: The track's name; see `load_track`.
        speed: Actual and commanded speed of the car [m/s], 0.1-4.
        heading: Heading of the car, left of the road's direction [deg].
        kind: The kind of race, which says what is on the road.
        is_reversed: Whether the track is driven against its own direction.
        driver: An entry, or a baseline controller's name; the rewards of its first lap are drawn
            below the road.

    Raises:
        RacerError: The reward cannot be used there, or the driver or speed is unknown.
    """
    from racer.rendering.reward_plot import plot_reward

    if not 0.1 <= speed <= 4.0:
        raise ConfigError(f"speed: {speed:g} m/s; it must be from 0.1 to 4")
    road = load_track(track)
    case = ParamCase(road, is_reversed, kind)
    objects = objects_of_case(case, 1)
    painted = reward_surface(source, case, speed, np.deg2rad(heading))
    like = RaceConfig(direction="reverse" if is_reversed else "forward", kind=kind)
    rules = make_race_rules(1, like.off_track_penalty, 60.0, like=like)
    lap = evaluate_entries([driver], track, rules)[0]
    car = "deepracer" if isinstance(driver, str) else driver.manifest.car
    paid = rewards_of_tape(
        source, params_of_race(lap, road.reversed() if is_reversed else road, car, is_reversed)
    )
    name = driver if isinstance(driver, str) else driver.manifest.name
    done = f"a lap in {lap.lap_times_s[0]:.2f} s" if lap.lap_times_s else "no lap"
    faults = f", {lap.resets} times put back" if lap.resets else ""
    looking = f"{heading:g}° left of the road" if heading else "along the road"
    return plot_reward(
        road,
        *painted,
        lap.progress / 100.0 * road.length,
        np.array(paid),
        f"{source.path.name} on {case}: a step at {speed:g} m/s, looking {looking}",
        f"{name}: {done}{faults}, {sum(paid):.4g} in all",
        None if objects is None else objects.pose[0],
    )


def reward_surface(
    source: RewardSource, case: ParamCase, speed: float, heading: float
) -> RewardSurface:
    """Return the reward of a step that ends in each cell of a grid over the road.

    The car comes from the start line at this speed. The reward is called for the first step of an
    episode there, and then, for each cell, for the previous step and for the step whose end puts
    the car's front into the cell, so that a reward that remembers the last step works too.

    Args:
        source: The reward.
        case: Track, direction and kind of race.
        speed: Actual and commanded speed of the car [m/s].
        heading: Heading of the car, left of the road's direction [rad].

    Raises:
        RewardError: The reward cannot be used there.
    """
    line = case.track.reversed() if case.is_reversed else case.track
    share = np.linspace(-BEYOND_BORDER_WIDTHS, 1.0 + BEYOND_BORDER_WIDTHS, CELLS_ACROSS + 1)[
        :, None
    ]
    rings = [np.vstack([ring, ring[:1]])[:, None] for ring in (line.right, line.left)]
    corners = rings[0] + share * (rings[1] - rings[0])
    middles = (corners[1:, 1:] + corners[1:, :-1] + corners[:-1, 1:] + corners[:-1, :-1]) / 4
    n = len(line.centre)
    segment = np.repeat(np.arange(n), CELLS_ACROSS)
    yaw = np.repeat(line.heading, CELLS_ACROSS) + heading
    builder = ParamsBuilder(line, deepracer(), case.is_reversed)
    front = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    xy = middles.reshape(-1, 2) - builder.ahead * front
    objects = objects_of_case(case, n * CELLS_ACROSS)
    now, before = (
        builder.build_all(_facts(line, xy - back * front, yaw, segment, speed, back, objects))
        for back in (0.0, speed * CONTROL_PERIOD_S)
    )
    first = builder.build_all(
        _facts(line, xy[:1], yaw[:1], segment[:1], speed, 0.0, objects_of_case(case, 1))
    )[0] | {"steps": 1, "progress": 0.0}
    function = source.functions(1)[0]
    paid = np.empty(n * CELLS_ACROSS)
    with source.watched(60.0):
        source.call(function, first)
        for cell, pair in enumerate(zip(before, now)):
            paid[cell] = [source.call(function, params) for params in pair][1]
    return RewardSurface(corners, paid.reshape(n, CELLS_ACROSS))


def _facts(
    line: Track,
    xy: np.ndarray,
    yaw: np.ndarray,
    segment: np.ndarray,
    speed: float,
    back: float,
    objects: OtherCars | None,
) -> StepFacts:
    """Return the facts of cars that came from the start line to xy, `back` [m] before a cell."""
    spec, n = deepracer(), len(xy)
    side = spec.tread / 2
    ends = [(x, y) for x in (spec.to_front_axle, -spec.to_rear_axle) for y in (side, -side)]
    turn = np.stack([np.cos(yaw), np.sin(yaw), -np.sin(yaw), np.cos(yaw)], axis=1).reshape(n, 2, 2)
    wheels = line.on_road(xy[:, None] + np.array(ends) @ turn).sum(axis=1)
    toward = np.cos(yaw - line.heading[segment])
    way = line.s[segment] - back * toward
    steps = np.maximum(np.round(line.s[segment] / (speed * CONTROL_PERIOD_S)), 1.0) + (
        2 if back == 0 else 1
    )
    return StepFacts(
        xy=xy,
        yaw=yaw,
        command=np.tile([0.0, speed], (n, 1)),
        segment=segment,
        progress=100.0 * way / line.length,
        steps=steps.astype(int),
        all_wheels_on_track=wheels == 4,
        is_offtrack=wheels == 0,
        is_crashed=np.zeros(n, dtype=bool),
        time=steps * CONTROL_PERIOD_S,
        objects=objects,
    )
