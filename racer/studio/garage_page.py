"""The garage: a card for each run in the folder."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup
from nicegui import ui

from racer.studio.compare_page import compare_url
from racer.studio.new_model_page import clone_url
from racer.studio.page_frame import (
    ERROR_TEXT,
    figures,
    page_frame,
    result_figures,
    state_badge,
    steps_bar,
)
from racer.studio.run_actions import RunAction, Studio, delete_run, do_on_page, export_entry
from racer.studio.run_folder import ListedRun, track_svg
from racer.training.run_history import TRAINED_STATES
from racer.training.run_removal import record_key

GARAGE_REFRESH_S = 2.0
"""Time between two looks at the folder [s]."""
ORDERS = ("newest", "best", "name")
"""How the runs can be sorted."""


class GaragePage:
    """The garage in one browser tab; it follows the folder.

    Args:
        studio: The studio.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._compared: list[str] = []
        self._cards: dict[str, tuple[ui.card, tuple[ListedRun, str]]] = {}
        with page_frame("garage", str(studio.folder.path)) as self._column:
            with ui.row().classes("w-full items-center gap-4"):
                ui.label("Garage").classes("text-2xl")
                ui.button("New model", on_click=lambda: ui.navigate.to("/new")).props("no-caps")
                self._compare = ui.button("Compare", on_click=self._open_comparison)
                self._compare.props("outline no-caps")
                self._compare.set_enabled(False)
                self._compare.tooltip("select two runs or more on their cards")
                ui.space()
                self._search = ui.input("search").props("dense clearable").classes("w-36")
                self._order = ui.select(list(ORDERS), value=ORDERS[0], label="order")
                self._order.props("dense").classes("w-28")
            self._empty = ui.column().classes("w-full items-center p-8")
            with self._empty:
                ui.label("There are no runs yet. Make a new model, or train one in a terminal:")
                ui.label("racer train quick").classes("font-mono text-lg")
            self._none_found = ui.label("No run's name, config, track or note has that.")
            grid = "w-full grid-cols-1 sm:grid-cols-2 lg:grid-cols-3 gap-4"
            self._grid = ui.element("div").classes(f"grid {grid}")
        self._empty.set_visibility(False)
        self._none_found.set_visibility(False)
        ui.timer(GARAGE_REFRESH_S, self._refresh)
        for changed in (self._search, self._order):
            changed.on_value_change(self._refresh)

    async def _refresh(self) -> None:
        """Show the folder's runs as they are now; only cards that changed are drawn again."""
        found = await asyncio.to_thread(self._read)
        # From here on nothing is awaited, so that two refreshes do not mix.
        shown = _sorted(
            [one for one in found if _has(one[0], self._search.value)], self._order.value
        )
        self._empty.set_visibility(not found)
        self._none_found.set_visibility(bool(found) and not shown)
        for name in set(self._cards) - {one.name for one, _ in shown}:
            self._cards.pop(name)[0].delete()
            self._select(name, False)
        for place, (one, picture) in enumerate(shown):
            content = one, self._studio.state(one.name, one.summary["state"])
            card, before = self._cards.get(one.name, (None, None))
            if card is None:
                with self._grid:
                    card = ui.card().classes("w-full gap-2 min-w-0")
            if before != content:
                self._cards[one.name] = card, content
                self._fill(card, one, content[1], picture)
            if self._grid.default_slot.children.index(card) != place:
                card.move(self._grid, place)

    def _read(self) -> list[tuple[ListedRun, Markup | None]]:
        """Return the runs, each with the picture of its track."""
        runs = self._studio.folder.runs()
        return [(one, track_svg(one.track) if one.track else None) for one in runs]

    def _fill(self, card: ui.card, one: ListedRun, state: str, picture: Markup | None) -> None:
        """Draw a run's card."""
        summary, page = one.summary, f"/run/{quote(one.name)}"
        card.clear()
        with card:
            with ui.row().classes("w-full items-center no-wrap"):
                ui.link(one.name, page).classes("text-lg font-bold break-all grow")
                state_badge(state)
                chosen = ui.checkbox(value=one.name in self._compared)
                chosen.props('dense aria-label="compare"').tooltip("compare")
                chosen.on_value_change(lambda event: self._select(one.name, bool(event.value)))
            if picture:
                link = ui.link(target=page).classes("w-full text-inherit no-underline")
                link.props["aria-label"] = f"open {one.name}"
                with link:
                    ui.html(picture, sanitize=False).classes("w-full h-36 [&>svg]:h-full")
            if error := summary.get("error"):
                ui.label(error).classes(f"{ERROR_TEXT} line-clamp-4")
            if "steps" in summary:
                figures(result_figures(summary))
                share = min(summary["steps"] / summary["wanted"], 1.0)
                steps_bar(share)
                ui.label(_description(one)).classes("text-sm opacity-80 break-words w-full")
            if summary.get("note"):
                ui.label(summary["note"]).classes("italic break-words w-full")
            with ui.row().classes("w-full gap-1"):
                ui.button("Open", on_click=lambda: ui.navigate.to(page)).props("flat dense")
                if "error" not in summary or "steps" in summary:
                    clone = clone_url(one.name)
                    ui.button("Clone", on_click=lambda: ui.navigate.to(clone)).props("flat dense")
                if summary.get("steps"):
                    report = f"{page}/report"
                    ui.button(
                        "Report", on_click=lambda: ui.navigate.to(report, new_tab=True)
                    ).props("flat dense")
                    self._button("Export", export_entry, one.name)
                ui.space()
                if state not in (*TRAINED_STATES, "starting"):
                    self._button("Delete", delete_run, one.name).props("color=red-9")

    def _select(self, name: str, is_chosen: bool) -> None:
        """Add a run to those that are compared, or take it away."""
        self._compared = [one for one in self._compared if one != name]
        self._compared += [name] if is_chosen else []
        self._compare.set_enabled(len(self._compared) > 1)

    def _open_comparison(self) -> None:
        ui.navigate.to(compare_url(self._compared))

    def _button(self, text: str, action: RunAction, name: str) -> ui.button:
        """Add a button that does something with a run."""
        act = partial(do_on_page, self._column, action, self._studio, name)
        return ui.button(text, on_click=act).props("flat dense")


def _description(one: ListedRun) -> str:
    """Return a run's track, config, steps and start in a line."""
    summary = one.summary
    track = Path(one.track).stem + (f" and {one.more_tracks} more" if one.more_tracks else "")
    steps = f"{summary['steps']:,} of {summary['wanted']:,} steps"
    began = (summary["began"] or "")[:16].replace("T", " ")
    return ", ".join(filter(None, (track, summary["config"], steps, began)))


def _has(one: ListedRun, text: str | None) -> bool:
    """Return whether a run's name, config, track or note has a text."""
    summary = one.summary
    words = (one.name, Path(one.track).stem, summary.get("config"), summary.get("note"))
    return (text or "").strip().lower() in " ".join(filter(None, words)).lower()


def _sorted(
    runs: list[tuple[ListedRun, Markup | None]], order: str | None
) -> list[tuple[ListedRun, Markup | None]]:
    """Return runs, which are sorted by their age, in another order."""
    if order == "name":
        return sorted(runs, key=lambda one: one[0].name)
    if order == "best":
        return sorted(runs, key=lambda one: _best_key(one[0]), reverse=True)
    return runs


def _best_key(one: ListedRun) -> tuple[float, ...]:
    """Return a key that sorts runs, the best last; one that cannot be read comes first."""
    return record_key(one.summary) if "laps" in one.summary else (-math.inf,)
