"""The sensors of a car on a page: which ones, how they are mounted, and what they see."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, get_args

from markupsafe import Markup
from nicegui import ui

from racer.errors import RacerError
from racer.sensors import SensorConfig
from racer.studio.config_fields import fields_of
from racer.studio.config_form import FIELD_GRID, ConfigForm
from racer.studio.page_frame import ERROR_TEXT
from racer.studio.sensor_view import SensorView
from racer.training.config import RunConfig
from racer.world import CONTROL_RATE_HZ

SENSOR_MODELS = {
    one.model_fields["kind"].default: one for one in get_args(get_args(SensorConfig)[0])
}
"""The config of each kind of sensor."""
VIEW_PERIOD_S = 0.2
"""Time between two frames of what the sensors see [s]."""
VIEW_STEPS = round(VIEW_PERIOD_S * CONTROL_RATE_HZ)
"""Control steps between two frames."""


class SensorForm:
    """Which sensors the car carries, and the fields of each.

    Args:
        form: The form of the whole config.
        sensors: The sensors to begin with, as JSON holds them.
        on_change: Called with the new sensors.
    """

    def __init__(
        self,
        form: ConfigForm,
        sensors: list[dict[str, Any]],
        on_change: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        self._form, self._on_change = form, on_change
        self._sensors = [dict(one) for one in sensors]
        options = {
            name: f"{name.replace('_', ' ')}: {one.model_fields['kind'].description}"
            for name, one in SENSOR_MODELS.items()
        }
        chosen = ui.select(
            options, multiple=True, value=[one["kind"] for one in sensors], label="sensors"
        )
        chosen.props("use-chips dense hide-bottom-space").classes("w-full")
        chosen.props["hint"] = RunConfig.model_fields["sensor"].description
        chosen.on_value_change(lambda event: self._choose(event.value or []))
        form.note("sensor")
        self._groups = ui.column().classes("w-full gap-2")
        self._fill()

    def value(self, place: str) -> Any:
        """Return the value of a field such as `sensor.0.width`."""
        _, index, name = place.split(".")
        return self._sensors[int(index)].get(name)

    def set(self, place: str, value: Any) -> None:
        """Set the value of such a field."""
        _, index, name = place.split(".")
        self._sensors[int(index)][name] = value
        self._on_change([dict(one) for one in self._sensors])

    def _choose(self, kinds: list[str]) -> None:
        known = {one["kind"]: one for one in self._sensors}
        self._sensors = [
            known.get(kind) or SENSOR_MODELS[kind]().model_dump(mode="json") for kind in kinds
        ]
        self._on_change([dict(one) for one in self._sensors])
        self._fill()

    def _fill(self) -> None:
        for index in range(len(SENSOR_MODELS)):
            self._form.forget(f"sensor.{index}")
        self._groups.clear()
        with self._groups:
            for index, one in enumerate(self._sensors):
                name = one["kind"].replace("_", " ")
                group = ui.expansion(name, caption="mount and resolution")
                group.classes("w-full border rounded")
                with group:
                    self._form.note(f"sensor.{index}")
                    with ui.element("div").classes(FIELD_GRID):
                        fields = fields_of(SENSOR_MODELS[one["kind"]], f"sensor.{index}")
                        self._form.fields(each for each in fields if each.name != "kind")


class LiveSensorView:
    """What the sensors of a config see on a lap, some frames a second while the page is open."""

    def __init__(self) -> None:
        self._view: SensorView | None = None
        self._wanted: RunConfig | None = None
        self._is_busy = self._is_over = False
        self._said = ui.label("the sensors begin to see ...").classes("text-sm opacity-70")
        self._frames = ui.column().classes("w-full gap-2")
        self._shown: dict[str, ui.html] = {}
        self._timer = ui.timer(VIEW_PERIOD_S, self._show)
        ui.context.client.on_delete(self._end)

    def follow(self, config: RunConfig) -> None:
        """See with the sensors, and on the track, of a config from now on."""
        self._wanted = config

    async def _show(self) -> None:
        if self._is_busy or self._is_over:
            return
        self._is_busy = True
        try:
            # In a thread, as numba compiles for seconds where its cache is empty.
            pictures = await asyncio.to_thread(self._see)
        except RacerError as problem:
            self._said.set_text(str(problem))
            self._said.classes(ERROR_TEXT)
            self._said.set_visibility(True)
            return
        finally:
            self._is_busy = False
            if self._is_over:
                self._close()
        if not pictures or self._is_over:
            return
        self._said.set_visibility(False)
        if list(self._shown) != list(pictures):
            self._frames.clear()
            with self._frames:
                self._shown = {}
                for name in pictures:
                    ui.label(name.replace("_", " ")).classes("text-xs opacity-70")
                    self._shown[name] = ui.html("", sanitize=False).classes("w-full")
        for name, picture in pictures.items():
            self._shown[name].set_content(picture)

    def _see(self) -> dict[str, Markup]:
        """Return what the sensors see after the next steps; nothing before there is a config."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._close()
            self._view = SensorView(wanted)
        if self._view is None:
            return {}
        self._view.drive(VIEW_STEPS)
        return self._view.pictures()

    def _end(self) -> None:
        """Stop seeing, once the frame that is being drawn is done."""
        self._is_over = True
        if not self._is_busy:
            self._close()

    def _close(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            with contextlib.suppress(RacerError):
                view.close()
