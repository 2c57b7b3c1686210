"""The page that compares runs, as `racer runs compare` does."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from fastapi import Query
from nicegui import ui

from racer.errors import RacerError
from racer.studio.page_frame import ERROR_TEXT, page_frame, result_figures
from racer.studio.run_actions import Studio, errors_shown
from racer.training.run_comparison import RunComparison, compare_runs, difference_cell


def compare_url(names: Sequence[str]) -> str:
    """Return the address of the page that compares runs."""
    return f"/compare?{urlencode([('run', name) for name in names])}"


async def choose_to_compare(studio: Studio, name: str) -> None:
    """Ask with which runs to compare a run, and open the page."""
    with errors_shown():
        others = [one.name for one in studio.folder.runs() if one.name != name]
        with ui.dialog() as dialog, ui.card().classes("w-96"):
            chosen = ui.select(others, multiple=True, label=f"compare {name} with", value=[])
            chosen.props("use-chips").classes("w-full")
            with ui.row().classes("w-full justify-end"):
                ui.button("Cancel", on_click=lambda: dialog.submit([])).props("flat")
                ui.button("Compare", on_click=lambda: dialog.submit(chosen.value))
        if some := await dialog:
            ui.navigate.to(compare_url([name, *some]))


def add_compare_page(studio: Studio) -> None:
    """Add the page to the studio."""

    @ui.page("/compare")
    def compare(run: list[str] = Query(default=[])) -> None:  # noqa: B008
        with page_frame("compare", str(studio.folder.path)) as column:
            ui.label("Compare").classes("text-2xl").props('role="heading" aria-level="1"')
            spinner = ui.spinner(size="2em")

        async def fill() -> None:
            """Compare once the page is there, as a browser does not wait long for it."""
            with column:
                try:
                    compared = await asyncio.to_thread(_compare, studio, run)
                    _show_results(compared)
                    _show_differences(compared)
                    picture = await asyncio.to_thread(_curves, compared)
                except RacerError as problem:
                    ui.label(str(problem)).classes(ERROR_TEXT)
                    return
                finally:
                    spinner.delete()
                shown = ui.image(picture).classes("w-full rounded")
                shown.props('alt="reward, progress and lap times of the runs"')
                for name, diff in compared.reward_diffs.items():
                    ui.label(f"reward of {name}").classes("text-xl")
                    ui.code(diff, language="diff").classes("w-full overflow-x-auto")

        ui.timer(0.05, fill, once=True)


def _compare(studio: Studio, names: Sequence[str]) -> RunComparison:
    return compare_runs([studio.folder.open(name) for name in names])


def _show_results(compared: RunComparison) -> None:
    """Show a row for each run."""
    rows = []
    for name, one in zip(compared.runs, compared.records):
        minutes = "-" if one["minutes"] is None else f"{one['minutes']:.1f}"
        rows.append(
            {
                "run": name,
                "ended": one["state"],
                "steps": f"{one['steps']:,}",
                "minutes": minutes,
                **result_figures(one),
            }
        )
    _table(rows)
    with ui.row():
        for name in compared.runs:
            ui.link(name, f"/run/{quote(name)}")


def _show_differences(compared: RunComparison) -> None:
    """Show a row for each field of the config that is not the same in all runs."""
    ui.label("Differences of the configs").classes("text-xl")
    if not compared.differences:
        ui.label("The configs are the same.")
        return
    _table(
        [
            {"field": field, **dict(zip(compared.runs, map(difference_cell, values)))}
            for field, values in compared.differences.items()
        ]
    )


def _table(rows: list[dict[str, str]]) -> None:
    """Show rows with the same keys, which are the headings."""
    columns = [
        {"name": f"{k}", "label": name, "field": f"{k}", "align": "left"}
        for k, name in enumerate(rows[0])
    ]
    cells = [{f"{k}": value for k, value in enumerate(row.values())} for row in rows]
    ui.table(rows=cells, columns=columns, row_key="0").props("flat dense wrap-cells").classes(
        "w-full"
    )


def _curves(compared: RunComparison) -> str:
    """Return the runs' curves as a data URL."""
    written = io.BytesIO()
    compared.plot().savefig(written, format="png")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"
