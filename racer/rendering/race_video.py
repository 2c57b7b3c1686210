"""Writes a recorded race as a video, or as a still picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from racer.car.spec import car_named
from racer.errors import RacerError
from racer.race import RaceConfig
from racer.rendering.car_model import livery
from racer.rendering.chase_view import ChaseView, DrawnCar, drawn_bots
from racer.rendering.hud import (
    HudContent,
    HudNotice,
    HudOverlay,
    MapDot,
    RankingLine,
    shortened_name,
)
from racer.rendering.timeline import (
    ObstacleTimeline,
    RecordedRace,
    Timeline,
    TimelineFault,
    TimelineLeg,
    TimelineMoment,
)
from racer.rendering.video_format import VIDEO_SIZES, refuse_suffix
from racer.rendering.video_writer import GifWriter, VideoWriter
from racer.sensors import Sensor, SensorInput, Sensors, make_sensor
from racer.track import Track, TrackPosition
from racer.world import CarState, yaw_of

RATE, GIF_RATE = 25.0, 12.5
"""Pictures per second; a GIF's delays are whole hundredths of a second."""
END_HOLD_S = 1.0
"""Time for which the last picture of a race is shown [s]."""
CAMERA_LAG_S = 0.12
"""Time constant with which the camera turns to the car's heading [s]."""
NEAR, WIDE = 4.0, 0.6
"""Cars and boxes count as in view of a still up to this far ahead [m], and up to this tangent of
their angle to the car's heading."""


