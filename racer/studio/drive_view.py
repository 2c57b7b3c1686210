"""The element of the studio's pages that draws a race as it is driven."""

from __future__ import annotations

from pathlib import Path

import nicegui.elements.scene  # noqa: F401 - it registers the three.js that the page's script imports
from nicegui import ui

DRIVE_FILES = Path(__file__).parent / "files"
BUTTON_INK = "text-slate-800 dark:text-slate-100"
"""The classes of a button's text that is read on a light and on a dark page."""


class DriveView(
    ui.element,
    component=DRIVE_FILES / "drive_view.js",
    esm={"racer-drive-scene": str(DRIVE_FILES / "drive_scene")},
):
    """The picture of a race, with the keys; see `files/drive_view.js`.

    Args:
        watches: Whether nobody drives by hand.
    """

    def __init__(self, watches: bool = False) -> None:
        super().__init__()
        self._props["watches"] = watches
        ui.add_css((DRIVE_FILES / "drive.css").read_text("utf-8"))

    def start(self, token: str) -> None:
        """Show the race that a `DriveLobby` keeps under a word."""
        self.run_method("start", token)

    def ask(self, what: str) -> None:
        """Ask for a `pause`, a `restart`, or to `stop`."""
        self.run_method("ask", what)
