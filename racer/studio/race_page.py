"""The page on which entries race each other, to be watched as they do."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nicegui import ui

from racer.car.spec import car_named
from racer.entries.package import ENTRY_SUFFIX, MAX_PACKAGE_BYTES
from racer.errors import StudioError
from racer.leaderboard.season import Season
from racer.studio.commands import run_command
from racer.studio.drive_actions import open_seasons
from racer.studio.drive_socket import DriveLobby
from racer.studio.drive_view import BUTTON_INK, DriveView
from racer.studio.entry_files import entry_file, keep_entry
from racer.studio.opponents import Ghost, Opponents
from racer.studio.page_frame import page_frame
from racer.studio.race_form import RaceForm
from racer.studio.race_session import (
    MAX_RACERS,
    RaceOptions,
    RaceSession,
    ending_words,
    finish_key,
)
from racer.studio.run_actions import Studio, errors_shown
from racer.studio.telemetry import TRACE_ROW_PX, lap_traces, trace_chart
from racer.studio.traces_page import SCROLLED
from racer.track import load_track

RACERS_REFRESH_S = 3.0
"""Time between two looks at who can race [s]."""
REJECTED = f"no entry: one file that ends in {ENTRY_SUFFIX}, up to {MAX_PACKAGE_BYTES:,} bytes"
"""What is said of an upload that the browser did not send."""


class RacePage:
    """The page in one browser tab.

    Args:
        studio: The studio.
        lobby: Where the chosen race waits for the tab's websocket.
        opponents: Who can race.
    """

    def __init__(self, studio: Studio, lobby: DriveLobby, opponents: Opponents) -> None:
        self._studio, self._lobby, self._opponents = studio, lobby, opponents
        self._grid: list[str] = []
        self._labels: dict[str, str] = {}
        self._season: Season | None = None
        self._races: list[Ghost] = []
        with page_frame("race", str(studio.folder.path)) as self._column:
            ui.label("Race").classes("text-2xl").props("role=heading aria-level=1")
            with ui.row().classes("w-full gap-x-4 gap-y-2 items-end"):
                self._form = RaceForm()
            with ui.row().classes("w-full gap-x-4 gap-y-2 items-end"):
                self._add = ui.select({}, label="add to the grid")
                self._add.props("dense options-dense").classes("w-72 grow")
                self._add.on_value_change(self._enter)
                pick = ui.button("Upload an entry", color=None).props("outline dense")
                pick.classes(BUTTON_INK).tooltip("a file that ends in .entry.zip")
                ui.button("Race", on_click=self._start).props("color=deep-orange-10")
            # The uploader's own buttons have no names for a screen reader.
            self._upload = ui.upload(auto_upload=True, on_upload=self._keep_upload)
            self._upload.props(f"max-file-size={MAX_PACKAGE_BYTES} accept=.zip")
            self._upload.on("rejected", lambda: ui.notify(REJECTED, type="negative"))
            self._upload.classes("hidden")
            pick.on("click", js_handler=f"() => runMethod({self._upload.id}, 'pickFiles', [])")
            self._places = ui.row().classes("w-full gap-2 items-center")
            self._view = DriveView(watches=True).classes("w-full")
            self._view.on("ended", self._show_results)
            with ui.row().classes("w-full gap-2 items-center"):
                for text, what in (("Pause", "pause"), ("Restart", "restart"), ("Stop", "stop")):
                    button = ui.button(text, color=None, on_click=partial(self._view.ask, what))
                    button.props("outline dense").classes(BUTTON_INK)
                ui.label("Click a name to follow that car.").classes("text-sm opacity-80")
            self._results = ui.column().classes("w-full gap-2")
            self._chart = ui.echart({}).classes("w-full")
            self._chart.style(f"height: {70 + 4 * TRACE_ROW_PX}px").set_visibility(False)
            ui.label("Submit").classes("text-xl").props("role=heading aria-level=2")
            with ui.row().classes("w-full gap-x-4 gap-y-2 items-end"):
                self._entry = ui.select({}, label="entry").props("dense options-dense")
                self._board = ui.select([], label="to the season").props("dense options-dense")
                self._name = ui.input("name on the board").props("dense maxlength=40")
                for field in (self._entry, self._board, self._name):
                    field.classes("w-48 grow")
                ui.button("Submit", on_click=self._submit).props("color=deep-orange-10")
        self._show_grid()
        ui.timer(RACERS_REFRESH_S, self._refresh)

    async def _refresh(self) -> None:
        """Offer who can race, and the seasons, as they are now."""
        labels, seasons = await asyncio.to_thread(
            lambda: (self._opponents.rivals(), open_seasons())
        )
        self._form.offer(seasons)
        if labels != self._labels:
            self._labels = labels
            self._add.set_options(labels)
            own = {word: label for word, label in labels.items() if not word.startswith("board:")}
            kept = self._entry.value if self._entry.value in own else None
            self._entry.set_options(own, value=kept)
        if list(seasons) != self._board.options:
            value = self._board.value if self._board.value in seasons else next(iter(seasons), None)
            self._board.set_options(list(seasons), value=value)

    def _enter(self) -> None:
        """Add the chosen entry to the end of the grid."""
        if (word := self._add.value) is None:
            return
        self._add.set_value(None)
        if len(self._grid) >= MAX_RACERS:
            ui.notify(f"at most {MAX_RACERS} race each other", type="warning")
            return
        self._grid.append(word)
        self._show_grid()

    def _leave(self, place: int) -> None:
        del self._grid[place]
        self._show_grid()

    def _show_grid(self) -> None:
        self._places.clear()
        with self._places:
            if not self._grid:
                ui.label(f"Put two to {MAX_RACERS} entries on the grid.").classes("opacity-80")
            for place, word in enumerate(self._grid):
                text = f"{place + 1}. {self._labels.get(word, word)}  \u2715"
                leave = partial(self._leave, place)
                ui.button(text, color=None, on_click=leave).props("outline dense no-caps").classes(
                    BUTTON_INK
                ).tooltip("take it from the grid")

    async def _keep_upload(self, event: Any) -> None:
        """Put an uploaded entry into the folder of runs, and on the grid."""
        self._upload.reset()
        with errors_shown():
            name, content = event.file.name, await event.file.read()
            await asyncio.to_thread(keep_entry, self._studio.folder.path, name, content)
            await self._refresh()
            self._add.set_value(f"entry:{name}")

    async def _start(self) -> None:
        """Let the tab's websocket race what is chosen."""
        with errors_shown():
            season = self._form.chosen()
            options = await asyncio.to_thread(RaceOptions, season, tuple(self._grid))
            self._season = season
            make = partial(RaceSession, options, self._opponents, self._keep)
            self._view.start(self._lobby.add(make))

    def _keep(self, races: list[Ghost]) -> None:
        """Keep the result of a race that has ended; called in the thread of the race."""
        self._races = races

    def _show_results(self) -> None:
        """Show times and traces of the race that has ended."""
        races, season = self._races, self._season
        if season is None or not races:
            return
        length = float(load_track(season.runs()[0].track).length)
        order = sorted(races, key=finish_key)
        traces = []
        for one in races:
            laps = lap_traces(one.name, one.result, car_named(one.car), length)
            whole = [lap for lap in laps if lap.lap_time is not None]
            traces += [min(whole, key=lambda lap: lap.lap_time or 0.0)] if whole else laps[:1]
        reference = next((one for one in traces if one.name == order[0].name), None)
        self._results.clear()
        with self._results:
            ui.label("Result").classes("text-xl").props("role=heading aria-level=2")
            _result_table(order)
            ui.label("The best lap of each").classes("text-sm opacity-80")
        self._chart.set_visibility(bool(traces))
        self._chart.options.clear()
        self._chart.options.update(trace_chart(traces, reference, length))
        self._chart.update()

    async def _submit(self) -> None:
        """Submit the chosen entry to the chosen season, as the command line does."""
        with errors_shown():
            word, season = self._entry.value, open_seasons().get(self._board.value or "")
            if not word or season is None:
                raise StudioError("choose an entry and a season")
            kind, _, source = word.partition(":")
            if kind == "run":
                source = str(self._studio.folder.open(source).folder)
            elif kind == "entry":
                source = str(entry_file(self._studio.folder.path, source))
            else:
                source = word
            name = (self._name.value or "").strip()
            told = ui.notification("judging ...", spinner=True, timeout=None)
            try:
                said = await asyncio.to_thread(_submit_entry, source, season, name)
            finally:
                told.dismiss()
            ui.notify(said, type="positive", multi_line=True, timeout=0, close_button="close")


