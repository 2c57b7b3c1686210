"""The page of a race's traces: what its driver did, beside other drivers of the same race."""

from __future__ import annotations

import asyncio

from nicegui import ui

from racer.car.spec import car_named
from racer.errors import RacerError
from racer.leaderboard.season import Season
from racer.studio.opponents import Ghost, Opponents
from racer.studio.page_frame import ERROR_TEXT, page_frame
from racer.studio.run_actions import Studio
from racer.studio.telemetry import (
    TRACE_COLOURS,
    TRACE_ROW_PX,
    LapTrace,
    lap_traces,
    trace_chart,
)
from racer.track import load_track

SCROLLED = "tabindex=0 role=region aria-label=times"
"""The properties of a part that scrolls, for keys and screen readers."""
BEST_LAP = "the best of each"
EVERY_LAP = "all"
"""Choices of laps beside their numbers."""


class TracesPage:
    """The page in one browser tab.

    Args:
        studio: The studio.
        opponents: Who can be compared, and the recorded races.
        race: The race's word, as in `Opponents.recorded`; "" for none yet.
    """

    def __init__(self, studio: Studio, opponents: Opponents, race: str) -> None:
        self._opponents = opponents
        self._season: Season | None = None
        self._ghosts: list[Ghost] = []
        with page_frame("traces", str(studio.folder.path)):
            ui.label("Traces").classes("text-2xl").props("role=heading aria-level=1")
            with ui.row().classes("w-full gap-x-4 gap-y-2 items-end"):
                self._race = ui.select({}, label="race").classes("w-72 grow")
                self._others = ui.select({}, label="beside", multiple=True, value=[])
                self._others.classes("w-60 grow").props("use-chips")
                laps = [BEST_LAP, EVERY_LAP]
                self._lap = ui.select(laps, value=BEST_LAP, label="laps").classes("w-40")
                self._to = ui.select({}, label="time difference to").classes("w-60 grow")
                for field in (self._race, self._others, self._lap, self._to):
                    field.props("dense options-dense")
            self._error = ui.label().classes(f"{ERROR_TEXT} whitespace-pre-wrap")
            self._table = ui.column().classes("w-full overflow-x-auto").props(SCROLLED)
            self._chart = ui.echart({}, renderer="canvas").classes("w-full")
            self._chart.style(f"height: {70 + 4 * TRACE_ROW_PX}px")
        self._chart.set_visibility(False)
        self._wanted = race
        ui.timer(0.1, self._offer, once=True)

    async def _offer(self) -> None:
        """Offer the recorded races, and show the one that the address names."""
        races = await asyncio.to_thread(self._opponents.recorded)
        if self._wanted and self._wanted not in races:
            races[self._wanted] = self._wanted
        self._race.set_options(races, value=self._wanted or None)
        if not races:
            self._error.set_text("There is no race yet: drive one, or submit an entry to a board.")
        self._race.on_value_change(self._show_race)
        self._others.on_value_change(self._load)
        self._lap.on_value_change(self._draw)
        self._to.on_value_change(self._draw)
        if self._wanted:
            await self._show_race()

    async def _show_race(self) -> None:
        """Offer who can be compared in the chosen race, and draw it."""
        if not self._race.value:
            return
        try:
            season, _ = await asyncio.to_thread(self._opponents.race_of, self._race.value)
        except RacerError as problem:
            self._error.set_text(str(problem))
            return
        self._season = season
        others = await asyncio.to_thread(self._opponents.ghosts, season)
        others.pop(self._race.value, None)
        self._others.set_options(others, value=[one for one in self._others.value if one in others])
        await self._load()

    async def _load(self) -> None:
        """Simulate the races that are chosen, and draw them."""
        season = self._season
        if season is None:
            return
        words, self._ghosts = list(self._others.value or []), []
        self._error.set_text("simulating ...")
        try:
            _, first = await asyncio.to_thread(self._opponents.race_of, self._race.value)
            found = [first]
            for word in words:
                found.append(await asyncio.to_thread(self._opponents.ghost, word, season))
        except RacerError as problem:
            self._error.set_text(str(problem))
            return
        self._error.set_text("")
        self._ghosts = found
        count = max(len(one.lap_times_s) for one in found)
        laps = [BEST_LAP, EVERY_LAP, *map(str, range(1, count + 1))]
        self._lap.set_options(laps, value=self._lap.value if self._lap.value in laps else BEST_LAP)
        self._draw()

    def _chosen_traces(self) -> tuple[list[LapTrace], float]:
        """Return the chosen laps of all races, and the length of the lap [m]."""
        assert self._season is not None
        length = float(load_track(self._season.runs()[0].track).length)
        traces = []
        for one in self._ghosts:
            laps = lap_traces(one.name, one.result, car_named(one.car), length)
            whole = [lap for lap in laps if lap.lap_time is not None]
            if self._lap.value == EVERY_LAP:
                traces += laps
            elif self._lap.value == BEST_LAP:
                traces += [min(whole, key=lambda lap: lap.lap_time or 0.0)] if whole else laps[:1]
            else:
                traces += [lap for lap in laps if str(lap.lap) == self._lap.value]
        return traces, length

    def _draw(self) -> None:
        """Draw the chosen laps, and their times in a table."""
        if not self._ghosts:
            return
        traces, length = self._chosen_traces()
        names = {k: f"{one.name}, lap {one.lap}" for k, one in enumerate(traces)}
        to = self._to.value if self._to.value in names else (len(traces) - 1 if names else None)
        self._to.set_options(names, value=to)
        self._chart.set_visibility(bool(traces))
        if not traces or to is None:
            return
        options = trace_chart(traces, traces[to], length)
        self._chart.options.clear()
        self._chart.options.update(options)
        self._chart.update()
        self._table.clear()
        with self._table:
            _times_table(traces)


def _times_table(traces: list[LapTrace]) -> None:
    """Show the time of each lap and of its sectors; the fastest of each is bold."""
    sectors = max((len(one.sectors) for one in traces), default=0)
    fastest = [
        min((one.sectors[k] for one in traces if k < len(one.sectors)), default=0.0)
        for k in range(sectors)
    ]
    best = min((one.lap_time for one in traces if one.lap_time is not None), default=0.0)
    heads = ["", "driver", "lap", *(f"sector {k + 1} [s]" for k in range(sectors)), "time [s]"]
    grid = f"grid-template-columns: repeat({len(heads)}, max-content)"
    with ui.element("div").classes("grid gap-x-6 gap-y-1 text-sm").style(grid):
        for head in heads:
            ui.label(head).classes("opacity-80")
        for number, one in enumerate(traces):
            colour = TRACE_COLOURS[number % len(TRACE_COLOURS)]
            ui.element("div").classes("w-4 h-4 rounded").style(f"background: {colour}")
            ui.label(one.name).classes("break-words")
            ui.label(str(one.lap))
            for k in range(sectors):
                time = one.sectors[k] if k < len(one.sectors) else None
                _time_label(time, time == fastest[k])
            _time_label(one.lap_time, one.lap_time == best)


def _time_label(time: float | None, is_best: bool) -> None:
    ui.label("-" if time is None else f"{time:.3f}").classes("font-bold" if is_best else "")
