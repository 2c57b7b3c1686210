"""The order of a season's entries, and what is shown of each."""

import random
import re
from dataclasses import replace
from itertools import product

import pytest
from rich.cells import cell_len
from rich.console import Console

from racer.leaderboard import ranking
from racer.leaderboard.ranking import ranking_table
from racer.leaderboard.season import Season, SeasonRaceConfig
from tests.helpers.boards import row

SEASON = Season(name="spring", tracks=("bowtie",), race=SeasonRaceConfig(time_limit=180))


def rank(rows, season=SEASON):
    return ranking.rank(rows, season)


def ranks(rows):
    return [(line.rank, line.name) for line in rank(rows)]


def test_less_time_stands_first():
    rows = [row(1, "slow", total=31.0), row(2, "fast", total=29.5), row(3, "middle", total=30.0)]
    assert ranks(rows) == [(1, "fast"), (2, "middle"), (3, "slow")]


def test_more_laps_stand_before_less_time():
    rows = [row(1, "none", laps=0), row(2, "two", laps=2), row(3, "slow", total=99.0)]
    assert ranks(rows) == [(1, "slow"), (2, "two"), (3, "none")]


def test_equal_times_share_a_rank_the_earlier_first_and_the_next_rank_is_left_out():
    rows = [row(1, "late", total=31.0), row(3, "b", total=30.0), row(2, "a", total=30.0)]
    assert ranks(rows) == [(1, "a"), (1, "b"), (3, "late")]


def test_entries_that_stop_in_the_same_lap_share_a_rank():
    rows = [row(1, "a", laps=2), row(2, "b", laps=2), row(3, "c", laps=1)]
    assert ranks(rows) == [(1, "a"), (1, "b"), (3, "c")]


def test_the_order_of_the_rows_does_not_matter():
    rows = [row(k, f"car {k}", laps=k % 4, total=30.0 + k % 3) for k in range(1, 13)]
    shuffled = random.Random(0).sample(rows, len(rows))
    assert rank(shuffled) == rank(rows)


def test_an_entry_submitted_again_with_the_same_score_keeps_its_id_and_its_place():
    lines = rank([row(1, "ann"), row(2, "bob"), row(3, "ann"), row(4, "ann", total=31.0)])
    assert [(line.rank, line.id, line.name) for line in lines] == [
        (1, 1, "ann"),
        (1, 2, "bob"),
    ]
    assert lines[0].created == "2026-01-01T12:00:00Z"


def test_an_entry_submitted_twice_is_shown_with_its_best_run():
    (line,) = rank([row(1, total=30.0), row(2, total=31.0), row(3, laps=2)])
    assert line.total_time_s == 30.0


def test_one_package_under_two_names_stands_twice():
    assert ranks([row(1, "a", sha="0" * 64), row(2, "b", sha="0" * 64)]) == [(1, "a"), (1, "b")]


def packages(*given):
    """A row for each (name, total, signer), with a package of its own."""
    return [
        row(k, name, total=total, sha=f"{k:064x}", signer=signer)
        for k, (name, total, signer) in enumerate(given, start=1)
    ]


def test_of_a_name_the_best_entry_stands_once_and_the_others_behind_it():
    rows = packages(("ann", 31.0, ""), ("bob", 30.5, ""), ("ann", 30.0, ""), ("ann", 32.0, ""))
    lines = rank(rows)
    assert [(line.rank, line.id, line.others) for line in lines] == [(1, 3, 2), (2, 2, 0)]
    lines = ranking.rank_with_others(rows, SEASON)
    assert [(line.rank, line.id) for line in lines] == [(1, 3), (None, 1), (None, 4), (2, 2)]


def test_of_alike_entries_of_a_name_the_earlier_counts():
    (line,) = rank(packages(("ann", 30.0, ""), ("ann", 30.0, "")))
    assert (line.id, line.others) == (1, 1)


def test_a_name_that_another_key_signed_is_somebody_else_and_told_apart():
    one, two = "3fa9c1d2" + "0" * 56, "3fa9c1d2" + "1" * 56
    rows = packages(("ann", 30.0, one), ("ann", 29.0, two), ("ann", 31.0, ""), ("ann", 28.0, one))
    assert [(line.id, line.others) for line in rank(rows)] == [(4, 1), (2, 0), (3, 0)]
    text = shown(rows, 60)
    assert re.findall(r"3fa9c1d2[01]|  -  ", text) == ["3fa9c1d20", "3fa9c1d21", "  -  "]
    assert "key" not in shown(rows[:1]), "nobody else has the name"


def test_two_drivers_of_racer_under_one_name_are_two_entries():
    rows = packages(("ann", 30.0, ""), ("ann", 31.0, ""))
    rows = [replace(one, entry_sha256="house") for one in rows]
    rows = [
        replace(one, runs=[replace(one.runs[0], pilot=pilot)])
        for one, pilot in zip(rows, ("raceline", "pure-pursuit"))
    ]
    assert rank(rows)[0].others == 1


