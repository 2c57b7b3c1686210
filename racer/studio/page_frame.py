"""What all pages of the studio have: the bar at the top, and how they name and count things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui

STATE_COLOURS = {
    "running": "green-9",
    "starting": "green-9",
    "paused": "brown-6",
    "finished": "blue-8",
    "failed": "red-8",
    "unreadable": "red-8",
}
"""Colour of a state's badge; the others are grey."""
ERROR_TEXT = "text-red-900 dark:text-red-400 break-words w-full"
"""The classes of an error's text."""


PAGE_STYLES = """
body { --q-primary: #1f6fb8 !important }
body.body--dark { --q-primary: #6aa9e0 !important }
@layer overrides {
  .body--dark .q-btn.bg-primary { color: #10141a !important }
  .body--dark .text-red-9 { color: #ef9a9a !important }
}
.nicegui-link:not(.text-white):not(.text-inherit) { color: var(--q-primary) }
"""
"""Colours with enough contrast on a light and on a dark page (WCAG 2.1 AA, 4.5)."""


@contextmanager
def page_frame(title: str, folder: str) -> Iterator[ui.column]:
    """Make a page with the bar at the top; fill its column inside the `with` block.

    Args:
        title: The page's title.
        folder: The folder of the runs.
    """
    ui.add_css(PAGE_STYLES)
    ui.page_title(f"{title} - racer studio")
    with ui.header().classes("items-center py-2 bg-slate-800"):
        ui.link("racer studio", "/").classes("text-white text-lg font-bold no-underline")
        for name, target in (("Drive", "/drive"), ("Race", "/race"), ("Traces", "/traces")):
            ui.link(name, target).classes("text-white no-underline")
        ui.space()
        ui.label(folder).classes("text-sm opacity-80 ellipsis max-w-1/2").tooltip(folder)
    with ui.column().classes("w-full max-w-screen-xl mx-auto gap-4 p-1 sm:p-2") as column:
        yield column


def state_badge(state: str) -> None:
    """Show a run's state."""
    ui.badge(state, color=STATE_COLOURS.get(state, "grey-7")).classes("text-sm px-2 py-1")


def steps_bar(share: float) -> None:
    """Show the share of the steps that are trained, 0-1."""
    bar = ui.linear_progress(share, show_value=False).classes("w-full")
    bar.props('rounded aria-label="share of the steps that are trained"')


def figures(values: dict[str, str]) -> None:
    """Show figures in a row, each with its name below it."""
    with ui.row().classes("gap-x-6 gap-y-1"):
        for name, value in values.items():
            with ui.column().classes("gap-0"):
                ui.label(value).classes("text-lg leading-tight")
                ui.label(name).classes("text-xs opacity-70")


def result_figures(summary: dict[str, Any]) -> dict[str, str]:
    """Return the laps, the best lap and the multiple of the limit of a run's best evaluation."""
    laps, best, x_limit = (summary.get(name) for name in ("laps", "best_lap_s", "x_limit"))
    return {
        "laps": "-" if laps is None else f"{summary['laps_completed']} of {laps}",
        "best lap": "-" if best is None else f"{best:.2f} s",
        "x limit": "-" if x_limit is None else f"{x_limit:.2f}",
    }
