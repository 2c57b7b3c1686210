"""Tables for a person: whole columns, marks where text is cut, and the widths of a terminal."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.cells import cell_len
from rich.console import Console

import racer
from racer.benchmark.simulator import benchmark_table as bench_table
from racer.car.spec import deepracer
from racer.evaluation.generalisation import generalisation_table as tour_table
from racer.tables import FittedTable, TableColumn
from racer.track.track_file import TRACK_SETS
from racer.training.run_history import evaluations_table
from racer.training.run_history import runs_table as runs_table
from racer.validation.checks import VehicleCheck
from racer.validation.vehicle_report import vehicle_report_table as car_table


def printed(table, width):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def given(rows):
    table = FittedTable(
        TableColumn("rank"),
        TableColumn("name", "left", least=8),
        TableColumn("total"),
        TableColumn("best", drop=2),
        TableColumn("laps", drop=1),
        TableColumn("id"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def test_a_column_goes_whole_in_the_order_of_importance():
    table = given([("1", "ann", "1018.361", "339.454", "3/3", "1500")])
    lines = {width: printed(table, width) for width in (46, 45, 36, 29, 28)}
    assert [line.split()[:6] for line in lines[46].splitlines()[:3:2]] == [
        ["rank", "name", "total", "best", "laps", "id"],
        ["1", "ann", "1018.361", "339.454", "3/3", "1500"],
    ]
    assert "no room" not in lines[46] and "no room for: best" in lines[36]
    assert "3/3" in lines[36] and "339" not in lines[36]
    assert lines[29].split()[:4] == ["rank", "name", "total", "id"]
    assert lines[29].splitlines()[2].split() == ["1", "ann", "1018.361", "1500"]


def test_a_figure_is_whole_or_marked_or_not_there_at_any_width(subtests):
    for width in range(1, 60):
        with subtests.test(width=width):
            table = given([("12", "赛车" * 9, "1018.361", "339.454", "3/3", "1500")])
            text = printed(table, width)
            assert all(cell_len(line) <= width for line in text.splitlines())
            row = text.splitlines()[2]
            for word in row.split():
                assert (
                    word in ("12", "1018.361", "339.454", "3/3", "1500")
                    or "…" in word
                    or "赛" in word
                )


def test_a_wide_character_counts_as_two_and_is_not_cut_where_there_is_room():
    table = FittedTable(TableColumn("name", "left", least=4), TableColumn("id"))
    table.add_row("赛车" * 5, "1500")
    assert "赛车" * 5 + "  1500" in printed(table, 26)
    assert "赛车" * 4 + " …  1500" in printed(table, 24)
    assert all(cell_len(line) <= 25 for line in printed(table, 25).splitlines())


def test_what_stands_behind_a_cell_is_kept_and_no_markup_is_read():
    table = FittedTable(TableColumn("name", "left", least=8), TableColumn("id"))
    table.add_row(("[red]" + "x" * 50, " (disputed)"), "7")
    assert re.search(r"\[red\]x+… \(disputed\)   7$", printed(table, 32), re.MULTILINE)


def test_spare_room_goes_to_the_narrowest_text_that_is_cut():
    table = FittedTable(TableColumn("a", "left", least=4), TableColumn("b", "left", least=4))
    table.add_row("k" * 12, "m" * 30)
    assert printed(table, 32).splitlines()[2] == "k" * 12 + "  " + "m" * 17 + "…"


def test_a_text_that_wraps_is_all_there():
    table = FittedTable(TableColumn("run", "left", least=10, wraps=True), TableColumn("steps"))
    table.add_row("race-1125-133723 on bowtie", "98,304")
    lines = printed(table, 22).splitlines()[2:]
    assert lines[0].split() == ["race-1125-1337", "98,304"]
    assert lines[1].split() == ["23", "on", "bowtie"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells for 6 columns"):
        given([("1",)])


RUN = {
    "run": "runs/race-" + "long" * 12, "config": "head_to_bot", "state": "interrupted",
    "is_resumable": True, "steps": 12_345_678, "laps": 10, "laps_completed": 10,
    "best_lap_s": 1234.56, "x_limit": 12.34,
    "evaluations": [
        {"steps": 12_345_678, "laps": 10, "laps_completed": 10, "best_lap_s": 1234.56,
         "total_time_s": 12345.67, "x_limit": 12.34, "resets": 1234}
    ],
    "checkpoints": [{"steps": 12_345_678, "file": "step-12345678.pt", "is_best": True}],
}  # fmt: skip
BENCH = {
    "floor_us_per_step": 12.0, "floor_many_us_per_step": 3.0, "peers": [],
    "rows": [
        {"scene": "camera 160x120 among boxes", "cars": 1024, "steps_per_s": 1234567.0,
         "x_floor": 1234.56, "bullet_steps_per_s": 12345.0, "bullet_x_floor": 2345.67,
         "x_real_time": 345678.0}
    ],
}  # fmt: skip
CHECKS = [VehicleCheck(12, "a quantity with a long name", "m/s^2", 1234.0, 2345.0, 0.125)]


LAPS = SimpleNamespace(
    track="a-track-with-a-long-name", laps=100, laps_completed=100, resets=1241, x_limit=123.45,
    is_clean=False,
)  # fmt: skip


@pytest.mark.parametrize("width", [30, 40, 50, 60, 72, 80, 100, 200])
@pytest.mark.parametrize(
    "make",
    [
        lambda: runs_table([RUN]),
        lambda: evaluations_table(RUN),
        lambda: bench_table(BENCH),
        lambda: car_table(deepracer(), CHECKS),
        lambda: tour_table([(chosen, LAPS) for chosen in TRACK_SETS]),  # pyright: ignore[reportArgumentType],
    ],
    ids=["runs", "evaluations", "bench", "car", "generalisation"],
)
def test_no_table_of_racer_shows_a_part_of_a_figure(make, width):
    table = make()
    whole = set(re.findall(r"\S*\d\S*", printed(table, 400)))
    for word in re.findall(r"\S*\d\S*", printed(table, width)):
        assert word in whole or "…" in word


def test_tables_are_made_in_one_place_alone():
    root = Path(racer.__file__).parent
    makers = [path for path in root.rglob("*.py") if "rich.table import Table" in path.read_text()]
    assert [path.name for path in makers] == ["tables.py"]
