"""A person's race in real time: the judge's own loop, step by step, for one browser tab."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from racer.car.spec import CarSpec, car_named
from racer.entries.package import Entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import StudioError
from racer.evaluation import Driver, LapResult, SteppedRace, controller_for
from racer.laptime import committed_limit
from racer.leaderboard.drives import (
    DriveRecord,
    now_in_utc,
    record_drive,
    record_rival,
    save_drive,
    verify_drive,
)
from racer.leaderboard.season import Season
from racer.leaderboard.submissions import board_name
from racer.race import Ending
from racer.race.race import GRID_SPACING_M
from racer.rendering.car_model import CarModel, livery
from racer.rendering.timeline import ENDING_WORDS, FAULT_WORDS
from racer.studio.opponents import Ghost, Opponents
from racer.studio.person_controller import PersonController
from racer.track import Track, load_track

MAX_RIVALS = 7
"""The most entries that race a person in one world."""


@dataclass(frozen=True)
class DriveOptions:
    """What a person chose to drive.

    Attributes:
        driver: The person's name.
        season: Track, direction, seed, car and rules, as a season of one run.
        ghosts: Words of the opponents that are seen as ghosts; see `Opponents`.
        rivals: Words of the opponents that race in the same world, in the order of the grid.
        key_speed: See `PersonController`.
    """

    driver: str
    season: Season
    ghosts: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    key_speed: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be driven.

        Raises:
            RacerError: The name does not fit a board, the track is not known, or there are too many
                rivals.
        """
        board_name(self.driver)
        track = load_track(self.season.runs()[0].track)
        room = min(MAX_RIVALS, int(track.length / GRID_SPACING_M) - 1)
        if len(self.rivals) > room:
            raise StudioError(f"{len(self.rivals)} rivals; at most {room} fit on this track")


