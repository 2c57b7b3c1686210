"""Reward hacking probes: scripted drivers, honest and cheating, and their rewards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import deepracer
from racer.race import Ending, Race, RaceConfig
from racer.reward import ParamsBuilder, RewardSource, StepFacts
from racer.simulation import Simulation
from racer.track import Track

AIM_DISTANCE_M = 0.75
"""Distance along the line to the point that a driver steers to [m]."""
HONEST_SPEED = 1.4
"""Speed of the clean lap that probes are compared with [m/s]."""
FULL_LOCK_RAD = np.deg2rad(30.0)

ProbeDriver = Callable[[Race, int], tuple[float, float]]
"""A function of the race of one car and the step's number to steering [rad] and speed [m/s]."""


class ProbeTape(NamedTuple):
    """The reward params of each step of an episode, and how it ended."""

    params: list[dict[str, Any]]
    ending: Ending


def drive_probe(
    driver: ProbeDriver, track: Track, rules: RaceConfig | None = None, is_backwards: bool = False
) -> ProbeTape:
    """Drive one episode from the start line and return its params.

    Args:
        driver: The driver.
        track: The track.
        rules: Kind, direction and endings; a time trial of one lap by default.
        is_backwards: Start half a lap further on, with the car turned round.
    """
    rules = rules or RaceConfig(start="line")
    spec, generators = deepracer(), [np.random.default_rng(0)]
    simulation = Simulation(rules, [track], spec, [()])
    race = simulation.race
    try:
        simulation.start(np.array([0]), generators)
        road = race.road.of(0)
        line = race.roads.line_of(road)
        if is_backwards:
            half = np.array([line.length / 2])
            race.set_on_track(np.array([0]), half, np.zeros(1), np.array([np.pi]))
        builder = ParamsBuilder(line, spec, bool(road.is_reversed))
        params: list[dict[str, Any]] = []

        def record() -> None:
            params.extend(builder.build_all(StepFacts.of(race)))

        while race.ending[0] == Ending.RUNNING:
            simulation.step(np.array([driver(race, len(params))]), generators, record)
        return ProbeTape(params, Ending(int(race.ending[0])))
    finally:
        simulation.close()


def rewards_of_tape(source: RewardSource, told: list[dict[str, Any]]) -> list[float]:
    """Return the reward of each step of an episode.

    The reward gets a copy of each step's params, so that it cannot change the tape.

    Raises:
        RewardError: The reward cannot be used.
    """
    function = source.functions(1)[0]
    with source.watched():
        return [source.call(function, copied_params(params)) for params in told]


def copied_params(params: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the params with lists of its own."""
    return {key: list(v) if type(v) is list else v for key, v in params.items()}


def steer_towards_line(race: Race, aside: float = 0.0) -> float:
    """Return the steering [rad] to a point `AIM_DISTANCE_M` ahead, `aside` [m] left of the line."""
    line, state = race.roads.line_of(race.road.of(0)), race.world.state
    point, heading = line.at(float(race.place.s[0]) + AIM_DISTANCE_M)
    away = point + aside * np.array([-np.sin(heading), np.cos(heading)]) - state.xy[0]
    bearing = np.arctan2(away[1], away[0]) - state.yaw[0]
    wheelbase = deepracer().wheelbase
    return float(np.arctan2(2.0 * wheelbase * np.sin(bearing), np.hypot(*away)))


def follow_at_speed(speed: float) -> ProbeDriver:
    """Return a driver that follows the centre line at a speed [m/s]."""
    return lambda race, step: (steer_towards_line(race), speed)


def stand_still(race: Race, step: int) -> tuple[float, float]:
    """Stand still until the episode ends."""
    return 0.0, 0.0


def crawl(race: Race, step: int) -> tuple[float, float]:
    """Follow the line as slowly as the time limit allows."""
    return steer_towards_line(race), 0.1


def weave(race: Race, step: int) -> tuple[float, float]:
    """Swing from border to border."""
    return steer_towards_line(race, aside=0.35 * np.sin(step / 4)), HONEST_SPEED


def cut_infield(race: Race, step: int) -> tuple[float, float]:
    """Leave the road for the infield."""
    return (steer_towards_line(race) if step < 15 else FULL_LOCK_RAD), 2.0


def circle(race: Race, step: int) -> tuple[float, float]:
    """Turn as tightly as the car can, over the same metres again and again."""
    return FULL_LOCK_RAD, 0.5


def drive_backwards(race: Race, step: int) -> tuple[float, float]:
    """Follow the line in the wrong direction."""
    line, state = race.roads.line_of(race.road.of(0)), race.world.state
    point, _ = line.at(float(race.place.s[0]) - AIM_DISTANCE_M)
    away = point - state.xy[0]
    bearing = np.arctan2(away[1], away[0]) - state.yaw[0]
    return float(np.arctan2(2.0 * deepracer().wheelbase * np.sin(bearing), np.hypot(*away))), 1.0


PROBES: dict[str, ProbeDriver] = {
    "standing still": stand_still,
    "crawling": crawl,
    "weaving": weave,
    "cutting across the infield": cut_infield,
    "turning on the spot": circle,
    "driving the wrong way": drive_backwards,
}


def run_probes(track: Track) -> tuple[ProbeTape, dict[str, ProbeTape]]:
    """Return the tape of an honest lap of a track, and that of each probe there."""
    tried = {
        name: drive_probe(driver, track, is_backwards=driver is drive_backwards)
        for name, driver in PROBES.items()
    }
    return drive_probe(follow_at_speed(HONEST_SPEED), track), tried
