"""The action space of a car on a page: sliders, drawn as a fan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui
from pydantic import ValidationError

from racer.car.action_space import SPEED_LIMITS, STEERING_LIMIT_DEG, ActionSpace
from racer.studio.action_fan import action_fan
from racer.studio.config_fields import FormField, fields_of
from racer.studio.config_form import ConfigForm


class ActionForm:
    """The kind of action space, its ranges or its choices, and the fan.

    Args:
        form: The form of the whole config.
        value: Returns the value of a field by its dotted name.
        on_change: Called with the dotted name and the new value of a field that was changed.
    """

    def __init__(
        self,
        form: ConfigForm,
        value: Callable[[str], Any],
        on_change: Callable[[str, Any], None],
    ) -> None:
        self._value, self._on_change = value, on_change
        self._fields = {
            one.place: one
            for one in fields_of(ActionSpace, "actions")
            if isinstance(one, FormField)
        }
        form.field(self._fields["actions.kind"])
        form.note("actions")
        with ui.element("div").classes("grid w-full grid-cols-1 sm:grid-cols-2 gap-4"):
            self._sliders = ui.column().classes("w-full min-w-0 gap-1 px-2")
            self._fan = ui.html("", sanitize=False).classes("w-full h-60")
        self._shown: tuple[str, int] | None = None
        self.show()

    def show(self) -> None:
        """Show the action space as it is now."""
        space = {name: self._value(f"actions.{name}") for name in ActionSpace.model_fields}
        try:
            self._fan.set_content(action_fan(ActionSpace.model_validate(space)))
        except ValidationError:
            return  # What is wrong is said at its field.
        kind = space["kind"], len(space["choices"])
        if kind != self._shown:
            self._shown = kind
            self._sliders.clear()
            with self._sliders:
                self._fill(space["kind"], space["choices"])

    def _fill(self, kind: str, choices: list[list[float]]) -> None:
        if kind == "continuous":
            limit = STEERING_LIMIT_DEG
            self._range("actions.steering_deg", "steering [deg]", -limit, limit, 1.0)
            self._range("actions.speed", "speed [m/s]", *SPEED_LIMITS, 0.1)
            return
        ui.label(self._fields["actions.choices"].help).classes("text-xs opacity-70")
        with ui.column().classes("w-full max-h-96 overflow-y-auto flex-nowrap gap-2 pr-2"):
            for index in range(len(choices)):
                self._choice(index)
        with ui.row():
            add = ui.button("Add an action", on_click=self._add).props("flat dense no-caps")
            add.set_enabled(len(choices) < 30)

    def _range(self, place: str, name: str, low: float, high: float, step: float) -> None:
        """Add a slider for either end of a range."""
        said = ui.label(_range_words(name, *self._value(place)))
        for part, which in enumerate(("lowest", "highest")):
            slider = ui.slider(min=low, max=high, step=step, value=self._value(place)[part])
            slider.props(f'aria-label="{which} {name}"')
            slider.on_value_change(partial(self._change_end, place, name, part, said))
        ui.label(self._fields[place].help).classes("text-xs opacity-70")

    def _change_end(self, place: str, name: str, part: int, said: ui.label, event: Any) -> None:
        ends = list(self._value(place))
        ends[part] = round(event.value, 3)
        said.set_text(_range_words(name, *ends))
        self._on_change(place, ends)

    def _choice(self, index: int) -> None:
        """Add two sliders and a button for one choice of a discrete space."""
        steering, speed = self._value("actions.choices")[index]
        limit = STEERING_LIMIT_DEG
        with ui.row().classes("w-full items-center no-wrap gap-4"):
            said = ui.label(_choice_words(steering, speed)).classes("w-28 text-sm shrink-0")
            for part, (name, value, low, high, step) in enumerate(
                (
                    ("steering", steering, -limit, limit, 1.0),
                    ("speed", speed, *SPEED_LIMITS, 0.1),
                )
            ):
                slider = ui.slider(min=low, max=high, step=step, value=value).classes("grow")
                slider.props(f'aria-label="{name} of action {index}"')
                slider.on_value_change(partial(self._change_choice, index, part, said))
            remove = ui.button(icon="close", on_click=partial(self._remove, index))
            remove.props(f'flat dense round size=sm aria-label="remove action {index}"')

    def _change_choice(self, index: int, part: int, said: ui.label, event: Any) -> None:
        choices = [list(one) for one in self._value("actions.choices")]
        choices[index][part] = round(event.value, 3)
        said.set_text(_choice_words(*choices[index]))
        self._on_change("actions.choices", choices)

    def _add(self) -> None:
        self._on_change("actions.choices", [*self._value("actions.choices"), [0.0, 1.0]])
        self.show()

    def _remove(self, index: int) -> None:
        choices = list(self._value("actions.choices"))
        del choices[index]
        self._on_change("actions.choices", choices)
        self._shown = None
        self.show()


def _choice_words(steering: float, speed: float) -> str:
    return f"{steering:+g}°, {speed:g} m/s"


def _range_words(name: str, low: float, high: float) -> str:
    return f"{name}: {low:g} to {high:g}"
