"""The result of one car in a race."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from racer.assets.notebook import Video, html_card
from racer.errors import RacerError
from racer.laptime import LapTimeLimit
from racer.race import RaceConfig
from racer.sensors import Sensors
from racer.track import Track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLEAN_WORDS = "never off the road"
"""How a result without faults is described."""


@dataclass(frozen=True)
class RaceScene:
    """What a picture or a video needs to show of a race, beside the recorded car.

    Attributes:
        track: The track.
        rules: The race's rules.
        sensor: The sensors of the policy.
        car: Name of the car's preset.
        name: Name of the driver; empty if unknown.
    """

    track: Track
    rules: RaceConfig
    sensor: Sensors = ()
    car: str = "deepracer"
    name: str = ""


@dataclass(frozen=True)
class LapResult:
    """The result of one car in a race, with everything recorded at each control step.

    Attributes:
        track: The track's name.
        seed: Seed of the environment.
        laps: Laps to complete.
        laps_completed: Completed laps.
        lap_times_s: Time of each completed lap [s], penalties included.
        sector_times_s: Times of the completed thirds of each lap [s].
        off_tracks: Number of times all four wheels left the road; each reset the car at a penalty.
        collisions: Number of crashes; each reset the car at a penalty.
        resets: Number of resets to the track, for any fault.
        distance: Progress along the centre line [m].
        ending: Name of the `Ending`, in lower case; `policy_crash`, `policy_hang` or
            `policy_memory` if the policy failed, which ends the car's race; `retired` if a person
            gave up.
        start: The body row before the first step, (13,).
        actions: The policy's action at each control step, (T, 2) float32 or indices (T,) int64; the
            commands (T, 2) of a controller.
        body: The body row after each control step, (T, 13): after a reset to the track, if there
            was one; where it left the race, if the car waits for its penalty to end.
        reached: The body row at the end of each step before any reset to the track, (T, 13).
        waiting: Whether the car waits for its penalty to end, as a car among others does, (T,); a
            car that races alone gets its penalty added to `time` at once.
        steering: Angle of the front wheels at each control step [rad], (T,).
        time: Race time at each control step [s], (T,).
        command: Commanded steering [rad] and speed [m/s] at each control step, (T, 2).
        progress: Progress of the current lap at each control step [percent], (T,).
        wheels_on_road: Number of wheel centres between the borders at each control step, (T,).
        fault: `Ending` that each control step's fault corresponds to, else RUNNING, (T,).
        boxes: Boxes, bots and other cars at each control step, rows as in `World.boxes`,
            (T, K, 10).
        colours: Red, green and blue of those, (K, 3) uint8.
        limit: The minimum lap times of track and car; None if unknown, or if the race was not
            driven alone, forward and from the start line.
        failure: Message of the policy's failure; empty if it did not fail.
        scene: What `plot` and `video` need; None for a race of several cars, and for a result that
            was read back.
    """

    track: str
    seed: int
    laps: int
    laps_completed: int
    lap_times_s: list[float]
    sector_times_s: list[list[float]]
    off_tracks: int
    collisions: int
    resets: int
    distance: float
    ending: str
    start: np.ndarray
    actions: np.ndarray
    body: np.ndarray
    reached: np.ndarray
    waiting: np.ndarray
    steering: np.ndarray
    time: np.ndarray
    command: np.ndarray
    progress: np.ndarray
    wheels_on_road: np.ndarray
    fault: np.ndarray
    boxes: np.ndarray
    colours: np.ndarray
    limit: LapTimeLimit | None = None
    failure: str = ""
    scene: RaceScene | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<LapResult {self.track}: {self.summary}>"

    def _repr_html_(self) -> str:
        from racer.rendering.svg_charts import line_map

        faults = {"off the road": self.off_tracks, "crashes": self.collisions}
        rows = {
            "laps": f"{self.laps_completed} of {self.laps}",
            "lap times": ", ".join(f"{lap:.2f} s" for lap in self.lap_times_s) or "-",
            "x limit": "-" if self.x_limit is None else f"{self.x_limit:.2f}",
            "put back": self.resets,
            **{name: count for name, count in faults.items() if count},
            **({"failure": self.failure} if self.failure else {}),
        }
        if self.scene is None or not len(self.time):
            return html_card(self.track, rows)
        slow, fast = np.percentile(self.speed, [5, 95]).tolist()
        picture = line_map(self._road, self.xy, self.speed, (slow, fast))
        return html_card(" on ".join(filter(None, [self.scene.name, self.track])), rows, picture)

    @property
    def summary(self) -> str:
        """The race in one line: laps, times and faults."""
        laps = ", ".join(f"{lap:.2f}" for lap in self.lap_times_s)
        times = f" in {laps} s" if laps else ""
        times += f", {self.x_limit:.2f} x the limit" if self.x_limit else ""
        stopped = self.resets - self.off_tracks - self.collisions
        faults = [
            f"{what} {count}x"
            for what, count in (
                ("off the road", self.off_tracks),
                ("crashed", self.collisions),
                ("stopped or wrong way", stopped),
            )
            if count > 0
        ]
        return (
            f"{self.laps_completed} of {self.laps} laps{times}, {', '.join(faults) or CLEAN_WORDS}"
        )

    def plot(self) -> Figure:
        """Return a picture of the driven line, coloured by speed.

        Raises:
            RacerError: The result has no scene.
        """
        from racer.rendering.line_plots import plot_driven_line

        title = " on ".join(filter(None, [self._shown.name, self.track]))
        return plot_driven_line(self._road, self.xy, self.speed, f"{title}: {self.summary}")

    def video(
        self, path: Path | str | None = None, size: str | None = None, rate: float = 25.0
    ) -> Video:
        """Return a video of the race; `racer race --video` writes the same.

        Args:
            path: A file to write it to as well: an .mp4, a .gif, or a .png for a still picture.
            size: 480p, 720p, 1080p or WIDTHxHEIGHT in pixels; 480p by default.
            rate: Pictures per second; at most 12.5 for a .gif.

        Raises:
            RacerError: The result has no scene, a value cannot be used, or the file cannot be
                written.
        """
        from racer.rendering.race_video import write_race_video
        from racer.rendering.video_format import video_size

        scene = self._shown
        with tempfile.TemporaryDirectory() as folder:
            to = Path(folder) / "race.mp4" if path is None else Path(path)
            names = [scene.name] if scene.name else []
            pixels = video_size(size, to)
            write_race_video(
                to,
                scene.track,
                [self],
                scene.rules,
                names,
                sensor=scene.sensor,
                car=scene.car,
                size=pixels,
                rate=rate,
            )
            shown = Video.read(to)
        return shown if path is not None else Video(shown.content)

    @property
    def _shown(self) -> RaceScene:
        if self.scene is None:
            raise RacerError(
                "this result holds no scene to draw: it is one of a race of several cars, or was "
                "read back; race it with racer.drive, or with `racer race --plot` and `--video`"
            )
        return self.scene

    @property
    def _road(self) -> Track:
        """The track in the direction that was driven."""
        track = self._shown.track
        return track.reversed() if self._shown.rules.direction == "reverse" else track

    @property
    def xy(self) -> np.ndarray:
        """Position at each control step [m], (T, 2)."""
        return self.body[:, :2]

    @property
    def speed(self) -> np.ndarray:
        """Speed over the ground at each control step [m/s], (T,)."""
        return np.hypot(self.body[:, 7], self.body[:, 8])

    @property
    def is_clean(self) -> bool:
        """Whether every lap was completed without a reset to the track."""
        return self.laps_completed == self.laps and self.resets == 0

    @property
    def total_time_s(self) -> float | None:
        """Time of all laps [s]; None if a lap is missing."""
        return sum(self.lap_times_s) if self.laps_completed == self.laps else None

    @property
    def best_lap_s(self) -> float | None:
        """Time of the fastest completed lap [s]; None if there is none."""
        return min(self.lap_times_s, default=None)

    @property
    def limit_s(self) -> float | None:
        """Minimum time of all laps [s], the first from a standing start; None if unknown."""
        return self.limit.race(self.laps) if self.limit else None

    @property
    def x_limit(self) -> float | None:
        """Time of all laps over the minimum time of all laps; None if either is unknown."""
        limit, total = self.limit_s, self.total_time_s
        return total / limit if limit and total else None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as documented for `--json` and the board, in plain values."""
        return {
            "track": self.track,
            "seed": self.seed,
            "laps": self.laps,
            "laps_completed": self.laps_completed,
            "lap_times_s": self.lap_times_s,
            "sector_times_s": self.sector_times_s,
            "total_time_s": self.total_time_s,
            "best_lap_s": self.best_lap_s,
            "limit_s": self.limit_s,
            "x_limit": self.x_limit,
            "off_tracks": self.off_tracks,
            "collisions": self.collisions,
            "resets": self.resets,
            "distance_m": self.distance,
            "ending": self.ending,
        }
