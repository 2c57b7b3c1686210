"""The verbs of the board, from the command line."""

import io
import json
import stat
from pathlib import Path

import pytest

from racer.cli import main
from racer.leaderboard.store import BoardStore
from tests.helpers.boards import forge

NEW = ("board", "season", "new", "club", "--tracks", "oval", "--laps", "1", "--time-limit", "20")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
    monkeypatch.setenv("RACER_SECRETS", str(tmp_path / "secrets"))


@pytest.fixture
def say(capsys):
    def run(*words):
        main([str(word) for word in words])
        return capsys.readouterr().out

    return run


@pytest.fixture
def refuse(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        assert stop.value.code == 2
        return capsys.readouterr().err

    return run


@pytest.fixture
def club(say):
    say(*NEW)
    say("board", "submit", "pure-pursuit", "--season", "club")
    say("board", "submit", "pure-pursuit", "--season", "club", "--name", "twin")


@pytest.mark.parametrize(
    ("season", "with_boxes"), [("open", False), ("validation", False), ("boxes", True)]
)
def test_a_season_shows_the_rules_of_its_own_kind_of_race(say, season, with_boxes):
    shown = say("board", "season", "show", season)
    assert ("  obstacles: {'count': 6" in shown) == with_boxes
    assert "bots" not in shown
    assert "  laps: " in shown


@pytest.mark.slow
def test_a_club_season_in_five_commands(say, refuse):
    assert "club.yaml" in say(*NEW, "--ranking", "iqm")
    sealed = say("board", "season", "seal", "club", "--tracks", "1", "--seeds", "2")
    assert "SHA-256 of the secret" in sealed
    (secret,) = Path("secrets").iterdir()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    submitted = say("board", "submit", "pure-pursuit", "--season", "club")
    assert "number 1 of 1" in submitted
    assert "runs: 4 finished" in submitted or "time_out" in submitted
    assert "iqm" in say("board", "show", "--season", "club")
    hidden = json.loads(say("board", "season", "show", "club", "--json"))
    assert hidden["runs"] == []
    assert secret.read_text().strip() not in Path("club.yaml").read_text()
    assert say("board", "verify", "--all").count("bit-exact; same actions") == 4
    say("board", "season", "reveal", "club")
    revealed = json.loads(Path("club.reveal.json").read_text())
    assert revealed["secret"] == secret.read_text().strip()
    secret.unlink()
    shown = say("board", "season", "show", "club")
    assert "the secret is revealed, and is the published one" in shown
    assert "run: generated:" in shown
    assert "club is closed" in refuse("board", "submit", "raceline", "--season", "club")
    assert "chain: holds" in say("board", "verify", "--all"), "by whoever has the board"
    kinds = [record.kind for record in BoardStore().history("")]
    assert kinds == ["opening", "reveal"]


def test_a_season_is_neither_written_over_nor_sealed_twice_nor_after_a_submission(
    say, refuse, club
):
    assert "is there already" in refuse(*NEW)
    assert "has submissions" in refuse("board", "season", "seal", "club")
    assert "ships with racer" in refuse("board", "season", "seal", "open")
    say("board", "season", "new", "dark")
    say("board", "season", "seal", "dark", "--tracks", "2", "--only-drawn")
    assert "tracks: []" in say("board", "season", "show", "dark")
    assert "sealed already" in refuse("board", "season", "seal", "dark")
    Path("secrets").rename("elsewhere")
    assert "dark is sealed" in refuse("board", "submit", "raceline", "--season", "dark")
    assert "no secret here" in refuse("board", "season", "reveal", "dark")
    assert "no file" in refuse("board", "season", "show", "drak")


def test_a_row_is_withdrawn_disputed_and_remembered(say, refuse, club):
    said = say("board", "dispute", "1", "--why", "which car?", "--yes")
    assert said.startswith("id 1: pure-pursuit, rank 1 of 2 in season club, 1 of 1 laps, total ")
    assert "1 to 500 printable" in refuse("board", "withdraw", "2")
    say("board", "withdraw", "1", "--why", "the wrong file", "--yes")
    rows = json.loads(say("board", "show", "--season", "club", "--json"))
    assert [row["name"] for row in rows] == ["twin"]
    said = say("board", "history", "pure-pursuit")
    assert "submission: 1 of 1 laps" in said
    assert "dispute of 1: which car?" in said
    assert "withdrawal of 1: the wrong file" in said
    records = json.loads(say("board", "history", "pure-pursuit", "--json"))
    assert [record["id"] for record in records] == [1, 3, 4]


def test_the_chain_is_checked_and_its_head_can_be_noted_down(say, refuse, club):
    head = json.loads(say("board", "chain", "--json"))["head"]
    say("board", "submit", "pure-pursuit", "--season", "club", "--name", "third")
    assert "3 records" in say("board", "chain", "--head", head)
    forge(BoardStore(), ("DELETE FROM record WHERE id > 1",))
    assert "was rewritten" in refuse("board", "chain", "--head", head)
    forge(BoardStore(), ("UPDATE record SET name = 'x'",))
    assert "record 1 was changed" in refuse("board", "chain")
    assert "record 1 was changed" in refuse("board", "verify", "--all")


def test_verify_wants_one_or_all_and_fails_where_a_run_does_not_hold(say, refuse, club):
    assert "wants the ids of submissions, or --all" in refuse("board", "verify")
    found = json.loads(say("board", "verify", "1", "--json"))
    assert found["chain"] == "holds"
    assert found["runs"][0]["simulated"] == {"text": "bit-exact", "is_fine": True}
    for path in (Path("board") / "replays").iterdir():
        path.unlink()
    assert "2 of 2 runs do not hold" in refuse("board", "verify", "--all")


def test_a_backup_is_restored_elsewhere(say, club, monkeypatch):
    assert "2 submissions" in say("board", "backup", "saved.backup")
    monkeypatch.setenv("RACER_BOARD", "again")
    assert "2 submissions" in say("board", "restore", "saved.backup")
    assert say("board", "verify", "--all").count("bit-exact") == 2


def test_a_judged_run_is_filmed(say, refuse, club, monkeypatch):
    filmed = []
    monkeypatch.setattr(
        "racer.rendering.race_video.write_race_video", lambda *given, **more: filmed.append(given)
    )
    assert "add --video" in refuse("board", "replay", "1")
    row, video = say("board", "replay", "1", "--video", "run.mp4").splitlines()
    assert row.startswith("id 1: pure-pursuit, rank 1 of 2 in season club, 1 of 1 laps, total ")
    assert video == "video: run.mp4"
    ((path, road, (result,), rules, names, *_, size),) = filmed
    row = BoardStore().row(1)
    assert (path, road.name, rules.laps, names) == (Path("run.mp4"), "oval", 1, [row.name])
    assert result.lap_times_s == row.runs[0].lap_times_s
    assert size == (854, 480)
    assert ".mp4 or .gif" in refuse("board", "replay", "1", "--video", "run.avi")


def test_what_is_for_ever_is_asked_and_refused_without_a_terminal(say, refuse, club, monkeypatch):
    asked = ("board", "withdraw", "2", "--why", "the wrong file")
    assert "add --yes to withdraw submission 2" in refuse(*asked)
    assert "add --yes to dispute submission 2" in refuse("board", "dispute", "2", "--why", "x")
    monkeypatch.setattr("sys.stdin", terminal("no\n"))
    assert "withdraw submission 2 for ever? [y/N] racer: nothing was done" in refuse(*asked)
    monkeypatch.setattr("sys.stdin", terminal(""))
    assert "nothing was done" in refuse(*asked), "the terminal was closed"
    assert BoardStore().row(2).withdrawn is None
    monkeypatch.setattr("sys.stdin", terminal("y\n"))
    assert "id 2: twin, rank 1 of 2" in say(*asked)
    assert BoardStore().row(2).withdrawn == "the wrong file"


def terminal(typed):
    typing = io.StringIO(typed)
    typing.isatty = lambda: True
    return typing


def test_an_id_that_is_no_row_to_change_gets_a_sentence(say, refuse, club):
    say("board", "withdraw", "1", "--why", "the wrong file", "--yes")
    for verb in ("withdraw", "dispute"):
        more = ("--why", "x", "--yes")
        assert "no submission 9 on the board" in refuse("board", verb, "9", *more)
        assert "record 3 is a withdrawal of submission 1" in refuse("board", verb, "3", *more)
        said = refuse("board", verb, "1", "--why", "x")
        assert "submission 1 was withdrawn before (the wrong file)" in said, "before it asks"
    assert "no submission 9" in refuse("board", "replay", "9", "--video", "x.mp4")
    assert [record.kind for record in BoardStore().history("pure-pursuit")][1:] == ["withdrawal"]


def test_a_film_that_is_there_is_written_over_only_where_somebody_agrees(
    say, refuse, club, monkeypatch
):
    monkeypatch.setattr(
        "racer.rendering.race_video.write_race_video",
        lambda path, *given, **more: path.write_text("new"),
    )
    Path("run.mp4").write_text("old")
    asked = ("board", "replay", "1", "--video", "run.mp4")
    assert "add --yes to write over run.mp4" in refuse(*asked)
    assert Path("run.mp4").read_text() == "old"
    say(*asked, "--yes")
    assert Path("run.mp4").read_text() == "new"


def test_a_submission_tells_its_place_and_who_else_has_the_name(say, club):
    said = say("board", "submit", "raceline", "--season", "club", "--name", "twin")
    assert "season club: twin is number 1 of 2, id 3" in said
    assert "twin has 1 other entry in this season, and the best one stands in the table" in said
    said = say("board", "submit", "pure-pursuit", "--season", "club", "--name", "twin")
    assert "season club: twin is number 1 of 2, id 3" in said
    assert "this entry was submitted before, as id 2, which keeps its place" in said
    assert "id 3 stays the best entry of twin" in said
    rows = json.loads(say("board", "show", "--season", "club", "--json"))
    assert [(row["id"], row["others"]) for row in rows] == [(3, 1), (1, 0)]
    rows = json.loads(say("board", "show", "--season", "club", "--all", "--json"))
    assert [(row["rank"], row["id"]) for row in rows] == [(1, 3), (None, 2), (2, 1)]
    said = say("board", "submit", "raceline", "--season", "club", "--name", "fresh")
    assert "fresh is number 1 of 3, shared with 1, id 5" in said
    assert "other" not in said
    assert "nobody stands there yet" in say("board", "show", "--season", "open")


def test_a_row_stands_under_a_name_that_fits(refuse, say, club):
    assert "the name '' does not fit" in refuse("board", "submit", "raceline", "--name", "")
    typed = ("board", "submit", "pure-pursuit", "--season", "club", "--name")
    say(*typed, "Zoe\u0308")
    assert "submitted before, as id 3" in say(*typed, "Zo\u00eb"), "it looks the same"


def test_a_wrong_word_is_answered_with_the_near_one(refuse):
    assert 'Did you mean "seal"?' in refuse("board", "season", "sela")
