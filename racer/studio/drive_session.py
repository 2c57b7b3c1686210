"""A person's race in real time: the judge's own loop, step by step, for one browser tab."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from racer.car.spec import car_named
from racer.errors import StudioError
from racer.evaluation import LapResult, SteppedRace
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
from racer.rendering.timeline import ENDING_WORDS
from racer.studio.opponents import Ghost, Opponents
from racer.studio.person_controller import PersonController, PersonInput
from racer.studio.race_picture import RacePicture, open_driver
from racer.track import load_track

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
        rules = self._season.race_in(run.direction)
        spec = car_named(self._season.car)
        self._opened = ExitStack()
        self.ghosts: list[Ghost] = [opponents.ghost(one, self._season) for one in options.ghosts]
        racers = [opponents.racer(word) for word in options.rivals]
        self._names = [one if isinstance(one, str) else one.manifest.name for one in racers]
        self._spaces = [None if isinstance(one, str) else one.manifest.actions for one in racers]
        self._me = len(racers)
        self.person = PersonController(spec, options.key_speed)
        self.created = now_in_utc()
        try:
            drivers = [open_driver(one, self._season, self._opened) for one in racers]
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
        self._picture = RacePicture(
            self._stepped, self._season, [*self._names, options.driver], self.ghosts
        )
        self._steps = self._stored_laps = 0
        self.path: Path | None = None

    @property
    def is_over(self) -> bool:
        """Whether the person's race has ended."""
        return bool(self._stepped.race.ending[self._me] != Ending.RUNNING)

    @property
    def is_alone(self) -> bool:
        """Whether no other entry drives in the same world."""
        return self._me == 0

    @property
    def is_begun(self) -> bool:
        """Whether the person has asked the car to drive."""
        return self.person.wants_to_drive

    def hold(self, held: PersonInput) -> None:
        """See `PersonController.hold`."""
        self.person.hold(held)

    def follow(self, car: int) -> None:
        """See `LiveSession.follow`; a person's own car stays the one in the picture."""

    def scene(self) -> dict[str, Any]:
        """See `RacePicture.scene`."""
        return self._picture.scene(self._me)

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
        """See `RacePicture.state`."""
        return self._picture.state(self._me, self._steps)

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
