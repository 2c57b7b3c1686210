"""The editor of a reward file, which says as one types what the file pays for."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nicegui import ui

from racer.errors import RacerError
from racer.reward.reward_file import find_reward, shipped_rewards
from racer.studio.page_frame import ERROR_TEXT
from racer.studio.reward_trial import RewardRemark, RewardTrial, RewardVerdict

TYPING_PAUSE_S = 0.6
"""Time without a key after which the reward is tried [s]."""
ERROR_LINE, WARNING_LINE = "racer-error-line", "racer-warning-line"
CODE_LINE_STYLES = f"""
.{ERROR_LINE} {{ background: rgb(220 38 38 / 0.25) }}
.body--dark .cm-gutters {{ color: #b0b0b0 !important }}
.{WARNING_LINE} {{ background: rgb(217 119 6 / 0.22) }}
"""


class RewardPlace(NamedTuple):
    """What a reward is tried on.

    Attributes:
        path: The reward file with the present text; None if it cannot be written.
        track: The track.
        kind: The kind of race.
        is_reversed: Whether the track is driven against its own direction.
    """

    path: Path | None
    track: str
    kind: str
    is_reversed: bool


class RewardEditor:
    """A code editor with the shipped examples, the check's remarks and the reward's picture.

    Args:
        text: The text to begin with.
        on_change: Called with each new text.
        place: Returns what the reward is tried on now.
    """

    def __init__(
        self, text: str, on_change: Callable[[str], None], place: Callable[[], RewardPlace]
    ) -> None:
        self._on_change, self._place, self._trial = on_change, place, RewardTrial()
        self.verdict: RewardVerdict | None = None
        ui.add_css(CODE_LINE_STYLES)
        with ui.element("div").classes("grid w-full grid-cols-1 lg:grid-cols-2 gap-4"):
            with ui.column().classes("w-full min-w-0 gap-2"):
                examples = ui.select(
                    shipped_rewards(), label="begin with an example", on_change=self._take_example
                )
                examples.props("dense clearable").classes("w-56")
                self._code = ui.codemirror(text, language="Python", on_change=self._typed)
                # Until it is known whether the page is dark, its colours may not suit it.
                self._code.classes("w-full h-96 border rounded invisible")
            with ui.column().classes("w-full min-w-0 gap-2"):
                with ui.row().classes("items-center gap-2"):
                    self._busy = ui.spinner(size="1.2em")
                    self._said = ui.label("not checked yet").classes("font-bold")
                self._remarks = ui.column().classes("w-full gap-1")
                self._figures = ui.label().classes("text-sm opacity-80")
                self._picture = ui.image().classes("w-full rounded")
                self._picture.props('alt="the reward over the track and along a lap"')
        self._busy.set_visibility(False)
        self._picture.set_visibility(False)
        self._timer = ui.timer(TYPING_PAUSE_S, self._try, once=True)
        ui.context.client.on_delete(self._trial.end)

    def show(self, is_dark: bool) -> None:
        """Show the code, coloured for a dark or a light page."""
        self._code.set_theme("vscodeDark" if is_dark else "vscodeLight")
        self._code.classes(remove="invisible")

    def try_soon(self) -> None:
        """Try the reward once nothing has changed for a moment."""
        self._timer.cancel()
        self._trial.end()
        with self._remarks:
            self._timer = ui.timer(TYPING_PAUSE_S, self._try, once=True)

    def _typed(self) -> None:
        self._on_change(self._code.value or "")
        self.try_soon()

    def _take_example(self, event: object) -> None:
        if name := getattr(event, "value", None):
            self._code.set_value(find_reward(name).read_text("utf-8"))

    async def _try(self) -> None:
        """Check the reward, show what is wrong, and draw it."""
        path, track, kind, is_reversed = self._place()
        if path is None:
            self._said.set_text("not checked: the model needs a name that can be used")
            return
        self._busy.set_visibility(True)
        self._said.set_text("checking ...")
        verdict = await self._trial.check(path, track)
        if verdict is None:
            return
        self._show(verdict)
        if not verdict.is_usable:
            self._busy.set_visibility(False)
            self._picture.set_visibility(False)
            return
        try:
            drawn = await self._trial.picture(path, track, kind, is_reversed)
        except (RacerError, OSError) as problem:
            drawn = str(problem)
        if drawn is None:
            return
        self._busy.set_visibility(False)
        self._picture.set_visibility(isinstance(drawn, bytes))
        if isinstance(drawn, bytes):
            self._picture.set_source(f"data:image/png;base64,{base64.b64encode(drawn).decode()}")
        else:
            self._figures.set_text(f"no picture: {drawn}")

    def _show(self, verdict: RewardVerdict) -> None:
        """Show what the check found, at its lines and in a list."""
        self.verdict = verdict
        errors = sum(one.is_error for one in verdict.remarks)
        warnings = len(verdict.remarks) - errors
        said = [f"{errors} errors" if errors > 1 else "an error" if errors else ""]
        said += [f"{warnings} warnings" if warnings > 1 else "a warning" if warnings else ""]
        self._said.set_text(" and ".join(filter(None, said)) or "nothing wrong was found")
        marked = {one.line: one for one in reversed(verdict.remarks) if one.line}
        count = (self._code.value or "").count("\n") + 1
        self._code.decorations = [
            {
                "kind": "line",
                "line": line,
                "class": ERROR_LINE if one.is_error else WARNING_LINE,
            }
            for line, one in sorted(marked.items())
            if line <= count
        ]
        self._code.line_tooltips = {line: one.text for line, one in marked.items() if line <= count}
        self._remarks.clear()
        with self._remarks:
            for one in verdict.remarks:
                _show_remark(one)
        self._figures.set_text(_report_words(verdict.report))


def _show_remark(one: RewardRemark) -> None:
    colour = ERROR_TEXT if one.is_error else "text-amber-800 dark:text-amber-400 break-words w-full"
    sign = "error" if one.is_error else "warning"
    ui.label(f"{sign}: {one.text}").classes(f"{colour} text-sm whitespace-pre-wrap")


def _report_words(report: dict | None) -> str:
    """Return what a clean lap and each probe earn, in a line."""
    if not report or report["clean_lap"] is None:
        return ""
    tricks = ", ".join(f"{name} {earned:.4g}" for name, earned in report["tricks"].items())
    return f"a clean lap earns {report['clean_lap']:.4g}; {tricks}"
