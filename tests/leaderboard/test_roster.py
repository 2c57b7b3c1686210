"""A class's list of names: which names it may have, and what it says of the files of entries."""

import re

import pytest

from racer.errors import BoardError
from racer.leaderboard import batch
from racer.leaderboard.roster import check_roster, read_roster
from racer.leaderboard.season import Season, SeasonRaceConfig
from tests.helpers.boards import LOOK, package

RACE = Season(name="quick", tracks=("oval",), race=SeasonRaceConfig(laps=1, time_limit=4))


def test_a_list_has_a_name_a_line_and_comments(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeff# of 7b\n\n  ann \r\nZoe\u0308 # moved here\nbob".encode())
    assert read_roster(path) == ["ann", "Zo\u00eb", "bob"]
    path.write_text("# nobody yet\n")
    with pytest.raises(BoardError, match=r"names\.txt: there is no name; write one a line"):
        read_roster(path)
    with pytest.raises(BoardError, match="cannot be read: No such file"):
        read_roster(tmp_path / "none.txt")


def test_a_name_that_fits_no_board_or_no_file_or_is_there_twice_is_refused(subtests):
    for names, said in (
        (["a\nb"], "does not fit a board"),
        (["l" * 61], "does not fit a board"),
        ([""], "does not fit a board"),
        (["../ann"], "cannot name a file"),
        (["ann?"], "cannot name a file"),
        (["ann#1"], "cannot name a file"),
        (["-h"], "begins with no dot or dash"),
        ([".ann"], "begins with no dot or dash"),
        (["ann", "bob", "ann"], "'ann' and 'ann' are the same file"),
        (["ann", "Ann"], "'ann' and 'Ann' are the same file"),
        (["Zo\u00eb", "Zoe\u0308"], "are the same file"),
    ):
        with subtests.test(names=names):
            with pytest.raises(BoardError, match=re.escape(said)) as caught:
                check_roster(names, "here")
            assert str(caught.value).startswith("here: ")


def test_files_are_called_by_the_list_and_strangers_and_the_lacking_are_told(tmp_path):
    for k, file in enumerate(("ann", "bobb", "Zoe\u0308"), start=1):
        package(tmp_path / f"{file}.entry.zip", name=f"first {k}", look=(1 / k) * LOOK)
    summary = batch.BatchSummary(1)
    roster = ["ann", "bob", "Zo\u00eb", "eve"]
    racers = batch._racers(tmp_path, RACE, set(), summary, roster)
    assert sorted(one.name for one in racers) == ["Zo\u00eb", "ann"]
    assert summary.lacking == ["bob", "eve"]
    ((code, said),) = summary.refused.values()
    assert code == "name"
    assert "'bobb' is not on the list of names; did you mean bob?" in said
