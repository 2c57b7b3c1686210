"""The page on which a person drives."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, WebSocket
from nicegui import ui

from racer.errors import RacerError
from racer.leaderboard.drives import DriveRecord, drives_folder, drives_in
from racer.leaderboard.season import Season
from racer.studio.drive_actions import (
    clone_drive,
    delete_drive,
    download_drive,
    open_seasons,
    submit_drive,
)
from racer.studio.drive_session import DriveOptions, DriveSession
from racer.studio.drive_socket import DriveLobby, DriveSocket
from racer.studio.drive_view import BUTTON_INK, DriveView
from racer.studio.opponents import Opponents, describe_laps
from racer.studio.page_frame import ERROR_TEXT, page_frame
from racer.studio.race_form import KIND_WORDS, NARROW, WIDE, RaceForm
from racer.studio.race_page import RacePage
from racer.studio.run_actions import Studio, errors_shown
from racer.studio.traces_page import TracesPage

DRIVES_REFRESH_S = 3.0
"""Time between two looks at the folder of the drives [s]."""
SHOWN_DRIVES = 30
"""The most drives that the page lists."""
HELP = (
    "Arrow keys or WASD drive, Space brakes, P pauses, R restarts. A gamepad: left stick, right "
    "trigger for throttle, left trigger for the brake, Start to pause."
)


def add_drive_page(app: FastAPI, studio: Studio) -> None:
    """Add the page, and the websocket of its races, to the studio's application."""
    lobby, drives = DriveLobby(), drives_folder().resolve()
    opponents = Opponents(studio.folder, drives)

    @ui.page("/drive")
    def drive_page() -> None:
        DrivePage(studio, lobby, opponents, drives)

    @ui.page("/race")
    def race_page() -> None:
        RacePage(studio, lobby, opponents)

    @ui.page("/traces")
    def traces_page(race: str = "") -> None:
        TracesPage(studio, opponents, race)

    @app.websocket("/drive/socket/{token}")
    async def drive_socket(socket: WebSocket, token: str) -> None:
        make_session = lobby.take(token)
        if make_session is None:
            await socket.close(1008, "this race was driven already; press Drive")
            return
        await DriveSocket(socket, make_session).run()