def write_race_video(
    path: Path,
    track: Track,
    driven: Sequence[RecordedRace],
    rules: RaceConfig,
    names: Sequence[str] = (),
    follow: int = 0,
    sensor: Sensors = (),
    car: str = "deepracer",
    size: tuple[int, int] = VIDEO_SIZES["480p"],
    rate: float = RATE,
    until: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a race as an mp4 or a GIF, or a still of it as a PNG, according to the file's suffix.

    A video runs in race time, including penalties, from the start to the end of the followed car's
    race, and its last picture is shown for a second. A still shows the moment with the most other
    cars and boxes in view or, if there are none, the tightest bend.

    Args:
        path: The file to write.
        track: The track.
        driven: The recorded race of each car, in the order of the grid.
        rules: The race's rules.
        names: The cars' names, all different; `car 1` and so on if empty.
        follow: Index of the car that the camera follows.
        sensor: Sensors of that car's policy; the first camera's frame is shown in a corner.
        car: Name of the cars' preset.
        size: Width and height [pixels], both even.
        rate: Pictures per second; at most `GIF_RATE` for a GIF.
        until: End the video at this race time [s].
        on_progress: Called after each picture with the number of pictures done and in total.

    Raises:
        ConfigError: If the suffix is not one of `VIDEO_SUFFIXES`.
        RacerError: If the file cannot be written.
    """
    refuse_suffix(path)
    form = path.suffix.lower()
    play = RacePlayback(track, driven, rules, names, follow, sensor, car, size)
    if form == ".png":
        save_picture(play.picture(play.still_time()), path)
        return
    rate = min(rate, GIF_RATE) if form == ".gif" else rate
    end = play.end if until is None else min(until, play.end)
    times = [*(np.arange(int(np.ceil(end * rate - 1e-9))) / rate).tolist(), end]
    with (GifWriter if form == ".gif" else VideoWriter)(path, size, rate) as video:
        for done, time in enumerate(times, 1):
            # While the car waits and the camera is still, every second picture is a repetition.
            if done % 2 or done == len(times) or not play.is_still(time):
                video.add(play.picture(time, 1.0 / rate))
            else:
                video.repeat()
            if on_progress:
                on_progress(done, len(times))
        for _ in range(round(END_HOLD_S * rate) * (end == play.end)):
            video.repeat()


class RacePlayback:
    """Draws a recorded race at any race time.

    Args:
        track: The track.
        driven: The recorded races of the cars, in the order of their grid.
        rules: The race's rules.
        names: Names of the cars; `car 1`, `car 2` ... by default.
        follow: Index of the car that the camera follows.
        sensor: The sensors of that car; a camera's frame is shown in a corner.
        car: Name of the car's preset.
        size: Width and height of a picture [pixels].

    Attributes:
        end: Race time at which the followed car's race ended [s].
    """

    def __init__(
        self,
        track: Track,
        driven: Sequence[RecordedRace],
        rules: RaceConfig,
        names: Sequence[str] = (),
        follow: int = 0,
        sensor: Sensors = (),
        car: str = "deepracer",
        size: tuple[int, int] = VIDEO_SIZES["480p"],
    ) -> None:
        spec = car_named(car)
        self._names = list(names) or [f"car {k}" for k in range(1, len(driven) + 1)]
        self._cars, self._follow = [Timeline(one, rules) for one in driven], follow
        self._own = self._cars[follow]
        self.end = self._own.end
        boxes = driven[follow].boxes
        count = boxes.shape[1] - len(driven) * (len(driven) > 1) if boxes.ndim == 3 else 0
        self._has_bots = rules.kind == "head_to_bot"
        line = track.reversed() if rules.direction == "reverse" else track
        speed = rules.bots.speed if self._has_bots else 0.0
        self._obstacles = ObstacleTimeline(driven[follow], count, speed, line)
        self._view = ChaseView(track, spec, *size, walls=rules.walls)
        legs = [leg for leg in self._own.legs if not leg.is_waiting]
        ends = np.array([(leg.first[:2], leg.last[:2]) for leg in legs])
        speeds = np.array([np.hypot(*leg.last[7:9]) for leg in legs])
        self._driven_at = np.array([leg.end for leg in legs])
        self._overlay = HudOverlay(track, *size, ends, speeds)
        self._camera = _camera(sensor, spec, track, rules.walls)
        self._shown: tuple[int, np.ndarray | None] = -1, None
        self._heading: float | None = None
        self._was_waiting = False

    def picture(self, time: float, since: float | None = None) -> np.ndarray:
        """Return the picture at a race time, (height, width, 4) uint8: red, green, blue and 255.

        Args:
            time: Race time [s].
            since: Time since the previous picture [s], from whose direction the camera turns
                smoothly; None for the first picture.
        """
        own = self._own.at(time)
        yaw = self._turned(own, since)
        cars = self._drawn_cars(time)
        bots, boxes, colours = self._obstacles_at(time)
        picture = self._view.frame(own.body, [*cars, *bots], boxes, colours, yaw)
        tags = self._view.tags(own.body, [*cars, *bots], yaw)
        done, began = self._own.lap_at(time)
        laps, is_over = self._own.driven.laps, time >= self.end
        lap = min(done, laps - 1)
        times = self._own.driven.lap_times_s
        hud = HudContent(
            name=self._names[self._follow],
            colour=livery(self._follow).body,
            time=min(time, self.end),
            lap=lap + 1,
            laps=laps,
            lap_time=times[lap] if done == laps else min(time, self.end) - began,
            best=min(times[:done], default=None),
            speed=0.0 if own.is_waiting else float(np.hypot(own.body[7], own.body[8])),
            way=int(np.searchsorted(self._driven_at, time, side="right")),
            dots=self._dots(time, bots),
            tags=tags,
            ranking=self._ranking(time) if len(self._cars) > 1 else (),
            notice=self._result_notice(done, laps) if is_over else _notice(self._own, time),
            camera=self._camera_frame(own.leg),
        )
        self._overlay.write(picture, hud)
        return picture

    def is_still(self, time: float) -> bool:
        """Return whether the camera stands still because the followed car waits."""
        return self._own.at(time).is_waiting

    def still_time(self) -> float:
        """Return the best race time for a still picture [s]; see `write_race_video`."""
        legs = [leg for leg in self._own.legs if not leg.is_waiting and leg.begin > 0.5]
        if not legs:
            return self.end
        merits = [self._merit(leg) for leg in legs]
        return legs[int(np.argmax(merits))].begin

    def _merit(self, leg: TimelineLeg) -> float:
        """Return a score of a leg as a still: what is in view, else how hard the car corners.

        Each car or box in view counts 1 plus the inverse of its distance [1/m]; cornering counts
        less than 1.
        """
        yaw = float(yaw_of(leg.first))
        bots, boxes, _ = self._obstacles_at(leg.begin)
        others = [car.body for k, car in self._racing(leg.begin) if k != self._follow]
        xy = np.array([*others, *(bot.body for bot in bots)]).reshape(-1, 13)[:, :2]
        away = np.vstack([xy, boxes[:, :2]]) - leg.first[:2]
        ahead = away @ np.array([np.cos(yaw), np.sin(yaw)])
        aside = np.abs(away @ np.array([-np.sin(yaw), np.cos(yaw)]))
        is_seen = (ahead > 0.35) & (ahead < NEAR) & (aside < WIDE * ahead)
        pull = abs(float(leg.last[12])) * float(np.hypot(*leg.last[7:9]))
        return float(np.sum(1.0 + 1.0 / ahead[is_seen])) + min(pull / 100.0, 0.99)

    def _turned(self, own: TimelineMoment, since: float | None) -> float:
        """Return the camera's direction [rad], which lags behind the car's heading.

        When the car was put back on the road, the camera turns to it at once.
        """
        yaw, before = float(yaw_of(own.body)), self._heading
        is_set_down = self._was_waiting and not own.is_waiting
        self._was_waiting = own.is_waiting
        if before is None or since is None or is_set_down:
            self._heading = yaw
            return yaw
        share = 0.0 if own.is_waiting else 1.0 - float(np.exp(-since / CAMERA_LAG_S))
        turn = yaw - before
        self._heading = before + share * float(np.arctan2(np.sin(turn), np.cos(turn)))
        return self._heading

    def _racing(self, time: float) -> list[tuple[int, TimelineMoment]]:
        """Return index and state of each car that still races, the followed one last."""
        others = [
            (k, car.at(time))
            for k, car in enumerate(self._cars)
            if k != self._follow and time < car.end
        ]
        return [*others, (self._follow, self._own.at(time))]

    def _drawn_cars(self, time: float) -> list[DrawnCar]:
        """Return the racing cars as the chase view draws them."""
        is_named = len(self._cars) > 1
        drawn = []
        for k, moment in self._racing(time):
            name = shortened_name(self._names[k]) if is_named else ""
            fault = self._cars[k].fault_at(time) if moment.is_waiting else None
            if fault and is_named:
                name = f"{name}  {_penalty(fault)}"
            body, steering, is_ghost = moment.body, moment.steering, moment.is_waiting
            drawn.append(DrawnCar(body, steering, livery(k), name, is_ghost))
        return drawn

    def _obstacles_at(self, time: float) -> tuple[list[DrawnCar], np.ndarray, np.ndarray]:
        """Return bots as cars, boxes as rows, and the boxes' colours; a race has one of the two."""
        rows, colours = self._obstacles.at(time), self._obstacles.colours
        if not self._has_bots:
            return [], rows, colours
        bots = drawn_bots(rows, self._view.spec, len(self._cars))
        return bots, rows[:0], colours[:0]

    def _dots(self, time: float, bots: list[DrawnCar]) -> tuple[MapDot, ...]:
        """Return the bots and cars on the map."""
        cars = [
            MapDot(moment.body[:2], livery(k).body, moment.is_waiting)
            for k, moment in self._racing(time)
        ]
        return (*(MapDot(bot.body[:2], bot.livery.body, False) for bot in bots), *cars)

    def _order(self, time: float) -> list[int]:
        """Return the cars' indices in the order of the ranking.

        Finished cars come first, by their times; then the others, by the distance driven.
        """

        def key(k: int) -> tuple[bool, float]:
            car = self._cars[k]
            is_done = car.is_finished and time >= car.end
            return not is_done, car.end if is_done else -car.laps_at(time)

        return sorted(range(len(self._cars)), key=key)

    def _ranking(self, time: float) -> tuple[RankingLine, ...]:
        """Return the ranking at a race time."""
        lines = []
        for place, k in enumerate(self._order(time), 1):
            car, note = self._cars[k], ""
            if time >= car.end:
                note = f"{car.end:.2f} s" if car.is_finished else "out"
            elif car.at(time).is_waiting and (fault := car.fault_at(time)):
                note = _penalty(fault)
            colour = livery(k).body
            lines.append(RankingLine(place, self._names[k], colour, note, k == self._follow))
        return tuple(lines)

    def _result_notice(self, done: int, laps: int) -> HudNotice:
        """Return the notice at the end of the followed car's race."""
        car = self._own
        if not car.is_finished:
            return HudNotice(f"did not finish: {car.verdict}", f"{done} of {laps} laps")
        more = f"best lap {min(car.driven.lap_times_s):.2f} s" if laps > 1 else ""
        if len(self._cars) > 1:
            place = self._order(self.end).index(self._follow) + 1
            more = f"{_ordinal(place)} of {len(self._cars)}" + f", {more}" * bool(more)
        return HudNotice(car.verdict, more, is_good=True)

    def _camera_frame(self, leg: int) -> np.ndarray | None:
        """Return the followed car's camera frame at the beginning of a leg; None without one."""
        if self._camera is not None and self._shown[0] != leg:
            now = self._own.legs[leg]
            driven, before = self._own.driven, max(now.step - 1, 0)
            boxes = driven.boxes[before] if len(driven.boxes) else np.zeros((0, 10))
            colours = driven.colours[: len(boxes)]
            frame = _observe(self._camera, now.first, now.steering[0], boxes, colours)
            self._shown = leg, frame
        return self._shown[1]


def _notice(car: Timeline, time: float) -> HudNotice | None:
    """Return the notice about a car's fault, and when it continues."""
    fault = car.fault_at(time)
    if fault is None:
        return None
    left = fault.end - time
    return HudNotice(fault.words, f"goes on in {left:.1f} s" if left > 0.05 else "")


def _penalty(fault: TimelineFault) -> str:
    """Return a fault's penalty, e.g. `+3 s`."""
    return fault.words.rpartition("  ")[2]


def _ordinal(place: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10 * (place % 100 // 10 != 1), "th")
    return f"{place}{ending}"


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture, (height, width, 4) uint8, as a PNG.

    Raises:
        RacerError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(picture[..., :3])).save(path, format="PNG")
    except OSError as problem:
        raise RacerError(f"{path}: the picture cannot be written: {problem}") from problem


def _camera(sensors: Sensors, spec, track: Track, walls: bool) -> Sensor | None:
    """Return the first camera among the sensors, without its frame stack; None without one."""
    for config in sensors:
        if len(config.space.shape) == 3:
            return make_sensor(config.model_copy(update={"stack": 1}), spec, track, 1, walls)
    return None


def _observe(
    camera: Sensor, row: np.ndarray, steering: float, boxes: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """Return the frame (H, W, C) of a camera on a car with the body row (13,)."""
    frame = np.empty((1, *camera.space.shape), dtype=np.uint8)
    state = CarState.of(row[None], np.array([steering]), np.zeros((1, 2)))
    # Cameras do not use the position on the track.
    position = TrackPosition(np.zeros(1), np.zeros(1), np.zeros(1, dtype=np.int64))
    inputs = SensorInput(state, position, np.zeros(1, dtype=bool), boxes[None], colours[None])
    camera.observe(inputs, np.arange(1), frame)
    return frame[0]
