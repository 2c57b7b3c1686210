"""The import of a DeepRacer model's files that a person uploads or pastes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nicegui import ui

from racer.errors import StudioError
from racer.studio.commands import run_command
from racer.studio.model_draft import free_name

MODEL_FILES = ("reward_function.py", "model_metadata.json", "hyperparameters.json")
"""The files of a DeepRacer model that can be pasted."""
MAX_UPLOAD_BYTES = 500_000_000
"""Size of the largest upload; a model's archive holds its checkpoints."""


def import_files(folder: Path, files: dict[str, bytes], name: str = "deepracer") -> str:
    """Import the files of a DeepRacer model, and return the name of the new model.

    Args:
        folder: The folder of the runs.
        files: Contents by file names; a single archive is the whole model.
        name: What the new model's name begins with.

    Raises:
        StudioError: A file is missing or cannot be used.
    """
    if not files:
        raise StudioError("nothing was given: upload or paste the files of a DeepRacer model")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="racer-studio-") as place:
        model = Path(place)
        for file, content in files.items():
            (model / Path(file).name).write_bytes(content)
        only = [one for one in files if re.search(r"\.(zip|tar\.gz|tgz)$", one)]
        source = model / Path(only[0]).name if only and len(files) == 1 else model
        new = free_name(folder, re.sub(r"[^\w-]+", "-", name).strip("-") or "deepracer")
        words = ["import-deepracer", str(source), "--name", new, "--out", str(folder), "--no-rate"]
        try:
            run_command(words)
        except StudioError as problem:
            said = str(problem).replace(f"{source}", "the model")
            raise StudioError(said.replace(f"{model}/", "")) from problem
    return new


async def ask_for_deepracer_files(folder: Path) -> str | None:
    """Ask for the files of a DeepRacer model, and return the name of the imported model.

    Args:
        folder: The folder of the runs.

    Raises:
        StudioError: A file is missing or cannot be used.
    """
    files: dict[str, bytes] = {}

    async def take(event: Any) -> None:
        files[event.file.name] = await event.file.read()

    with ui.dialog() as dialog, ui.card().classes("w-full max-w-2xl"):
        ui.label("Import a DeepRacer model").classes("text-xl")
        ui.label(
            "Upload reward_function.py, model_metadata.json and hyperparameters.json, with a "
            "track as .npy if you have one; or an archive of the model, .tar.gz or .zip; or paste "
            "the three files."
        )
        upload = ui.upload(multiple=True, auto_upload=True, on_upload=take, label="files")
        upload.props(f"max-file-size={MAX_UPLOAD_BYTES}").classes("w-full")
        pasted = {}
        for name in MODEL_FILES:
            pasted[name] = ui.textarea(name).props("dense autogrow").classes("w-full font-mono")
        with ui.row().classes("w-full justify-end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat")
            ui.button("Import", on_click=lambda: dialog.submit(True))
    if not await dialog:
        return None
    texts = {name: one.value.encode() for name, one in pasted.items() if (one.value or "").strip()}
    return await asyncio.to_thread(import_files, folder, files | texts)
