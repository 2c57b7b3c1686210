"""Drivers without a policy, honest ones and tricksters, and what rewards pay them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import deepracer
from racer.race import Ending, Race, RaceConfig
from racer.reward import Facts, ParamsBuilder, RewardSource
from racer.track import Track

REACH = 0.75
"""How far ahead along the line a driver aims [m]."""
HONEST = 1.4
"""Speed of the clean lap that tricks are measured against [m/s]."""
LOCK = np.deg2rad(30.0)

Driver = Callable[[Race, int], tuple[float, float]]
"""The race of one car and the number of the step to steering [rad] and speed [m/s]."""


class Tape(NamedTuple):
    """What a reward would have been told of one episode."""

    params: list[dict[str, Any]]
    ending: Ending


def drive(
    driver: Driver, track: Track, rules: RaceConfig | None = None, is_backwards: bool = False
) -> Tape:
    """One episode in the real physics, from the start line.

    Args:
        driver: Who drives.
        track: Where.
        rules: Kind, direction and endings; a time trial of one lap by default.
        is_backwards: Start half a lap on with the car turned round.
    """
    rules = rules or RaceConfig(start="line")
    spec, generators = deepracer(), [np.random.default_rng(0)]
    race = Race(rules, [track], spec, 1)
    try:
        race.start(np.array([0]), generators)
        road = int(race.road[0])
        line = race.roads.lines[road]
        if is_backwards:
            race._put(np.array([0]), np.array([line.length / 2]), np.zeros(1), np.array([np.pi]))
        builder, heard = ParamsBuilder(line, spec, is_reversed=road == 1), []
        while race.ending[0] == Ending.RUNNING:
            race.step(np.array([driver(race, len(heard))]), generators)
            heard += builder.build_all(Facts.of(race))
        return Tape(heard, Ending(int(race.ending[0])))
    finally:
        race.world.close()


def payments(source: RewardSource, told: list[dict[str, Any]]) -> list[float]:
    """What a reward pays for each step of an episode; what it changes in its params is a copy.

    Raises:
        RewardError: The reward cannot be used.
    """
    function = source.functions(1)[0]
    with source.watched():
        return [source.call(function, fresh(params)) for params in told]


def fresh(params: dict[str, Any]) -> dict[str, Any]:
    """The same params in a dict and lists of their own."""
    return {key: list(v) if type(v) is list else v for key, v in params.items()}


def pursue(race: Race, aside: float = 0.0) -> float:
    """Steering [rad] to the point of the line `REACH` ahead, moved to its left by `aside` [m]."""
    line, state = race.roads.lines[race.road[0]], race.world.state
    point, heading = line.at(float(race.place.s[0]) + REACH)
    away = point + aside * np.array([-np.sin(heading), np.cos(heading)]) - state.xy[0]
    bearing = np.arctan2(away[1], away[0]) - state.yaw[0]
    wheelbase = deepracer().to_front_axle + deepracer().to_rear_axle
    return float(np.arctan2(2.0 * wheelbase * np.sin(bearing), np.hypot(*away)))


def at_speed(speed: float) -> Driver:
    """A driver that follows the centre line at a speed [m/s]."""
    return lambda race, step: (pursue(race), speed)


def standing(race: Race, step: int) -> tuple[float, float]:
    """Asks for nothing."""
    return 0.0, 0.0


def crawling(race: Race, step: int) -> tuple[float, float]:
    """Lives as long as the clock allows."""
    return pursue(race), 0.1


def weaving(race: Race, step: int) -> tuple[float, float]:
    """Swings from border to border."""
    return pursue(race, aside=0.35 * np.sin(step / 4)), HONEST


def cutting(race: Race, step: int) -> tuple[float, float]:
    """Leaves the road for the infield."""
    return (pursue(race) if step < 15 else LOCK), 2.0


def circling(race: Race, step: int) -> tuple[float, float]:
    """Turns on the spot as tightly as the car can, over the same metres again and again."""
    return LOCK, 0.5


def reversing(race: Race, step: int) -> tuple[float, float]:
    """Follows the line the wrong way round, from where it was put."""
    line, state = race.roads.lines[race.road[0]], race.world.state
    point, _ = line.at(float(race.place.s[0]) - REACH)
    away = point - state.xy[0]
    bearing = np.arctan2(away[1], away[0]) - state.yaw[0]
    return float(np.arctan2(2.0 * 0.164 * np.sin(bearing), np.hypot(*away))), 1.0


TRICKS: dict[str, Driver] = {
    "standing still": standing,
    "crawling": crawling,
    "weaving": weaving,
    "cutting across the infield": cutting,
    "turning on the spot": circling,
    "driving the wrong way": reversing,
}


def try_tricks(track: Track) -> tuple[Tape, dict[str, Tape]]:
    """An honest lap of a track, and each trick tried there."""
    tried = {
        name: drive(driver, track, is_backwards=driver is reversing)
        for name, driver in TRICKS.items()
    }
    return drive(at_speed(HONEST), track), tried
