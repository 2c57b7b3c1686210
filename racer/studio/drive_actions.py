"""What a person does with a stored drive on the studio's page."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nicegui import ui

from racer import assets
from racer.errors import BoardError, RacerError
from racer.leaderboard.drive_submission import drives_of_runs, is_of_run, submit_drives
from racer.leaderboard.drives import DriveRecord, drives_in, read_drive
from racer.leaderboard.placement import announcement, placement_of
from racer.leaderboard.season import Season, load_season
from racer.leaderboard.store import BoardStore, has_board
from racer.studio.commands import run_command
from racer.studio.run_actions import Studio, errors_shown


def open_seasons() -> dict[str, Season]:
    """Return the seasons that ship with racer and those of the board, by their names.

    Sealed seasons are left out, as their races are not known to a driver.
    """
    found = [load_season(name) for name in assets.shipped_names("configs/seasons")]
    if has_board():
        store = BoardStore()
        digests = dict.fromkeys(row.season_digest for row in store.every_row())
        found += [store.season(digest) for digest in digests]
    named: dict[str, Season] = {}
    for one in found:
        if one.sealed is None and one not in named.values():
            named[one.folder if one.name in named else one.name] = one
    return named


async def submit_drive(studio: Studio, file: Path) -> None:
    """Put a drive, with the same person's drives of a season's other races, on the board."""
    with errors_shown():
        said = await asyncio.to_thread(_submit, file)
        ui.notify(said, type="positive", multi_line=True, timeout=0, close_button="close")


def _submit(file: Path) -> str:
    drive = read_drive(file)
    season = next(
        (
            one
            for one in open_seasons().values()
            if any(is_of_run(drive, one, run) for run in one.runs())
        ),
        None,
    )
    if season is None:
        raise BoardError(
            "this race is not one of a season's: choose a season above, and drive its race; or "
            "make a season with its rules and submit the file with `racer board submit`"
        )
    others = [
        one
        for path, one in drives_in(file.parent)
        if isinstance(one, DriveRecord) and one.driver == drive.driver and path != file
    ]
    own = next(run for run in season.runs() if is_of_run(drive, season, run))
    # The drive that was chosen stands for its race, even if another one is better.
    rest = [one for one in others if not is_of_run(one, season, own)]
    drives = drives_of_runs(season, [drive, *rest])
    store = BoardStore()
    row = submit_drives(store, season, drives)
    return ". ".join(announcement(season, placement_of(store.rows(season), season, row)))


async def clone_drive(studio: Studio, file: Path) -> None:
    """Train a policy that imitates a drive; it is a new run in the garage."""
    with errors_shown():
        out = _free_folder(studio.folder.path / f"clone-{file.stem}")
        told = ui.notification(f"cloning {file.name} ...", spinner=True, timeout=None)
        try:
            words = ["clone-driver", str(file), "--out", str(out), "--quiet"]
            await asyncio.to_thread(run_command, words)
        finally:
            told.dismiss()
        ui.notify(f"the clone is the run {out.name} in the garage", type="positive")


async def download_drive(studio: Studio, file: Path) -> None:
    """Let the browser save a drive's file."""
    with errors_shown():
        ui.download(_content(file), file.name)


async def delete_drive(studio: Studio, file: Path) -> None:
    """Ask whether to delete a drive, and delete its file if the answer is yes."""
    with ui.dialog() as dialog, ui.card():
        ui.label(f"Delete {file.name}?").classes("break-all")
        with ui.row().classes("w-full justify-end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat")
            ui.button("Delete", on_click=lambda: dialog.submit(True)).props("color=red-8")
    if await dialog:
        with errors_shown():
            try:
                file.unlink(missing_ok=True)
            except OSError as problem:
                raise RacerError(f"{file}: {problem.strerror}") from problem


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise RacerError(f"{file}: {problem.strerror}") from problem


def _free_folder(wanted: Path) -> Path:
    """Return a folder that is not there yet."""
    count = 2
    folder = wanted
    while folder.exists():
        folder, count = wanted.with_name(f"{wanted.name}-{count}"), count + 1
    return folder