def test_a_line_has_the_documented_keys_and_the_judges_values():
    (line,) = rank([row(1, "swift", sha="0" * 64, off_tracks=2)])
    assert line.as_json() == {
        "rank": 1,
        "id": 1,
        "name": "swift",
        "others": 0,
        "season": "spring",
        "season_digest": "d" * 64,
        "ranking": "total",
        "entry_sha256": "0" * 64,
        "laps_completed": 3,
        "laps": 3,
        "completion": 1.0,
        "lap_times_s": [10.0, 10.0, 10.0],
        "off_tracks": 2,
        "collisions": 0,
        "total_time_s": 30.0,
        "best_lap_s": 10.0,
        "best_laps_s": 10.0,
        "average_lap_s": 10.0,
        "iqm_s": 10.0,
        "interval_s": [10.0, 10.0],
        "limit_s": None,
        "x_limit": None,
        "outcomes": {"finished": 1},
        "track": "bowtie",
        "runs": [run.as_json() for run in row(1, off_tracks=2).runs],
        "created": "2026-01-01T12:00:00Z",
        "handed_in": "2026-01-01T12:00:00Z",
        "phase": "final",
        "racer_version": "0.1.0",
        "box": "none",
        "signer": "",
        "disputes": [],
        "hash": "0" * 64,
    }


def test_a_run_without_a_lap_has_no_best_lap():
    (line,) = rank([row(1, laps=0)])
    assert line.best_lap_s is None
    assert line.total_time_s is None


def test_an_empty_board_has_an_empty_standing():
    assert rank([]) == []
    assert ranking_table([]).row_count == 0


def shown(rows, width=100):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(ranking_table(rank(rows)))
    return capture.get()


def test_the_table_tells_a_person_who_is_ahead():
    text = shown(
        [row(1, "swift", total=30.12349, sha="abcdef0123" + "0" * 54), row(2, "x", laps=2)]
    )
    first, second = (re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[2:4])
    assert first == [
        "1", "swift", "3/3", "30.123", "10.041", "-", "0", "2026-01-01 12:00", "abcdef01", "1",
    ]  # fmt: skip
    assert second[2:6] == ["2/3", "-", "10.000", "-"]


def test_a_name_is_shown_as_it_is_and_not_as_markup():
    assert "[red]x[/red]" in shown([row(1, "[red]x[/red]")])


def test_what_was_withdrawn_is_not_shown_and_what_is_disputed_says_so():
    rows = [row(1, "gone", total=20.0), row(2, "swift")]
    rows[0] = replace(rows[0], withdrawn="the wrong file")
    rows[1] = replace(rows[1], disputes=("cuts the last bend",))
    assert ranks(rows) == [(1, "swift")]
    assert "swift (disputed)" in shown(rows)
    assert rank(rows)[0].disputes == ("cuts the last bend",)


def test_each_ranking_shows_what_it_ranks_by():
    for kind, heading in (
        ("best", "best laps"),
        ("average", "average lap"),
        ("iqm", "iqm"),
    ):
        season = SEASON.model_copy(update={"ranking": kind})
        console = Console(width=120, color_system=None)
        with console.capture() as capture:
            console.print(ranking_table(rank([row(1)], season)))
        assert heading in capture.get()


LONG, WIDE = "x" * 60, "\u8d5b\u8f66" * 20
TIMES = (9.5, 31.4159, 123.4567, 1003.0219, 9999.9994)


@pytest.mark.slow
def test_rank_name_figure_and_id_are_whole_at_every_width(subtests):
    for width, kind, name in product(
        [60, 61, 72, 80, 81, 100, 140],
        ["total", "best", "average", "iqm"],
        ["ann", LONG, WIDE, "\U0001f680 rocket \U0001f680"],
    ):
        with subtests.test(width=width, kind=kind, name=name):
            rules = SeasonRaceConfig(time_limit=3600)
            season = SEASON.model_copy(update={"ranking": kind, "race": rules})
            rows = [
                row(10**k + 234 * (k > 3), f"{name[: 60 - 1]}{k}", total=total)
                for k, total in enumerate(TIMES)
            ]
            rows = [replace(one, created="2026-11-25T13:37:02Z", disputes=("x",)) for one in rows]
            lines = rank(rows, season)
            key = next(iter(ranking.TABLE_TIME_COLUMNS[kind].values()))
            printed = printed_at(ranking_table(lines), width)
            assert all(cell_len(line) <= width for line in printed)
            for line, text in zip(lines, printed[2:]):
                first, *_, last = text.split()
                assert (first, last) == (str(line.rank), str(line.id))
                assert f" {getattr(line, key):.3f} " in text
                assert line.name in text or f"{name[:3]}" in text.partition("\u2026")[0]
                for number in re.findall(r"\d+\.\d+", text):
                    assert number in figures(line)


def figures(line):
    found = [
        getattr(line, key) for key in ("total_time_s", "best_lap_s", "best_laps_s", "average_lap_s")
    ]
    return {f"{one:.3f}" for one in [*found, line.iqm_s]}


def printed_at(table, width):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def test_every_column_stands_on_a_wide_terminal_and_what_is_left_out_is_named():
    assert "no room" not in shown([row(1)], 100)
    assert "2026-01-01 12:00" in shown([row(1)], 80)
    said = " ".join(shown([row(1, LONG)], 60).split())
    assert said.endswith("no room for: x limit, off, date (UTC), entry")
