"""States all over a track in which a reward is called by the check."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from racer.car.spec import deepracer
from racer.race import RACE_KINDS, OtherCars, RaceConfig, RaceKind
from racer.race.obstacles import Obstacles
from racer.race.roads import Road, Roads
from racer.reward.params import ParamsBuilder, StepFacts
from racer.track import Track
from racer.world import CONTROL_PERIOD_S

STATES_PER_CASE = 96
"""Number of states in each case."""
BORDER_MARGIN_M = 0.12
"""Distance of the centre line from a border [m] at which the first or last wheel crosses it."""


class ParamCase(NamedTuple):
    """A track, its direction, and the kind of race, which says what is on the road."""

    track: Track
    is_reversed: bool
    kind: RaceKind

    def __str__(self) -> str:
        what = {"time_trial": "without objects", "object_avoidance": "with boxes"}
        way = "in reverse" if self.is_reversed else "forward"
        return f"{self.track.name} {way} {what.get(self.kind, 'with bots')}"


def param_cases(tracks: list[Track]) -> list[ParamCase]:
    """Return every kind of race in both directions of each track."""
    ways = (False, True)
    return [ParamCase(track, way, kind) for track in tracks for kind in RACE_KINDS for way in ways]


def case_params(case: ParamCase) -> list[dict[str, Any]]:
    """Return the params of the states of `case_facts`."""
    builder, facts = case_facts(case)
    return builder.build_all(facts)


def case_facts(case: ParamCase, seed: int = 0) -> tuple[ParamsBuilder, StepFacts]:
    """Return the facts of an episode of `STATES_PER_CASE` steps over a complete lap.

    It starts just behind the start line. The car swings across the road and beyond both borders,
    looks in every direction, has random steering and speed, and crashes near the end.

    Args:
        case: Track, direction and kind of race.
        seed: Another seed swings and looks elsewhere.
    """
    rng, steps = np.random.default_rng(seed), np.arange(1, STATES_PER_CASE + 1)
    line = case.track.reversed() if case.is_reversed else case.track
    builder = ParamsBuilder(line, deepracer(), case.is_reversed)
    way = np.linspace(-0.02, line.length, STATES_PER_CASE)
    centre, along = line.at(way)
    segment = line.locate(centre).segment
    half = line.width[segment] / 2
    aside = 1.4 * half * np.sin(steps / 3 + seed) * np.sin(steps / 11 + seed)
    aside[0] = 0.0
    skew = np.where(
        steps % 8 == 0,
        rng.uniform(-np.pi, np.pi, STATES_PER_CASE),
        rng.normal(0, 0.3, STATES_PER_CASE),
    )
    yaw = along + skew * (steps > 1)
    front = centre + aside[:, None] * np.stack([-np.sin(along), np.cos(along)], axis=1)
    facts = StepFacts(
        xy=front - builder.ahead * np.stack([np.cos(yaw), np.sin(yaw)], axis=1),
        yaw=yaw,
        command=np.stack(
            [rng.uniform(-0.52, 0.52, STATES_PER_CASE), rng.uniform(0.1, 4.0, STATES_PER_CASE)],
            axis=1,
        ),
        segment=segment,
        progress=np.minimum(100 * way / line.length, 100.0),
        steps=steps,
        all_wheels_on_track=np.abs(aside) < half - BORDER_MARGIN_M,
        is_offtrack=np.abs(aside) > half + BORDER_MARGIN_M,
        is_crashed=steps == STATES_PER_CASE - 1,
        time=steps * CONTROL_PERIOD_S,
        objects=objects_of_case(case, STATES_PER_CASE),
    )
    return builder, facts


def objects_of_case(case: ParamCase, n: int) -> OtherCars | None:
    """Return the boxes or bots of a case, repeated for n states; None in a time trial."""
    if case.kind == "time_trial":
        return None
    roads = Roads([case.track])
    objects = Obstacles(RaceConfig(kind=case.kind), roads, deepracer(), 1)
    objects.place(0, np.random.default_rng(0), 0.0, Road.on(0, case.is_reversed))
    s, d = (np.tile(values, (n, 1)) for values in (objects.s, objects.d))
    return OtherCars(s, d, np.tile(objects.pose, (n, 1, 1)), np.full(s.shape, objects.speed))