class DrivePage:
    """The page in one browser tab.

    Args:
        studio: The studio.
        lobby: Where the chosen race waits for the tab's websocket.
        opponents: Who can be raced.
        drives: The folder of the drives.
    """

    def __init__(
        self, studio: Studio, lobby: DriveLobby, opponents: Opponents, drives: Path
    ) -> None:
        self._studio, self._lobby = studio, lobby
        self._opponents, self._drives = opponents, drives
        self._shown: Any = None
        with page_frame("drive", str(studio.folder.path)) as self._column:
            ui.label("Drive").classes("text-2xl").props("role=heading aria-level=1")
            self._form()
            self._view = DriveView().classes("w-full")
            self._view.on("ended", self._refresh).on("left", self._refresh)
            with ui.row().classes("w-full gap-2 items-center"):
                for text, what in (("Pause", "pause"), ("Restart", "restart"), ("Stop", "stop")):
                    button = ui.button(text, color=None, on_click=partial(self._view.ask, what))
                    button.props("outline dense").classes(BUTTON_INK)
                ui.label(HELP).classes("text-sm opacity-80")
            ui.label("Drives").classes("text-xl").props("role=heading aria-level=2")
            self._list = ui.column().classes("w-full gap-2")
        ui.timer(DRIVES_REFRESH_S, self._refresh)

    def _form(self) -> None:
        """Make the fields of the race and its opponents."""
        with ui.row().classes("w-full gap-x-4 gap-y-2 items-end"):
            self._driver = ui.input("your name", value="me").props("dense maxlength=40")
            self._driver.classes(WIDE)
            self._race = RaceForm()
            self._key_speed = ui.number(
                "key's speed [m/s]", value=2.5, min=0.5, max=4, step=0.5, format="%.1f"
            )
            self._key_speed.props("dense").classes("w-32").tooltip(
                "the speed that the throttle key asks for; a gamepad's trigger reaches the highest"
            )
        with ui.row().classes("w-full gap-x-4 gap-y-2 items-end"):
            self._ghosts = ui.select({}, label="ghosts", multiple=True, value=[])
            self._rivals = ui.select({}, label="in the same world", multiple=True, value=[])
            for field in (self._ghosts, self._rivals):
                field.props(f"{NARROW} use-chips").classes("w-60 grow")
            ui.button("Drive", on_click=self._start).props("color=deep-orange-10")

    async def _start(self) -> None:
        """Let the tab's websocket drive what is chosen."""
        with errors_shown():
            season = self._race.chosen()
            name = (self._driver.value or "").strip()
            options = await asyncio.to_thread(
                DriveOptions,
                name,
                season,
                tuple(self._ghosts.value or ()),
                tuple(self._rivals.value or ()),
                self._key_speed.value,
            )
            make = partial(DriveSession, options, self._opponents, self._drives)
            self._view.start(self._lobby.add(make))

    async def _refresh(self) -> None:
        """Show the drives, the seasons and the opponents as they are now."""
        try:
            season = self._race.chosen()
        except RacerError:
            season = None
        seen = await asyncio.to_thread(self._look, season)
        if seen == self._shown:
            return
        self._shown = seen
        drives, ghosts, rivals, seasons = seen
        # What is chosen stays, so that a refresh does not change it while somebody chooses.
        for field, options in ((self._ghosts, ghosts), (self._rivals, rivals)):
            kept = [one for one in field.value or [] if one in options]
            field.set_options(options, value=kept)
        self._race.offer(seasons)
        self._list.clear()
        with self._list:
            if not drives:
                ui.label("A race is stored here as soon as a lap is complete.")
            for file, one in drives[:SHOWN_DRIVES]:
                self._show_drive(file, one)

    def _look(self, season: Season | None) -> tuple[Any, ...]:
        """Return the drives, ghosts and rivals by word, and the open seasons by name."""
        drives = [
            (path.name, one if isinstance(one, DriveRecord) else str(one))
            for path, one in drives_in(self._drives)
        ]
        told = [(name, one if isinstance(one, str) else _Told(one)) for name, one in drives]
        rivals = self._opponents.rivals()
        ghosts = rivals if season is None else self._opponents.ghosts(season)
        return told, ghosts, rivals, open_seasons()

    def _show_drive(self, file: str, one: Any) -> None:
        with ui.card().classes("w-full gap-1 p-2"), ui.row().classes("w-full items-center gap-2"):
            if isinstance(one, str):
                ui.label(one).classes(ERROR_TEXT)
            else:
                with ui.column().classes("gap-0 grow min-w-0"):
                    ui.label(one.title).classes("font-bold break-words")
                    ui.label(one.result).classes("text-sm opacity-80")
                self._button("Submit", submit_drive, file)
                self._button("Clone", clone_drive, file)
                traces = f"/traces?race={quote(f'drive:{file}')}"
                ui.button("Traces", color=None, on_click=partial(ui.navigate.to, traces)).props(
                    "flat dense"
                ).classes(BUTTON_INK)
                self._button("Save", download_drive, file)
            self._button("Delete", delete_drive, file)

    def _button(self, text: str, action: Any, file: str) -> ui.button:
        async def act() -> None:
            with self._column:
                await action(self._studio, self._drives / file)
            await self._refresh()

        return ui.button(text, color=None, on_click=act).props("flat dense").classes(BUTTON_INK)


class _Told:
    """What the list tells about a drive; equal for the same drive."""

    def __init__(self, record: DriveRecord) -> None:
        score, rules = record.replay.score, record.rules
        among = f" against {', '.join(one.name for one in record.rivals)}" if record.rivals else ""
        back = f", put back {score.resets}x" if score.resets else ""
        limit = f", {score.x_limit:.2f} x the limit" if score.x_limit else ""
        walls = " with walls" if rules.walls else ""
        kind = KIND_WORDS[rules.kind]
        self.title = f"{record.driver} on {score.track}, {kind}{walls}{among}"
        self.result = f"{describe_laps(record)} of {score.laps}{limit}{back}"
        self.result += f" - {record.created[:16].replace('T', ' ')} UTC"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Told) and vars(self) == vars(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]
