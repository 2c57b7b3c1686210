"""The page on which a model is made: its config as a form, and its reward in an editor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlencode

from nicegui import ui

from racer import assets
from racer.assets.document import validate_document
from racer.car.spec import CAR_PRESETS
from racer.errors import RacerError
from racer.studio.action_form import ActionForm
from racer.studio.config_fields import FormSection, fields_of
from racer.studio.config_form import FIELD_GRID, ConfigForm
from racer.studio.deepracer_import import ask_for_deepracer_files
from racer.studio.model_draft import NAME_PLACE, ModelChanged, ModelDraft, kept_models
from racer.studio.page_frame import ERROR_TEXT, page_frame
from racer.studio.reward_editor import RewardEditor, RewardPlace
from racer.studio.run_actions import Studio, errors_shown
from racer.studio.run_folder import track_svg
from racer.studio.sensor_form import LiveSensorView, SensorForm
from racer.training.config import ALGORITHMS, RunConfig

KEEP_PAUSE_S = 0.4
"""Time after a change until it is checked and written to the disk [s]."""
CODE_SCRIPT = """
while (!document.querySelector(".cm-content")) await new Promise(go => setTimeout(go, 20));
document.querySelector(".cm-content").setAttribute("aria-label", "reward file");
document.querySelector(".cm-scroller").setAttribute("tabindex", "0");
return document.body.classList.contains("body--dark");
"""
"""Name the editor for screen readers, let keys scroll it, and tell whether the page is dark."""
SLOW_BROWSER_S = 30.0
"""Time after which the editor is shown in light colours if the browser has not told its own [s]."""
DRAWN_TRACKS = 3
"""How many tracks are drawn."""
FIRST_PLACES = ("track", "car", "sensor", "actions", "race", "reward")
"""Fields of the config that have an element of their own."""
STOP_PLACES = ("total_timesteps", "minutes")
"""Fields that say when the training ends."""
LEARNING_PLACES = ("algorithm", "num_envs", "seed")
"""Fields beside the hyperparameters."""


class NewModelPage:
    """A model that is being made, in one browser tab; each change is written to the folder.

    Args:
        studio: The studio.
        model: The model to go on with; "" for a new one.
        start: The shipped config that a new model begins with.
        parent: The run that a new model is a clone of; "" for none.
    """

    def __init__(self, studio: Studio, model: str, start: str, parent: str) -> None:
        self._studio, self._parent = studio, parent
        folder = studio.folder.path
        with page_frame("new model", str(folder)) as self._column:
            try:
                if model:
                    self._draft = ModelDraft.open(folder, model)
                elif parent:
                    self._draft = ModelDraft.clone(folder, studio.folder.open(parent))
                else:
                    self._draft = ModelDraft.begin(folder, start)
            except RacerError as problem:
                ui.label(str(problem)).classes(ERROR_TEXT)
                ui.link("New model", "/new")
                return
            self._form = ConfigForm(self._draft.value, self._change)
            self._sections = {one.place: one for one in fields_of(RunConfig)}
            self._is_changed, self._elsewhere = False, ""
            self._head(start)
            with ui.element("div").classes("grid w-full grid-cols-1 lg:grid-cols-2 gap-4"):
                self._track_card()
                self._race_card()
                self._sensor_card()
                self._action_card()
                self._learning_card()
                self._stop_card()
            with _card("Reward"):
                self._form.note("reward")
                self._editor = RewardEditor(
                    self._draft.reward, self._change_reward, self._reward_place
                )
            self._foot()
        self._keeping = ui.timer(0.05, self._check, once=True)
        ui.timer(0.1, self._match_colours, once=True)
        ui.context.client.on_disconnect(self._keep)

    def _head(self, start: str) -> None:
        """Add the name, and what the model can begin with."""
        with ui.row().classes("w-full items-center gap-x-4"):
            ui.label("New model").classes("text-2xl")
            ui.space()
            models = [one for one in kept_models(self._draft.folder) if one != self._draft.name]
            if models:
                opened = ui.select(models, label="go on with")
                opened.on_value_change(lambda event: _open(model=event.value))
                opened.props("dense").classes("w-44")
            shipped = assets.shipped_names("configs")
            chosen = start if not (self._parent or self._draft.kept_as) else None
            begun = ui.select(shipped, label="begin with a config", value=chosen)
            begun.on_value_change(lambda event: _open(start=event.value))
            begun.props("dense").classes("w-44")
            ui.button("Import DeepRacer files", on_click=self._import).props("outline no-caps")
        with ui.row().classes("w-full items-center gap-x-4"):
            name = ui.input("name of the model and its run", value=self._draft.name)
            name.props("dense hide-bottom-space maxlength=60").classes("w-full sm:w-96")
            name.on_value_change(lambda event: self._rename(event.value or ""))
            self._form.mark_with(
                NAME_PLACE, lambda problem: setattr(name, "error", problem or None)
            )
            if self._parent:
                has_weights = _has_weights(self._studio, self._parent)
                self._inherits = ui.switch(
                    f"begin with the weights of {self._parent}", value=has_weights
                )
                self._inherits.set_enabled(has_weights)

    def _track_card(self) -> None:
        with _card("Track"):
            chosen = _strings(self._draft.value("track"))
            names = [*assets.shipped_names("tracks"), *chosen]
            tracks = ui.select(
                list(dict.fromkeys(names)),
                label="track",
                value=chosen,
                multiple=True,
                new_value_mode="add-unique",
            )
            tracks.props("use-chips dense hide-bottom-space").classes("w-full")
            tracks.props["hint"] = RunConfig.model_fields["track"].description
            tracks.on_value_change(lambda event: self._change("track", list(event.value or [])))
            self._form.mark_with("track", lambda problem: setattr(tracks, "error", problem or None))
            self._drawn = ui.row().classes("w-full justify-center gap-4")
            self._drawn_tracks: tuple[str, ...] = ()
            car = ui.select(list(CAR_PRESETS), label="car", value=self._draft.value("car"))
            car.props("dense hide-bottom-space").classes("w-full")
            car.props["hint"] = RunConfig.model_fields["car"].description
            car.on_value_change(lambda event: self._change("car", event.value))

    def _race_card(self) -> None:
        with _card("Kind of race"):
            self._form.note("race")
            self._race_groups: dict[str, ui.expansion] = {}
            with ui.element("div").classes(FIELD_GRID):
                for one in fields_of(self._model_of("race"), "race"):
                    if isinstance(one, FormSection):
                        self._race_groups[one.place] = self._form.section(one)
                    else:
                        self._form.field(one)

    def _sensor_card(self) -> None:
        with _card("Sensors"):
            sensors = self._draft.value("sensor")
            self._sensors = SensorForm(
                self._form, sensors, lambda some: self._change("sensor", some)
            )
            ui.label("what they see at 1.4 m/s on the centre line").classes("text-sm opacity-70")
            self._live = LiveSensorView()

    def _action_card(self) -> None:
        with _card("Action space"):
            self._actions = ActionForm(self._form, self._draft.value, self._change)

    def _learning_card(self) -> None:
        with _card("Learning"):
            self._fields_at(LEARNING_PLACES)
            self._hyperparameters = ui.column().classes("w-full gap-2")
            self._shown_algorithm = ""
            self._form.section(self._section("network"))
            self._show_hyperparameters()

    def _stop_card(self) -> None:
        """Add when the training ends, its evaluations, and every field that has no other place."""
        with _card("Stop conditions and evaluation"):
            self._fields_at(STOP_PLACES)
            evaluation = self._section("evaluation")
            self._form.note("evaluation")
            with ui.element("div").classes(FIELD_GRID):
                self._form.fields(fields_of(evaluation.model, "evaluation"))
            self._form.section(self._section("randomisation"))
            known = {*FIRST_PLACES, *STOP_PLACES, *LEARNING_PLACES, *ALGORITHMS}
            known |= {"network", "evaluation", "randomisation"}
            with ui.expansion("machine", caption="what computes").classes("w-full border rounded"):
                self._fields_at([one for one in self._sections if one not in known])

    def _foot(self) -> None:
        """Add what is wrong with the whole, and the button that starts the training."""
        with ui.row().classes("w-full items-center gap-4"):
            self._start_button = ui.button("Train", on_click=self._start).props("size=lg")
            with ui.column().classes("gap-0 grow min-w-0"):
                self._kept = ui.label().classes("text-sm opacity-80 break-words")
                self._wrong = ui.label().classes(f"{ERROR_TEXT} whitespace-pre-wrap")

    def _fields_at(self, places: Sequence[str]) -> None:
        with ui.element("div").classes(FIELD_GRID):
            self._form.fields(self._sections[place] for place in places)

    def _section(self, place: str) -> FormSection:
        found = self._sections[place]
        assert isinstance(found, FormSection)
        return found

    def _model_of(self, place: str) -> Any:
        return self._section(place).model

    def _value(self, place: str) -> Any:
        return self._draft.value(place)

    def _show_hyperparameters(self) -> None:
        """Show the hyperparameters of the algorithm that is chosen."""
        algorithm = self._value("algorithm")
        if algorithm == self._shown_algorithm:
            return
        self._form.forget(self._shown_algorithm)
        self._shown_algorithm = algorithm
        self._hyperparameters.clear()
        with self._hyperparameters:
            section = self._section(algorithm)
            ui.label(section.help).classes("text-sm opacity-70")
            self._form.note(algorithm)
            with ui.element("div").classes(FIELD_GRID):
                self._form.fields(fields_of(section.model, algorithm))

    def _change(self, place: str, value: Any) -> None:
        """Take the new value of a field."""
        if place.startswith("sensor."):
            self._sensors.set(place, value)
            return
        self._draft.set(place, value)
        if place == "algorithm":
            self._show_hyperparameters()
        if place.startswith("actions."):
            self._actions.show()
        if place in ("track", "race.kind", "race.direction"):
            self._editor.try_soon()
        self._keep_soon()

    def _change_reward(self, text: str) -> None:
        self._draft.reward = text
        self._keep_soon()
        self._keep()  # The check reads the file.

    def _rename(self, name: str) -> None:
        self._draft.name = name.strip()
        self._keep_soon()

    def _keep_soon(self) -> None:
        self._is_changed = True
        self._keeping.cancel()
        with self._column:
            self._keeping = ui.timer(KEEP_PAUSE_S, self._check, once=True)

    def _keep(self) -> None:
        """Write the model's files if something was changed and its name can be used."""
        if not self._is_changed:
            return
        try:
            self._draft.keep()
        except ModelChanged as problem:
            self._elsewhere = str(problem)
        except RacerError:
            self._elsewhere = ""  # What is wrong is said at the name.
        else:
            self._is_changed, self._elsewhere = False, ""

    async def _check(self) -> None:
        """Say what is wrong, keep the model, and draw what the config describes."""
        was_kept = self._draft.kept_as
        self._keep()
        problems = await asyncio.to_thread(self._draft.problems)
        if self._elsewhere:
            problems.setdefault(NAME_PLACE, self._elsewhere)
        rest = self._form.show(problems)
        self._wrong.set_text(
            "\n".join(f"{place}: {one}" if place else one for place, one in rest.items())
        )
        count = len(problems)
        kept = f"kept as {self._draft.config_path}" if self._draft.kept_as else ""
        said = (
            f"{count} fields to correct" if count > 1 else "a field to correct" if count else kept
        )
        self._kept.set_text(said)
        self._start_button.set_enabled(not problems)
        if self._draft.kept_as != was_kept:
            ui.navigate.history.replace(_url(model=self._draft.kept_as, parent=self._parent))
        self._draw(problems)

    def _draw(self, problems: dict[str, str]) -> None:
        """Draw the tracks, and let the sensors see, where nothing is wrong with them."""
        kind = self._value("race.kind")
        for place, of_kind in (
            ("race.obstacles", "object_avoidance"),
            ("race.bots", "head_to_bot"),
        ):
            self._race_groups[place].set_visibility(kind == of_kind)
        tracks = tuple(_strings(self._value("track")))[:DRAWN_TRACKS]
        if tracks != self._drawn_tracks:
            self._drawn_tracks = tracks
            self._drawn.clear()
            with self._drawn:
                for name in tracks:
                    if picture := track_svg(self._path_of(name)):
                        ui.html(picture, sanitize=False).classes("h-40 grow [&>svg]:h-full")
        seen = ("track", "car", "sensor", "race", "engine")
        wanted = {place: self._value(place) for place in seen}
        if wanted == getattr(self, "_seen", None) or any(
            place.partition(".")[0] in seen for place in problems
        ):
            return
        with suppress(RacerError):
            folder = self._draft.folder
            config = validate_document(wanted, RunConfig, "model", folder=folder)
            self._seen = wanted
            self._live.follow(config)

    def _path_of(self, track: str) -> str:
        """Return a track's file if it lies in the folder of the runs, or its name."""
        own = self._draft.folder / track
        return str(own) if own.is_file() else track

    def _reward_place(self) -> RewardPlace:
        """Return what the reward is tried on."""
        draft = self._draft
        path = draft.reward_path if draft.kept_as == draft.name else draft.origin
        if self._is_changed and draft.kept_as != draft.name:
            path = None
        track = (_strings(self._value("track")) or ["bowtie"])[0]
        is_reversed = self._value("race.direction") == "reverse"
        return RewardPlace(path, self._path_of(track), self._value("race.kind"), is_reversed)

    async def _match_colours(self) -> None:
        """Colour the code as the browser colours the page."""
        dark = False
        with suppress(TimeoutError):
            dark = await ui.run_javascript(CODE_SCRIPT, timeout=SLOW_BROWSER_S)
        self._editor.show(is_dark=bool(dark))

    async def _start(self) -> None:
        """Start the training, and show its page."""
        with errors_shown():
            verdict = self._editor.verdict
            if verdict is not None and not verdict.is_usable:
                ui.notify("the reward cannot be used; see what is said beside it", type="negative")
                return
            self._draft.keep()
            folder = self._draft.folder / self._draft.name
            inherits = bool(self._parent) and self._inherits.value
            parent = self._draft.folder / self._parent if inherits else None
            self._studio.trainings.train(self._draft.config_path, folder, parent)
            ui.navigate.to(f"/run/{quote(folder.name)}")

    async def _import(self) -> None:
        with errors_shown():
            if name := await ask_for_deepracer_files(self._draft.folder):
                _open(model=name)


