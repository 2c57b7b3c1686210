"""What a person does with a run on the studio's pages, each as the command line does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nicegui import ui

from racer.errors import RacerError
from racer.studio.commands import TrainingCommands, run_command
from racer.studio.live_run import LiveRun
from racer.studio.run_folder import RunFolder
from racer.training.run_history import TRAINED_STATES, summarize_run
from racer.training.run_removal import disk_size, format_size, open_removable, remove_run


class Studio:
    """What all pages share: the runs, and the trainings that the studio started.

    Args:
        folder: The folder of the runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = RunFolder(folder)
        self.trainings = TrainingCommands()
        self._live: dict[str, LiveRun] = {}

    def live_run(self, name: str) -> LiveRun:
        """Return what follows a run; all pages of the run share it.

        Raises:
            RunError: There is no such run.
        """
        opened = self.folder.open(name)
        return self._live.setdefault(name, LiveRun(opened))

    def state(self, name: str, state: str) -> str:
        """Return a run's state as the pages show it: also `starting`, before it is running."""
        is_alive = self.trainings.is_alive(self.folder.path / name)
        return "starting" if is_alive and state not in TRAINED_STATES else state


RunAction = Callable[[Studio, str], Awaitable[None]]
"""What is done with the run of a name."""


async def do_on_page(page: ui.column, action: RunAction, studio: Studio, name: str) -> None:
    """Do something whose questions and messages stay when the button that was pressed goes.

    Args:
        page: The page's column.
        action: What is done.
        studio: The studio.
        name: The run's name.
    """
    with page:
        await action(studio, name)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an error that the user can cause in the page's corner, and go on."""
    try:
        yield
    except RacerError as problem:
        ui.notify(str(problem), type="negative", multi_line=True, timeout=0, close_button="close")


async def delete_run(studio: Studio, name: str) -> None:
    """Ask whether to delete a run, and delete it and show the garage if the answer is yes."""
    with errors_shown():
        opened = open_removable(studio.folder.open(name).folder)
        size = format_size(await asyncio.to_thread(disk_size, [opened.folder]))
        asked = f"Delete {name}, {size}, with everything in its folder?"
        if not await _confirmed(asked, "Delete"):
            return
        await asyncio.to_thread(remove_run, opened)
        ui.navigate.to("/")


async def export_entry(studio: Studio, name: str) -> None:
    """Export a run's best policy and let the browser save the entry."""
    await _export(studio, name, "--out", ".entry.zip")


async def export_for_car(studio: Studio, name: str) -> None:
    """Export a run's best policy for a DeepRacer car and let the browser save the archive."""
    await _export(studio, name, "--car", ".tar.gz")


async def _export(studio: Studio, name: str, option: str, suffix: str) -> None:
    """Export a run's best policy by an option of `racer export`, and let the browser save it."""
    with errors_shown(), TemporaryDirectory(prefix="racer-studio-") as folder:
        source = studio.folder.open(name).folder
        made = Path(folder) / f"{name}{suffix}"
        told = ui.notification(f"exporting {name} ...", spinner=True, timeout=None)
        try:
            await asyncio.to_thread(run_command, ["export", str(source), option, str(made)])
        finally:
            told.dismiss()
        ui.download(made.read_bytes(), made.name)


async def stop_run(studio: Studio, name: str) -> None:
    """Ask the process that trains a run to stop."""
    with errors_shown():
        studio.folder.open(name).request_stop()


async def pause_run(studio: Studio, name: str) -> None:
    """Let the process that trains a run wait at its next step."""
    with errors_shown():
        studio.folder.open(name).request("pause")


async def unpause_run(studio: Studio, name: str) -> None:
    """Let a paused training go on."""
    with errors_shown():
        studio.folder.open(name).clear_request("pause")


async def evaluate_now(studio: Studio, name: str) -> None:
    """Let the process that trains a run evaluate its policy before its next rollout."""
    with errors_shown():
        studio.folder.open(name).request("evaluate")
        ui.notify("The policy is evaluated before the next rollout.")


async def resume_run(studio: Studio, name: str, total_timesteps: int | None = None) -> None:
    """Start a process that trains a run further.

    Args:
        studio: The studio.
        name: The run's name.
        total_timesteps: The new total of control steps; None for the config's.
    """
    with errors_shown():
        studio.trainings.resume(studio.folder.open(name).folder, total_timesteps)


async def train_further(studio: Studio, name: str) -> None:
    """Ask for a larger total of steps, and train a run up to it."""
    with errors_shown():
        summary = summarize_run(studio.folder.open(name))
        with ui.dialog() as dialog, ui.card():
            ui.label(f"{name} has trained {summary['steps']:,} of {summary['wanted']:,} steps.")
            total = ui.number(
                "train until it has this many steps in all",
                value=2 * summary["wanted"],
                min=summary["steps"] + 1,
                precision=0,
                step=10_000,
            ).classes("w-full")
            with ui.row().classes("w-full justify-end"):
                ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat")
                ui.button("Train", on_click=lambda: dialog.submit(total.value))
        wanted = await dialog
        if wanted:
            await resume_run(studio, name, int(wanted))


def set_note(studio: Studio, name: str, text: str) -> None:
    """Write the user's note on a run.

    Args:
        studio: The studio.
        name: The run's name.
        text: The note; "" removes it.
    """
    with errors_shown():
        studio.folder.open(name).set_note(text)


async def _confirmed(asked: str, verb: str) -> bool:
    with ui.dialog() as dialog, ui.card():
        ui.label(asked).classes("break-words max-w-full")
        with ui.row().classes("w-full justify-end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat")
            ui.button(verb, on_click=lambda: dialog.submit(True)).props("color=red-8")
    return bool(await dialog)