class DriveSession:
    """A person's race, driven control step by control step, and what a browser draws of it.

    Only one thread at a time may use it. The person is the last car of the grid.

    Args:
        options: What is driven.
        opponents: Who can be raced.
        folder: The folder of the drives, where the race is stored after each lap and at its end.

    Attributes:
        person: Takes what the person holds.
        ghosts: The ghosts.

    Raises:
        RacerError: Something cannot be driven.
    """

    def __init__(self, options: DriveOptions, opponents: Opponents, folder: Path) -> None:
        self._options, self._folder, self._season = options, folder, options.season
        self._run = run = self._season.runs()[0]
        self._rules = rules = self._season.race_in(run.direction)
        self._spec: CarSpec = car_named(self._season.car)
        self._road = load_track(run.track)
        self._opened = ExitStack()
        self.ghosts: list[Ghost] = [opponents.ghost(one, self._season) for one in options.ghosts]
        racers = [opponents.racer(word) for word in options.rivals]
        self._names = [one if isinstance(one, str) else one.manifest.name for one in racers]
        self._spaces = [None if isinstance(one, str) else one.manifest.actions for one in racers]
        self._me, self._limit = len(racers), committed_limit(self._road, self._spec)
        self.person = PersonController(self._spec, options.key_speed)
        self.created = now_in_utc()
        try:
            drivers = [self._driver(one) for one in racers]
            self._stepped = SteppedRace(
                [*drivers, self.person],
                run.track,
                rules,
                run.seed,
                self._season.car,
                is_together=bool(racers),
            )
        except BaseException:
            self._opened.close()
            raise
        self._opened.callback(self._stepped.close)
        self._steps = self._stored_laps = 0
        self.path: Path | None = None

    def _driver(self, racer: Entry | str) -> Any:
        """Return the driver of a rival's car.

        Raises:
            StudioError: It drives another car.
        """
        if isinstance(racer, str):
            return controller_for(racer, self._run.track, self._rules, self._season.car)
        manifest = racer.manifest
        if manifest.car != self._season.car:
            raise StudioError(
                f"{manifest.name} drives the car {manifest.car}; cars of one race must be alike: "
                "choose that car, or race its ghost"
            )
        policy = self._opened.enter_context(SandboxedPolicy(racer))
        return Driver(policy, manifest.sensor, manifest.actions)

    @property
    def is_over(self) -> bool:
        """Whether the person's race has ended."""
        return bool(self._stepped.race.ending[self._me] != Ending.RUNNING)

    @property
    def is_alone(self) -> bool:
        """Whether no other entry drives in the same world."""
        return self._me == 0

    def scene(self) -> dict[str, Any]:
        """Return what stays the same in all pictures, as JSON values."""
        race, road = self._stepped.race, self._road
        line = road.reversed() if self._run.direction == "reverse" else road
        rivals = [{"name": name} for name in self._names]
        return {
            "type": "scene",
            "track": road.name,
            "laps": self._rules.laps,
            "driver": self._options.driver,
            "limit": self._limit.flying if self._limit else None,
            "time_limit": self._rules.time_limit,
            "road": _road(line, self._rules.walls),
            "car": _car(self._spec),
            "liveries": [
                [list(colour) for colour in livery(number)]
                for number in range(len(rivals) + race.objects.count + 1)
            ],
            "rivals": rivals,
            "boxes": {
                "sizes": (2.0 * race.world.boxes[self._me, : race.objects.count, 7:]).tolist(),
                "are_cars": bool(race.objects.is_moving),
            },
            "ghosts": [_ghost(one) for one in self.ghosts],
            "state": self.state(),
        }

    def step(self) -> dict[str, Any]:
        """Drive one control step with what the person holds, and return the state as JSON values.

        A completed lap, and the end of the race, store the drive.
        """
        self._stepped.step()
        self._steps += 1
        race, me = self._stepped.race, self._me
        if self.is_over or race.laps[me] > self._stored_laps:
            self.store()
        return self.state()

    def state(self) -> dict[str, Any]:
        """Return what a picture shows now, as JSON values."""
        race, me = self._stepped.race, self._me
        body, count = race.world.state.body, race.objects.count
        times, time = race.lap_times[me], float(race.time[me])
        distance = float(race.distance[me]) / self._road.length
        lead = self.ghosts[0].time_at(distance) if self.ghosts else None
        fault = Ending(int(race.fault[me]))
        waits = race.is_waiting
        return {
            "type": "state",
            "step": self._steps,
            "time": round(time, 4),
            "me": _pose(body[me], race.world.state.steering[me]),
            "rivals": [
                None
                if waits[i] or race.ending[i] != Ending.RUNNING
                else _pose(body[i], race.world.state.steering[i])
                for i in range(me)
            ],
            "boxes": race.world.boxes[me, :count, :7].round(4).tolist(),
            "speed": round(float(np.hypot(*body[me, 7:9])), 3),
            "lap": int(race.laps[me]),
            "lap_time": round(time - sum(times), 3),
            "progress": round(float(race.progress[me]), 2),
            "delta": None if lead is None else round(time - lead, 3),
            "resets": int(race.resets[me]),
            "waits": bool(waits[me]),
            "fault": FAULT_WORDS.get(fault, ""),
            "place": self._place(),
            "lap_times": [round(one, 3) for one in times],
        }

    def _place(self) -> int:
        """Return the person's place among the cars of the world, from 1."""
        distance = self._stepped.race.distance
        return 1 + int((distance[: self._me] > distance[self._me]).sum())

    def store(self) -> Path | None:
        """Store the race so far if it holds a completed lap, and return its file."""
        result = self._stepped.result(self._me)
        if not result.laps_completed:
            return None
        self._stored_laps = result.laps_completed
        self.path = save_drive(self._folder, self._record(result))
        return self.path

    def _record(self, result: LapResult) -> DriveRecord:
        rivals = [
            record_rival(self._season, name, self._stepped.result(car), space)
            for car, (name, space) in enumerate(zip(self._names, self._spaces))
        ]
        return record_drive(self._season, self._options.driver, self.created, result, tuple(rivals))

    def summary(self) -> dict[str, Any]:
        """Return the result of the race, and whether its drive is confirmed, as JSON values."""
        result = self._stepped.result(self._me)
        verdict = ""
        if result.laps_completed:
            verdict = verify_drive(self._record(result))[1].text
        ending = ENDING_WORDS.get(result.ending, result.ending.replace("_", " "))
        return {
            "type": "end",
            "ending": {"laps complete": "finished", "running": "gave up"}.get(ending, ending),
            "summary": result.summary,
            "file": self.path.name if self.path else None,
            "verdict": verdict,
        }

    def close(self) -> None:
        """End the policies of the rivals, and close the world."""
        self._opened.close()


def _pose(body: np.ndarray, steering: float) -> list[float]:
    """Return position [m], quaternion x y z w and angle of the front wheels [rad], 8 numbers."""
    return [*body[:7].round(5).tolist(), round(float(steering), 4)]


def _ghost(one: Ghost) -> dict[str, Any]:
    return {
        "name": one.name,
        "time": one.time.round(4).tolist(),
        "pose": one.pose.round(4).tolist(),
        "laps": one.lap_times_s,
    }


def _road(line: Track, walls: bool) -> dict[str, Any]:
    """Return the road in the direction that is driven: its lines [m], and whether it has walls."""
    rings = {name: getattr(line, name).round(4).tolist() for name in ("left", "right", "centre")}
    return {**rings, "width": float(np.median(line.width)), "walls": walls}


def _car(spec: CarSpec) -> dict[str, Any]:
    """Return the car's model, the same as that of videos: see `CarModel.parts`."""
    return CarModel(spec, livery(0)).parts() | {"length": spec.body_length}
