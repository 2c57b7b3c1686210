"""The result of a run is read from a board, and written again, byte for byte."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submissions import submission_in
from tests.helpers.boards import RESULT, SPRING

OLD = Path(__file__).parents[1] / "fixtures" / "v1" / "board" / "board.sqlite3"
FIRST = {
    "best_lap_s": 9.5,
    "ending": "time_up",
    "lap_times_s": [9.5],
    "laps": 3,
    "laps_completed": 1,
    "off_tracks": 1,
    "seed": 0,
    "total_time_s": None,
    "track": "bowtie",
}
"""What the first boards held of a run."""


def old_bodies():
    """The body of each submission on the board of version 0.1.0, as its database holds it."""
    with closing(sqlite3.connect(f"{OLD.as_uri()}?immutable=1", uri=True)) as database:
        found = database.execute("SELECT id, body FROM record WHERE kind = 'submission'")
        return dict(found.fetchall())


def test_the_bodies_of_an_old_board_are_written_again_byte_for_byte(tmp_path, subtests):
    bodies = old_bodies()
    assert list(bodies) == [1, 2, 3, 4, 5, 9]
    (tmp_path / OLD.name).write_bytes(OLD.read_bytes())
    rows = {row.id: row for row in BoardStore(tmp_path).every_row()}
    for id, body in bodies.items():
        with subtests.test(id=id):
            assert canonical_json(rows[id].body) == body


def test_a_key_that_is_null_missing_or_unknown_stays_so(subtests):
    for name, tree in {
        "the first": FIRST,
        "null": FIRST | {"limit_s": None, "x_limit": None},
        "unknown": FIRST | {"weather": {"rain": True}},
        "changed": FIRST | {"absent": 1, "unknown": 2},
        "empty": {},
    }.items():
        with subtests.test(name=name):
            result = RunResult.from_json(tree)
            assert canonical_json(result.as_json()) == canonical_json(tree)
            assert list(result.as_json()) == sorted(tree), "in the order of a board"
            assert RunResult.from_json(result.as_json()) == result


def test_results_differ_where_only_a_null_tells_them_apart():
    assert RunResult.from_json(FIRST) != RunResult.from_json(FIRST | {"x_limit": None})
    assert RunResult.from_json(FIRST) == RunResult.from_json(dict(reversed(FIRST.items())))


def test_a_field_that_was_missing_is_written_once_it_has_a_value():
    result = replace(RunResult.from_json(FIRST), x_limit=1.25, replay="a" * 64)
    assert result.as_json() == FIRST | {"x_limit": 1.25, "replay": "a" * 64}


def test_the_score_of_a_result_leaves_out_its_notes_and_nothing_else():
    notes = {"replay": "a" * 64, "pilot": "raceline", "failure": "no answer"}
    assert RunResult.from_json(FIRST | notes).score == RunResult.from_json(FIRST)


def test_the_faults_of_a_run_that_knows_no_resets_are_those_that_it_knows():
    assert RunResult.from_json(FIRST | {"collisions": 2}).faults == 3
    assert RunResult.from_json(FIRST | {"collisions": 2, "resets": 4}).faults == 4


def test_a_submission_read_from_its_record_has_the_runs_that_were_added(store):
    store.add(SPRING, "swift", None, [RESULT])
    (record,) = store.history("swift")
    assert submission_in(record).runs == [RESULT]
    assert submission_in(record).body == record.body