@contextmanager
def _card(title: str) -> Iterator[ui.card]:
    """Make a card with a heading."""
    with ui.card().classes("w-full min-w-0 gap-2") as card:
        ui.label(title).classes("text-xl").props('role="heading" aria-level="2"')
        yield card


def _has_weights(studio: Studio, run: str) -> bool:
    """Return whether a run has a checkpoint to begin with."""
    try:
        return bool(studio.folder.open(run).saved.known())
    except RacerError:
        return False


def _strings(value: Any) -> list[str]:
    """Return names as a list; what is no list of names is left out."""
    several = value if isinstance(value, list | tuple) else [value]
    return [one for one in several if isinstance(one, str)]


def _url(model: str = "", start: str = "", parent: str = "") -> str:
    query = {"model": model, "start": start, "clone": parent}
    return f"/new?{urlencode({name: one for name, one in query.items() if one})}"


def _open(model: str = "", start: str = "") -> None:
    if model or start:
        ui.navigate.to(_url(model, start))


def clone_url(run: str) -> str:
    """Return the address of the page with a clone of a run."""
    return _url(parent=run)


def add_new_model_page(studio: Studio) -> None:
    """Add the page to the studio."""

    @ui.page("/new")
    def new_model(model: str = "", start: str = "quick", clone: str = "") -> None:
        NewModelPage(studio, model, start, clone)
