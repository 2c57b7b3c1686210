"""Form elements for the fields of a config, each with its help and with what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nicegui import ui

from racer.studio.config_fields import (
    FormField,
    FormSection,
    fields_of,
    text_as_value,
    value_as_text,
)
from racer.studio.page_frame import ERROR_TEXT

FIELD_GRID = "grid w-full grid-cols-1 sm:grid-cols-2 gap-x-4 gap-y-2"
"""Classes of the element that holds fields."""


class ConfigForm:
    """The fields of a config on a page.

    Args:
        value: Returns the value of a field by its dotted name.
        on_change: Called with the dotted name and the new value of a field that was changed.
    """

    def __init__(self, value: Callable[[str], Any], on_change: Callable[[str, Any], None]) -> None:
        self._value, self._on_change = value, on_change
        self._marks: dict[str, Callable[[str], None]] = {}
        self._problems: dict[str, str] = {}

    def fields(self, fields: Iterable[FormField | FormSection]) -> None:
        """Add fields, and sections as groups that can be opened."""
        for one in fields:
            if isinstance(one, FormSection):
                self.section(one)
            else:
                self.field(one)

    def section(self, section: FormSection, name: str = "") -> ui.expansion:
        """Add a section as a group that can be opened.

        Args:
            section: The section.
            name: Its heading; by default its name.
        """
        group = ui.expansion(name or section.name, caption=section.help)
        group.classes("w-full col-span-full border rounded")
        with group:
            self.note(section.place)
            with ui.element("div").classes(FIELD_GRID):
                self.fields(fields_of(section.model, section.place))
        return group

    def field(self, one: FormField) -> None:
        """Add a field."""
        if one.kind == "truth" and not one.is_optional:
            with ui.column().classes("gap-0"):
                switch = ui.switch(one.name, value=bool(self._value(one.place)))
                switch.on_value_change(lambda event: self._on_change(one.place, event.value))
                ui.label(one.help).classes("text-xs opacity-70")
                self.note(one.place)
            return
        shown = self._select(one) if one.choices or one.kind == "truth" else self._input(one)
        shown.props("dense hide-bottom-space").classes("w-full")
        shown.props["hint"] = one.help

        def mark(problem: str) -> None:
            shown.error = problem or None

        self.mark_with(one.place, mark)

    def note(self, place: str) -> None:
        """Add a line that says what is wrong with a field or a section."""
        said = ui.label().classes(f"{ERROR_TEXT} text-sm")
        said.set_visibility(False)

        def mark(problem: str) -> None:
            said.set_text(problem)
            said.set_visibility(bool(problem))

        self.mark_with(place, mark)

    def mark_with(self, place: str, mark: Callable[[str], None]) -> None:
        """Let a function show what is wrong with a field or a section; it gets "" for nothing."""
        self._marks[place] = mark
        if problem := self._problems.get(place):
            mark(problem)

    def forget(self, place: str) -> None:
        """Forget the elements of a section, which are about to be deleted."""
        for one in [one for one in self._marks if one == place or one.startswith(f"{place}.")]:
            del self._marks[one]

    def show(self, problems: dict[str, str]) -> dict[str, str]:
        """Show what is wrong at the fields, and return what no field shows.

        Args:
            problems: What is wrong, by dotted names.
        """
        at: dict[str, list[str]] = {}
        rest: dict[str, str] = {}
        for place, problem in problems.items():
            if (shown := self._nearest(place)) is None:
                rest[place] = problem
            else:
                at.setdefault(shown, []).append(problem)
        found = {place: "; ".join(some) for place, some in at.items()}
        for place, mark in self._marks.items():
            if found.get(place, "") != self._problems.get(place, ""):
                mark(found.get(place, ""))
        self._problems = found
        return rest

    def _nearest(self, place: str) -> str | None:
        """Return the field or section at a place, or around it, that shows what is wrong."""
        while place and place not in self._marks:
            place = place.rpartition(".")[0]
        return place if place in self._marks else None

    def _select(self, one: FormField) -> ui.select:
        options = {name: name.replace("_", " ") for name in one.choices}
        if one.kind == "truth":
            options = {True: "yes", False: "no"}
        chosen = self._value(one.place)
        shown = ui.select(options, label=one.name, value=chosen if chosen in options else None)
        if one.is_optional:
            shown.props("clearable")
        shown.on_value_change(lambda event: self._on_change(one.place, event.value))
        return shown

    def _input(self, one: FormField) -> ui.input:
        shown = ui.input(one.name, value=value_as_text(self._value(one.place)))
        if one.kind == "number":
            shown.props("inputmode=decimal")
        if one.is_optional:
            shown.props("clearable")

        def changed(event: Any) -> None:
            value = text_as_value(event.value)
            self._on_change(one.place, "" if value is None and not one.is_optional else value)

        shown.on_value_change(changed)
        return shown
