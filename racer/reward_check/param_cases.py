"""States that a reward must be able to answer, all over a track."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from racer.car.spec import deepracer
from racer.race import Others, RaceConfig
from racer.race.obstacles import Objects
from racer.race.roads import Roads
from racer.reward import Facts, ParamsBuilder
from racer.track import Track

Kind = Literal["time_trial", "object_avoidance", "head_to_bot"]
KINDS: tuple[Kind, ...] = ("time_trial", "object_avoidance", "head_to_bot")
COUNT = 96
"""States a case."""
PERIOD = 1 / 15
"""Of a control step [s]."""
MARGIN = 0.12
"""So far beside a border the first or the last wheel crosses it, roughly [m]."""


class Case(NamedTuple):
    """A track, the way round, and what stands on the road."""

    track: Track
    is_reversed: bool
    kind: Kind

    def __str__(self) -> str:
        what = {"time_trial": "without objects", "object_avoidance": "with boxes"}
        way = "in reverse" if self.is_reversed else "forward"
        return f"{self.track.name} {way} {what.get(self.kind, 'with bots')}"


def cases(tracks: list[Track]) -> list[Case]:
    """Every kind of race both ways round each track."""
    ways = (False, True)
    return [Case(track, way, kind) for track in tracks for kind in KINDS for way in ways]


def states(case: Case) -> list[dict[str, Any]]:
    """An episode of `COUNT` steps from just behind the start line to a complete lap.

    On its way the car swings over the road and beyond both borders, looks in every direction,
    steers and speeds as it likes, and crashes near the end.
    """
    rng, steps = np.random.default_rng(0), np.arange(1, COUNT + 1)
    line = case.track.reversed() if case.is_reversed else case.track
    builder = ParamsBuilder(line, deepracer(), case.is_reversed)
    way = np.linspace(-0.02, line.length, COUNT)
    centre, along = line.at(way)
    segment = line.locate(centre).segment
    half = line.width[segment] / 2
    aside = 1.4 * half * np.sin(steps / 3) * np.sin(steps / 11)
    aside[0] = 0.0
    skew = np.where(steps % 8 == 0, rng.uniform(-np.pi, np.pi, COUNT), rng.normal(0, 0.3, COUNT))
    yaw = along + skew * (steps > 1)
    front = centre + aside[:, None] * np.stack([-np.sin(along), np.cos(along)], axis=1)
    facts = Facts(
        xy=front - builder.ahead * np.stack([np.cos(yaw), np.sin(yaw)], axis=1),
        yaw=yaw,
        command=np.stack([rng.uniform(-0.52, 0.52, COUNT), rng.uniform(0.1, 4.0, COUNT)], axis=1),
        segment=segment,
        progress=np.minimum(100 * way / line.length, 100.0),
        steps=steps,
        all_wheels_on_track=np.abs(aside) < half - MARGIN,
        is_offtrack=np.abs(aside) > half + MARGIN,
        is_crashed=steps == COUNT - 1,
        time=steps * PERIOD,
        objects=on_the_road(case, COUNT),
    )
    return builder.build_all(facts)


def on_the_road(case: Case, n: int) -> Others | None:
    """What stands or drives on a case's road, the same for n states; None on an empty one."""
    if case.kind == "time_trial":
        return None
    roads = Roads([case.track])
    objects = Objects(RaceConfig(kind=case.kind), roads, deepracer(), 1)
    objects.place(0, np.random.default_rng(0), 0.0, int(case.is_reversed))
    s, d = (np.tile(values, (n, 1)) for values in (objects.s, objects.d))
    return Others(s, d, np.tile(objects.pose, (n, 1, 1)), np.full(s.shape, objects.speed))
