"""A race of entries in one world in real time, to watch in one browser tab."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from racer.errors import StudioError
from racer.evaluation import SteppedRace
from racer.leaderboard.season import Season
from racer.race.race import GRID_SPACING_M
from racer.rendering.timeline import ENDING_WORDS
from racer.rendering.video_format import numbered_names
from racer.studio.opponents import Ghost, Opponents, ghost_of
from racer.studio.person_controller import PersonInput
from racer.studio.race_picture import RacePicture, open_driver
from racer.track import load_track

MAX_RACERS = 8
"""The most entries on a grid."""


class LiveSession(Protocol):
    """A race that a websocket drives in real time; one thread at a time uses it."""

    @property
    def is_over(self) -> bool:
        """Whether the race has ended."""
        ...

    @property
    def is_begun(self) -> bool:
        """Whether the race may begin."""
        ...

    @property
    def is_alone(self) -> bool:
        """Whether a person drives alone."""
        ...

    def hold(self, held: PersonInput) -> None:
        """Take what the person holds."""
        ...

    def follow(self, car: int) -> None:
        """Follow another car."""
        ...

    def scene(self) -> dict[str, Any]:
        """Return what stays the same in all pictures."""
        ...

    def step(self) -> dict[str, Any]:
        """Drive one control step, and return the state."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def summary(self) -> dict[str, Any]:
        """Return the result."""
        ...

    def close(self) -> None:
        """Close the world."""
        ...


@dataclass(frozen=True)
class RaceOptions:
    """Which entries race.

    Attributes:
        season: Track, direction, seed, car and rules, as a season of one run.
        racers: Words of the entries in the order of the grid; see `Opponents`.
    """

    season: Season
    racers: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be raced.

        Raises:
            RacerError: The track is not known, or the number of entries is not allowed on it.
        """
        track = load_track(self.season.runs()[0].track)
        room = min(MAX_RACERS, int(track.length / GRID_SPACING_M))
        if not 2 <= len(self.racers) <= room:
            raise StudioError(f"{len(self.racers)} entries; 2 to {room} race on {track.name}")


class RaceSession:
    """A race of entries in one world; see `LiveSession`.

    Args:
        options: Who races what.
        opponents: Who can race.
        on_end: Called with the race of each car when the last one has ended.

    Raises:
        RacerError: An entry cannot race.
    """

    is_alone, is_begun = False, True

    def __init__(
        self,
        options: RaceOptions,
        opponents: Opponents,
        on_end: Callable[[list[Ghost]], None] = lambda races: None,
    ) -> None:
        self._season, self._on_end = options.season, on_end
        run, racers = self._season.runs()[0], [opponents.racer(word) for word in options.racers]
        self._names = numbered_names(
            [one if isinstance(one, str) else one.manifest.name for one in racers]
        )
        self._opened, self._followed, self._steps = ExitStack(), 0, 0
        try:
            self._stepped = SteppedRace(
                [open_driver(one, self._season, self._opened) for one in racers],
                run.track,
                self._season.race_in(run.direction),
                run.seed,
                self._season.car,
                is_together=True,
            )
        except BaseException:
            self._opened.close()
            raise
        self._opened.callback(self._stepped.close)
        self._picture = RacePicture(self._stepped, self._season, self._names)

    @property
    def is_over(self) -> bool:
        """See `LiveSession.is_over`."""
        return self._stepped.is_over

    def hold(self, held: PersonInput) -> None:
        """See `LiveSession.hold`; nobody drives by hand."""

    def follow(self, car: int) -> None:
        """See `LiveSession.follow`; a car that is not there is ignored."""
        if 0 <= car < len(self._names):
            self._followed = car

    def scene(self) -> dict[str, Any]:
        """See `RacePicture.scene`."""
        return self._picture.scene(self._followed)

    def step(self) -> dict[str, Any]:
        """Drive one control step, and return the state as JSON values."""
        self._stepped.step()
        self._steps += 1
        return self.state()

    def state(self) -> dict[str, Any]:
        """See `RacePicture.state`."""
        return self._picture.state(self._followed, self._steps)

    def summary(self) -> dict[str, Any]:
        """Return who won, as JSON values, and tell `on_end` the races."""
        races = []
        for car, name in enumerate(self._names):
            races.append(ghost_of(name, self._stepped.result(car), self._season.car))
        self._on_end(races)
        first, *_ = sorted(races, key=finish_key)
        return {
            "type": "end",
            "ending": f"{first.name} wins" if self.is_over else "stopped",
            "summary": first.result.summary if self.is_over else "",
            "file": None,
            "verdict": "",
        }

    def close(self) -> None:
        """See `LiveSession.close`."""
        self._opened.close()


def finish_key(one: Ghost) -> tuple[int, float, float]:
    """Return what the cars of a race are sorted by: laps, the time of all of them, distance."""
    result = one.result
    return -result.laps_completed, sum(result.lap_times_s), -result.distance


def ending_words(one: Ghost) -> str:
    """Return how a car's race ended, in words."""
    ending = one.result.ending
    known = ENDING_WORDS | {"laps_complete": "finished", "running": "still driving"}
    return known.get(ending, ending.replace("_", " "))
