"""What a browser draws of a race: what stays the same, and the state after each control step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from racer.car.spec import car_named
from racer.controllers import Controller
from racer.entries.package import Entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import StudioError
from racer.evaluation import Driver, SteppedRace, controller_for, driver_of
from racer.laptime import committed_limit
from racer.leaderboard.season import Season
from racer.race import Ending
from racer.rendering.car_model import CarModel, livery
from racer.rendering.timeline import FAULT_WORDS
from racer.studio.opponents import Ghost
from racer.studio.telemetry import TRACE_COLOURS
from racer.track import Track, load_track

STRIPE = (245, 240, 230)
"""Colour of the stripe of every car of a race."""


class RacePicture:
    """Describes a race to a browser.

    Args:
        stepped: The race.
        season: Its season of one run.
        names: Name of each car's driver.
        ghosts: The ghosts; the time difference is to the first.
    """

    def __init__(
        self,
        stepped: SteppedRace,
        season: Season,
        names: Sequence[str],
        ghosts: Sequence[Ghost] = (),
    ) -> None:
        self._stepped, self._names, self._ghosts = stepped, list(names), list(ghosts)
        self._run = season.runs()[0]
        self._rules = season.race_in(self._run.direction)
        self._spec, self._road = car_named(season.car), load_track(self._run.track)

    def scene(self, follow: int) -> dict[str, Any]:
        """Return what stays the same in all pictures, and the state before the first step.

        Args:
            follow: The car that is followed at first.
        """
        race, road = self._stepped.race, self._road
        line = road.reversed() if self._run.direction == "reverse" else road
        limit, count = committed_limit(road, self._spec), race.objects.count
        colours = [TRACE_COLOURS[car % len(TRACE_COLOURS)] for car in range(race.n)]
        # A person's own car is always the first colour.
        colours = colours[1:] + colours[:1] if follow else colours
        liveries = [[_rgb(colour), list(STRIPE)] for colour in colours]
        bots = [[list(part) for part in livery(car + 1)] for car in range(count)]
        return {
            "type": "scene",
            "track": road.name,
            "laps": self._rules.laps,
            "limit": limit.flying if limit else None,
            "road": _lines(line, self._rules.walls),
            "car": CarModel(self._spec, livery(0)).parts() | {"length": self._spec.body_length},
            "own": [list(part) for part in livery(0)],
            "cars": [
                {"name": name, "livery": painted, "colour": colour}
                for name, painted, colour in zip(self._names, liveries, colours)
            ],
            "boxes": {
                "sizes": (2.0 * race.world.boxes[0, :count, 7:]).tolist(),
                "liveries": bots if race.objects.is_moving else None,
            },
            "ghosts": [_ghost(one) for one in self._ghosts],
            "state": self.state(follow, 0),
        }

    def state(self, follow: int, step: int) -> dict[str, Any]:
        """Return what a picture shows now, as JSON values.

        Args:
            follow: The car that is followed, whose times are shown.
            step: Number of control steps since the start.
        """
        race, me = self._stepped.race, follow
        body, steering = race.world.state.body, race.world.state.steering
        times, time = race.lap_times[me], float(race.time[me])
        distance = float(race.distance[me]) / self._road.length
        lead = self._ghosts[0].time_at(distance) if self._ghosts else None
        waits, is_over = race.is_waiting, race.ending != Ending.RUNNING
        is_away = waits | (is_over & race.is_together)
        order = np.lexsort((race.time, -race.distance.round(3)))
        return {
            "type": "state",
            "step": step,
            "time": round(time, 4),
            "me": me,
            "cars": [
                None if is_away[car] and car != me else _pose(body[car], steering[car])
                for car in range(race.n)
            ],
            "boxes": race.world.boxes[me, : race.objects.count, :7].round(4).tolist(),
            "speed": round(float(np.hypot(*body[me, 7:9])), 3),
            "lap": int(race.laps[me]),
            "lap_time": round(time - sum(times), 3),
            "lap_times": [round(one, 3) for one in times],
            "delta": None if lead is None else round(time - lead, 3),
            "resets": int(race.resets[me]),
            "waits": bool(waits[me]),
            "fault": FAULT_WORDS.get(Ending(int(race.fault[me])), ""),
            "order": order.tolist(),
            "laps": race.laps.tolist(),
        }


def open_driver(racer: Entry | str, season: Season, opened: ExitStack) -> Driver | Controller:
    """Return the driver of an entry's or a baseline controller's car, in a sandbox.

    Args:
        racer: The entry, or the controller's name.
        season: The season of one run that is driven.
        opened: Closes the sandbox.

    Raises:
        StudioError: The entry drives another car.
    """
    run = season.runs()[0]
    if isinstance(racer, str):
        return controller_for(racer, run.track, season.race_in(run.direction), season.car)
    manifest = racer.manifest
    if manifest.car != season.car:
        raise StudioError(
            f"{manifest.name} drives the car {manifest.car}; cars of one race must be alike: "
            "choose that car, or race its ghost"
        )
    return driver_of(racer, opened.enter_context(SandboxedPolicy(racer)))


def _pose(body: np.ndarray, steering: float) -> list[float]:
    """Return position [m], quaternion x y z w and angle of the front wheels [rad], 8 numbers."""
    return [*body[:7].round(5).tolist(), round(float(steering), 4)]


def _ghost(one: Ghost) -> dict[str, Any]:
    return {
        "name": one.name,
        "time": one.time.round(4).tolist(),
        "pose": one.pose.round(4).tolist(),
    }


def _lines(line: Track, walls: bool) -> dict[str, Any]:
    """Return the road in the direction that is driven: its lines [m], and whether it has walls."""
    rings = {name: getattr(line, name).round(4).tolist() for name in ("left", "right", "centre")}
    return {**rings, "width": float(np.median(line.width)), "walls": walls}


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))
