"""The page of a run, which follows its training."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from racer.assets.chart_style import PAGE_CURVE_COLOURS
from racer.errors import RacerError
from racer.studio.compare_page import choose_to_compare
from racer.studio.live_drive import LiveDrive
from racer.studio.live_run import LiveView, Points
from racer.studio.new_model_page import clone_url
from racer.studio.page_frame import (
    ERROR_TEXT,
    figures,
    page_frame,
    result_figures,
    state_badge,
    steps_bar,
)
from racer.studio.run_actions import (
    RunAction,
    Studio,
    delete_run,
    do_on_page,
    evaluate_now,
    export_entry,
    export_for_car,
    pause_run,
    resume_run,
    set_note,
    stop_run,
    train_further,
    unpause_run,
)
from racer.training.run_history import TRAINED_STATES
from racer.training.training_log import format_duration

RUN_REFRESH_S = 1.0
"""Time between two looks at the run's files [s]."""
CHART_INK = "#8a93a0"
"""Texts and lines of a chart, to be read on a light and on a dark page."""

SHORT_NUMBER = "x => x >= 1e6 ? x / 1e6 + 'M' : x >= 1e3 ? x / 1e3 + 'k' : x"
"""JavaScript that writes a number at an axis."""


class RunPage:
    """The page of a run in one browser tab.

    Args:
        studio: The studio.
        name: The run's name.
    """

    def __init__(self, studio: Studio, name: str) -> None:
        self._studio, self._name = studio, name
        self._shown: tuple[LiveView, str] | None = None
        self._buttons_for: tuple[Any, ...] = ()
        with page_frame(name, str(studio.folder.path)) as self._column:
            self._error = ui.label().classes(f"{ERROR_TEXT} whitespace-pre-wrap")
            self._error.set_visibility(False)
            self._head = ui.column().classes("w-full gap-2")
            self._buttons = ui.row().classes("w-full gap-2")
            self._note = ui.input("note").props("dense maxlength=200").classes("w-full max-w-xl")
            self._note.on("keydown.enter", self._keep_note).on("blur", self._keep_note)
            self._live = LiveDrive(studio, name)
            with ui.element("div").classes("grid w-full grid-cols-1 lg:grid-cols-3 gap-4"):
                self._reward = _chart("mean reward in training", ["reward"])
                self._progress = _chart("progress [percent]", ["in training", "in evaluation"])
                self._laps = _chart("best lap of an evaluation [s]", ["best lap", "limit"])
            ui.label("Log").classes("text-xl")
            scrolled = ui.element("div").props('tabindex=0 role=log aria-label="training log"')
            with scrolled.classes(
                "w-full max-h-72 overflow-auto flex flex-col-reverse border rounded p-2"
            ):
                self._log = ui.label().classes("font-mono text-xs whitespace-pre-wrap break-words")
        self._kept_note: str | None = None
        ui.timer(RUN_REFRESH_S, self._refresh)

    async def _refresh(self) -> None:
        """Show the run as it is now."""
        try:
            live = self._studio.live_run(self._name)
            view = await asyncio.to_thread(live.look)
        except RacerError as problem:
            self._show_missing(str(problem))
            return
        failure = self._studio.trainings.failure(self._studio.folder.path / self._name)
        self._show_error("\n".join(filter(None, (view.summary.get("error"), failure))))
        state = self._studio.state(self._name, view.summary["state"])
        self._show_buttons(view, state)
        if (view, state) == self._shown:
            return
        self._shown = view, state
        self._live.follow(state in TRAINED_STATES)
        self._show_head(view, state)
        self._show_note(view.summary.get("note") or "")
        _draw(self._reward, view.reward)
        _draw(self._progress, view.progress, view.evaluated)
        ends = [view.laps[0][0], view.laps[-1][0]] if view.laps and view.limit else []
        _draw(self._laps, view.laps, [(step, view.limit or 0.0) for step in ends])
        self._log.set_text(view.log or "Nothing yet: a line follows each evaluation.")

    def _show_missing(self, problem: str) -> None:
        """Show a run that has no files yet, or none any more."""
        self._shown = None
        is_starting = self._studio.state(self._name, "") == "starting"
        failure = self._studio.trainings.failure(self._studio.folder.path / self._name)
        self._show_error("" if is_starting else failure or problem)
        self._head.clear()
        if is_starting:
            with self._head, ui.row().classes("w-full items-center"):
                ui.label(self._name).classes("text-2xl break-all")
                state_badge("starting")

    def _show_error(self, text: str) -> None:
        self._error.set_text(text)
        self._error.set_visibility(bool(text))

    def _show_head(self, view: LiveView, state: str) -> None:
        summary = view.summary
        self._head.clear()
        with self._head:
            with ui.row().classes("w-full items-center"):
                ui.label(self._name).classes("text-2xl break-all")
                state_badge(state)
                if view.is_stopping:
                    ui.badge("stopping", color="deep-orange-10").classes("text-sm px-2 py-1")
            if "wanted" not in summary:
                return
            rate, left = view.steps_per_s, view.seconds_left
            live = {
                "steps/s": "-" if rate is None else f"{rate:,.0f}",
                "left": "-" if left is None else format_duration(left),
            }
            figures(
                {
                    f"of {summary['wanted']:,} steps": f"{view.steps:,}",
                    **(live if summary["state"] in TRAINED_STATES else {}),
                    **result_figures(summary),
                    "config": summary["config"] or "-",
                    "seed": str(summary["seed"]),
                }
            )
            share = min(view.steps / summary["wanted"], 1.0)
            steps_bar(share)

    def _show_buttons(self, view: LiveView, state: str) -> None:
        """Show the buttons that the run's state allows; they are kept while it stays the same."""
        summary, name = view.summary, self._name
        has_steps, is_resumable = bool(summary.get("steps")), bool(summary.get("is_resumable"))
        wanted = state, view.is_stopping, has_steps, is_resumable, bool(view.reward)
        if wanted == self._buttons_for:
            return
        self._buttons_for = wanted
        is_idle = state not in (*TRAINED_STATES, "starting")
        self._buttons.clear()
        with self._buttons:
            if state in TRAINED_STATES and not view.is_stopping:
                if state == "paused":
                    self._button("Go on", unpause_run)
                else:
                    self._button("Pause", pause_run).props("outline")
                    self._button("Evaluate now", evaluate_now).props("outline")
                self._button("Stop", stop_run).props("color=deep-orange-10")
            if is_idle and is_resumable:
                self._button("Resume", resume_run)
            if is_idle and has_steps:
                self._button("Train further", train_further).props("outline")
            if view.reward or has_steps:
                page = f"/run/{quote(name)}/report"
                ui.button("Report", on_click=lambda: ui.navigate.to(page, new_tab=True)).props(
                    "outline"
                )
            self._button("Compare", choose_to_compare).props("outline")
            ui.button("Clone", on_click=lambda: ui.navigate.to(clone_url(name))).props("outline")
            if has_steps:
                self._button("Export", export_entry).props("outline")
                self._button("Export for a car", export_for_car).props("outline")
            if is_idle:
                self._button("Delete", delete_run).props("outline color=red-9")

    def _button(self, text: str, action: RunAction) -> ui.button:
        """Add a button that does something with the run."""
        act = partial(do_on_page, self._column, action, self._studio, self._name)
        return ui.button(text, on_click=act)

    def _show_note(self, note: str) -> None:
        """Show the run's note, unless the person is changing it."""
        if self._note.value in (self._kept_note or "", None):
            self._note.set_value(note)
        self._kept_note = note

    def _keep_note(self) -> None:
        text = (self._note.value or "").strip()
        if self._kept_note is not None and text != self._kept_note:
            self._kept_note = text
            set_note(self._studio, self._name, text)


