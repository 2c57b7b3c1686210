"""The cars of a training as they drive: what the first one sees, and all of them on the map."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path

import numpy as np
from markupsafe import Markup
from nicegui import ui

from racer.assets.chart_style import PAGE_CURVE_COLOURS
from racer.assets.inline_svg import SVG_WIDTH_PX
from racer.errors import RacerError
from racer.studio.run_actions import Studio
from racer.studio.run_folder import track_svg
from racer.studio.sensor_view import sensor_pictures
from racer.track import load_track
from racer.track.picture import RoadPlacement, place_road
from racer.training.config import RunConfig
from racer.training.live_frames import FRAME_RATE_HZ, LiveFrameReader

READ_PERIOD_S = 0.25
"""Time between two looks at the frames of the training [s]."""
WATCH_SIGN_PERIOD_S = 1.0
"""Time between two signs to the training that somebody watches [s]."""
MAX_WAITING_FRAMES = 60
"""Largest number of frames that wait to be shown; the oldest are left out."""


class LiveDrive:
    """What a training's cars do, on one page while the training runs.

    Args:
        studio: The studio.
        name: The run's name.
    """

    def __init__(self, studio: Studio, name: str) -> None:
        self._studio, self._name = studio, name
        self._is_followed, self._reader = False, None
        self._config: RunConfig | None = None
        self._placement: RoadPlacement | None = None
        self._waiting: deque[np.ndarray] = deque(maxlen=MAX_WAITING_FRAMES)
        self._shown: dict[str, ui.html] = {}
        self.frames = 0
        with ui.element("div").classes("grid w-full grid-cols-1 lg:grid-cols-2 gap-4") as grid:
            self._grid = grid
            with ui.column().classes("w-full min-w-0 gap-1"):
                ui.label("what the first car sees").classes("text-sm opacity-80")
                self._views = ui.column().classes("w-full gap-1")
            with ui.column().classes("w-full min-w-0 gap-1"):
                self._caption = ui.label("all cars").classes("text-sm opacity-80")
                with ui.element("div").classes("relative w-full max-w-lg"):
                    self._road = ui.html("", sanitize=False).classes("w-full")
                    self._cars = ui.html("", sanitize=False).classes("absolute inset-0")
        grid.set_visibility(False)
        self._read_timer = ui.timer(READ_PERIOD_S, self._read, active=False)
        self._watch_timer = ui.timer(WATCH_SIGN_PERIOD_S, self._watch, active=False)
        self._show_timer = ui.timer(1.0 / FRAME_RATE_HZ, self._show, active=False)

    def follow(self, is_trained: bool) -> None:
        """Follow the training while it runs."""
        if is_trained == self._is_followed:
            return
        self._is_followed = is_trained
        if is_trained and not self._open():
            return
        for timer in (self._read_timer, self._watch_timer, self._show_timer):
            timer.active = is_trained
        if not is_trained:
            self._grid.set_visibility(False)
            self._waiting.clear()

    def _open(self) -> bool:
        """Prepare to read the frames, and draw the road; return whether that can be done."""
        try:
            run = self._studio.folder.open(self._name)
            self._config = config = run.config()
            self._reader = LiveFrameReader(run.folder, config)
            self._placement = place_road(load_track(config.track[0]))
        except RacerError:
            return False  # The page says what is wrong.
        self._road.set_content(track_svg(config.track[0]) or "")
        return True

    def _watch(self) -> None:
        """Let the training write frames, unless the folder cannot be written."""
        if self._reader is None:
            return
        try:
            self._reader.watch()
        except RacerError:
            self._watch_timer.active = False

    async def _read(self) -> None:
        if self._reader is not None:
            self._waiting.extend(await asyncio.to_thread(self._reader.read))

    def _show(self) -> None:
        """Show the next frame."""
        if not self._waiting or self._config is None or self._placement is None:
            return
        frame = self._waiting.popleft()
        self.frames += 1
        self._grid.set_visibility(True)
        names = [one.name for one in self._config.sensor]
        seen = {name: frame[name] for name in names}
        pictures = sensor_pictures(self._config.sensor, seen)
        if list(self._shown) != list(pictures):
            self._views.clear()
            with self._views:
                self._shown = {
                    name: ui.html("", sanitize=False).classes("w-full max-w-lg")
                    for name in pictures
                }
        for name, picture in pictures.items():
            self._shown[name].set_content(picture)
        poses = frame["poses"]
        there = poses[poses[:, 3] == 0.0]
        self._cars.set_content(car_dots(there, self._placement, _is_car_there(poses)))
        track = Path(self._config.track[0]).stem
        steps = int(frame["steps"])
        self._caption.set_text(f"{len(there)} cars on {track}, after {steps:,} steps")


def car_dots(poses: np.ndarray, placement: RoadPlacement, has_first: bool) -> Markup:
    """Return cars as dots on the picture of a road; the first one is larger.

    Args:
        poses: Their places, (n, 4).
        placement: Where the road lies in the picture.
        has_first: Whether the first of them is the one whose sensors are shown.
    """
    first, others = PAGE_CURVE_COLOURS[0], PAGE_CURVE_COLOURS[1]
    places = placement.pixels(poses[:, :2].astype(float))
    dots = [
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="7" fill="{others}" fill-opacity="0.8"/>'
        for x, y in places[has_first:]
    ]
    if has_first:
        x, y = places[0]
        dots.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="11" fill="{first}"/>')
    return Markup(
        f'<svg viewBox="0 0 {SVG_WIDTH_PX:.0f} {placement.height:.0f}" role="img" '
        f'aria-label="{len(poses)} cars on the track" style="width:100%">{"".join(dots)}</svg>'
    )


def _is_car_there(poses: np.ndarray) -> bool:
    """Return whether the first car drives on the first track."""
    return bool(poses[0, 3] == 0.0)