def _submit_entry(source: str, season: Season, name: str) -> str:
    """Submit an entry, and return what the command said.

    Args:
        source: The entry as `racer board submit` takes it.
        season: The season, which may be one that only the board has.
        name: Name on the board; "" for the entry's own.
    """
    with TemporaryDirectory(prefix="racer-studio-") as folder:
        file = Path(folder) / "season.yaml"
        file.write_text(json.dumps(season.flat_fields()), "utf-8")
        words = ["board", "submit", source, "--season", str(file)]
        return run_command([*words, *(["--name", name] if name else [])])


def _result_table(order: list[Ghost]) -> None:
    heads = ("", "driver", "laps", "time [s]", "best lap [s]", "put back", "")
    grid = f"grid-template-columns: repeat({len(heads)}, max-content)"
    with (
        ui.element("div").classes("w-full overflow-x-auto").props(SCROLLED),
        ui.element("div").classes("grid gap-x-6 gap-y-1 text-sm").style(grid),
    ):
        for head in heads:
            ui.label(head).classes("opacity-80")
        for place, one in enumerate(order, 1):
            result = one.result
            ui.label(str(place))
            ui.label(one.name).classes("font-bold" if place == 1 else "")
            ui.label(f"{result.laps_completed}/{result.laps}")
            ui.label(f"{sum(result.lap_times_s):.2f}" if result.lap_times_s else "-")
            ui.label("-" if result.best_lap_s is None else f"{result.best_lap_s:.2f}")
            ui.label(str(result.resets or ""))
            ui.label(ending_words(one))