def _chart(title: str, names: list[str]) -> ui.echart:
    """Return an empty chart over the control steps with a curve for each name."""
    line = {"lineStyle": {"color": CHART_INK, "opacity": 0.3}}
    label = {"color": CHART_INK, ":formatter": SHORT_NUMBER, "hideOverlap": True}
    axis = {"type": "value", "splitLine": line, "axisLabel": label, "scale": True}
    options = {
        "title": {"text": title, "left": 0, "textStyle": {"color": CHART_INK, "fontSize": 14}},
        "legend": {"top": 28, "left": 0, "textStyle": {"color": CHART_INK}},
        "grid": {"left": 8, "right": 24, "bottom": 8, "top": 64, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "animation": False,
        "color": list(PAGE_CURVE_COLOURS),
        "xAxis": {**axis, "min": 0, "splitLine": {"show": False}},
        "yAxis": axis,
        "series": [
            {"type": "line", "name": name, "data": [], "symbolSize": 5, "showSymbol": False}
            for name in names
        ],
    }
    return ui.echart(options, renderer="svg").classes("w-full h-64")


def _draw(chart: ui.echart, *curves: Points) -> None:
    """Draw curves; a single point, which makes no line, as a dot."""
    for series, points in zip(chart.options["series"], curves):
        series["data"] = [[x, round(y, 3)] for x, y in points]
        series["showSymbol"] = len(points) < 12
    chart.update()
