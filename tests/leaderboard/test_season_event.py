"""The rules of an event, held to the store's clock: at each boundary, to the second."""

import hashlib
import json
from datetime import datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from racer.cli import main
from racer.errors import BoardError, ConfigError
from racer.leaderboard import board_database
from racer.leaderboard.batch import run_season
from racer.leaderboard.pages.site import write_site
from racer.leaderboard.placement import announcement, placement_of
from racer.leaderboard.ranking import rank, rank_with_others
from racer.leaderboard.season import Season, load_season
from racer.leaderboard.season_event import SeasonEvent
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_judge import SubmissionJudge
from racer.leaderboard.submission_queue import SubmissionQueue
from tests.helpers.boards import FAIR, RESULT, SPRING, package
from tests.helpers.stores import running_postgres

OPENS, FINAL, CLOSES = (f"2026-12-0{day}T12:00:00Z" for day in (1, 2, 3))
ANN, BOB = "a" * 64, "b" * 64


def season_with(season=SPRING, **event):
    return season.model_copy(update={"event": SeasonEvent.model_validate(event)})


CUP = season_with(opens=OPENS, final_from=FINAL, closes=CLOSES, entries_per_person=2)
OPEN_CUP = season_with(FAIR, opens=OPENS, closes=CLOSES)


@pytest.fixture
def at(monkeypatch):
    """Set the machine's clock, which is the store's of a file."""

    def at(time, seconds=0.0):
        moment = datetime.fromisoformat(time.replace("Z", "+00:00")) + timedelta(seconds=seconds)
        monkeypatch.setattr(board_database, "machine_time", lambda: moment)

    at(OPENS)
    return at


def result(total):
    times = {"lap_times_s": [total / 3] * 3, "total_time_s": total}
    return RESULT.from_json(RESULT.as_json() | times | {"laps_completed": 3})


def add(store, name, total=20.0, signer="", season=CUP, **more):
    sha = hashlib.sha256(name.encode()).hexdigest()
    return store.add(season, name, None, [result(total)], signer=signer, digest=sha, **more)


def test_entries_are_taken_from_the_opening_second_on_and_until_the_last(store, at):
    for time, seconds, code in [
        (OPENS, -0.001, "early"),
        (OPENS, 0.0, None),
        (FINAL, -0.001, None),
        (CLOSES, -0.001, None),
        (CLOSES, 0.0, "closed"),
        (CLOSES, 1e6, "closed"),
    ]:
        at(time, seconds)
        season = CUP.model_copy(update={"name": f"cup-{len(store.every_row())}"})
        if code is None:
            store.admit(season)
            add(store, "ann", season=season)
            continue
        for refused in (lambda: store.admit(season), lambda: add(store, "ann", season=season)):  # noqa: B023
            with pytest.raises(BoardError) as problem:
                refused()
            assert problem.value.code == code
    assert len(store.every_row()) == 3


def test_an_entry_counts_when_it_was_handed_in_and_not_when_it_was_judged(store, at):
    at(CLOSES, -1)
    handed_in = store.admit(CUP)
    at(CLOSES, 600)
    row = add(store, "ann", handed_in=handed_in)
    assert (row.handed_in, row.created) == ("2026-12-03T11:59:59Z", "2026-12-03T12:10:00Z")
    assert store.row(1) == row
    assert "handed_in" in store.history("ann")[0].body, "and the chain is over it"
    with pytest.raises(BoardError, match="closed at 2026-12-03T12:00:00Z"):
        add(store, "bob")


def test_no_one_hands_in_in_the_future(store, at):
    at(OPENS, -5)
    with pytest.raises(BoardError, match="opens at 2026-12-01T12:00:00Z; on the board it is"):
        add(store, "ann", handed_in=FINAL)


def test_a_person_has_so_many_entries_in_each_phase_under_whatever_name(store, at):
    add(store, "ann", signer=ANN)
    add(store, "ann two", signer=ANN)
    for refused in (
        lambda: add(store, "ann three", signer=ANN),
        lambda: store.admit(CUP, "ann three", ANN),
    ):
        with pytest.raises(
            BoardError, match="takes 2 entries of a person in its practice phase"
        ) as problem:
            refused()
        assert problem.value.code == "limit"
    add(store, "ann")  # without the key it is another person
    add(store, "ann", signer=BOB)
    at(FINAL, -1)
    with pytest.raises(BoardError, match="practice"):
        add(store, "ann", signer=ANN)
    at(FINAL)
    for _ in range(2):
        add(store, "ann", signer=ANN)
    with pytest.raises(BoardError, match="in its final phase"):
        add(store, "ann", signer=ANN)


def test_a_withdrawn_entry_counts_as_one_that_was_handed_in(store, at):
    store.withdraw(add(store, "ann").id, "the wrong file")
    add(store, "ann")
    with pytest.raises(BoardError, match="ann has handed in 2"):
        add(store, "ann")


def test_a_key_has_one_row_whatever_its_names(store, at):
    for name, total, signer in [("ann", 20, ANN), ("fast ann", 18, ANN), ("bob", 19, "")]:
        add(store, name, total, signer)
    rows = store.rows(CUP)
    assert [(line.rank, line.name, line.others) for line in rank(rows, CUP)] == [
        (1, "fast ann", 1),
        (2, "bob", 0),
    ]
    assert [line.name for line in rank_with_others(rows, CUP)] == ["fast ann", "ann", "bob"]
    told = announcement(CUP, placement_of(rows, CUP, rows[0]))
    assert told[0].startswith("season spring, practice phase: ann is number 1 of 2, id 2")
    assert len(rank(rows, SPRING)) == 3, "without an event, a name and its key are a participant"


def test_the_final_ranks_alone_as_soon_as_it_has_an_entry(store, at):
    add(store, "ann", 10.0)
    at(FINAL, 3600)
    assert [(line.name, line.phase) for line in rank(store.rows(CUP), CUP)] == [("ann", "practice")]
    add(store, "bob", 30.0)
    rows = store.rows(CUP)
    assert [(line.name, line.phase) for line in rank(rows, CUP)] == [("bob", "final")]
    assert [line.name for line in rank(rows, CUP, "practice")] == ["ann"]


@pytest.mark.slow
def test_an_entry_waits_in_the_queue_past_the_closing_time(tmp_path, at):
    store = BoardStore(tmp_path / "board")
    queue = SubmissionQueue(store, {OPEN_CUP.digest: OPEN_CUP})
    path = package(tmp_path / "swift.entry.zip")
    at(OPENS, -1)
    with pytest.raises(BoardError) as problem:
        queue.hand_in(path, "fair")
    assert problem.value.code == "early"
    at(CLOSES, -1)
    queue.hand_in(path, "fair", "ann")
    at(CLOSES)
    with pytest.raises(BoardError) as problem:
        queue.hand_in(path, "fair")
    assert problem.value.code == "closed"
    assert SubmissionJudge(queue, lambda season: None).work(is_drained=True) == 1
    (told,) = queue.told()
    assert (told["state"], told["handed_in"]) == ("done", "2026-12-03T11:59:59Z")
    assert store.row(told["row"]).handed_in == told["handed_in"]


@pytest.mark.slow
def test_a_folder_of_entries_is_held_to_the_rules(tmp_path, at):
    store = BoardStore(tmp_path / "board")
    (tmp_path / "class").mkdir()
    package(tmp_path / "class" / "ann.entry.zip", name="ann")
    one = season_with(FAIR, closes=CLOSES, entries_per_person=1)
    assert len(run_season(store, one, tmp_path / "class", workers=1).added) == 1
    package(tmp_path / "class" / "ann.entry.zip", name="ann", author="Bob")
    summary = run_season(store, one, tmp_path / "class", workers=1)
    assert {name: code for name, (code, _) in summary.refused.items()} == {"ann.entry.zip": "limit"}
    at(CLOSES)
    with pytest.raises(BoardError, match="closed at"):
        run_season(store, one, tmp_path / "class", workers=1)


def test_the_verbs_make_hold_and_show_an_event(tmp_path, at, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RACER_BOARD", "board")
    words = ["--opens", OPENS, "--closes", CLOSES, "--final-from", "2026-12-02T13:00:00+01:00"]
    main(["board", "season", "new", "cup", *words, "--laps", "1", "--entries-per-person", "1"])
    season = load_season("cup")
    assert season.event == SeasonEvent(
        opens=OPENS, closes=CLOSES, final_from=FINAL, entries_per_person=1
    )
    submit = ["board", "submit", "pure-pursuit", "--season", "cup"]

    def refused(*words):
        with pytest.raises(SystemExit):
            main([*submit, *words])
        return capsys.readouterr().err

    at(OPENS, -1)
    assert "season cup opens at 2026-12-01T12:00:00Z" in refused()
    at(OPENS)
    main(submit)
    assert "takes 1 entries of a person in its practice phase" in refused()
    at(FINAL)
    main([*submit, "--json", "--name", "late"])
    capsys.readouterr()
    main(["board", "show", "--season", "cup", "--json"])
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["name"], line["phase"], line["handed_in"]) == ("late", "final", FINAL)
    main(["board", "show", "--season", "cup", "--phase", "practice"])
    assert "pure-pursuit" in capsys.readouterr().out
    at(CLOSES)
    assert "season cup closed at 2026-12-03T12:00:00Z" in refused()
    write_site(BoardStore(), tmp_path / "pages", [season], lambda one: None)
    page = (tmp_path / "pages" / season.folder / "index.html").read_text()
    told = "from 2026-12-01 12:00 UTC, final from 2026-12-02 12:00 UTC, until 2026-12-03 12:00 UTC"
    assert f"{told}, up to 1 of a person in each phase" in page


def test_a_time_is_an_instant_and_its_zone_does_not_change_the_season(tmp_path):
    texts = ["2026-12-01T12:00:00Z", "2026-12-01 13:00:00+01:00", "'2026-12-01T12:00:00+00:00'"]
    digests, path = set(), tmp_path / "cup.yaml"
    for text in texts:
        path.write_text(f"name: cup\ntrack: oval\ntime_limit: 9\nevent:\n  opens: {text}\n")
        digests.add(load_season(str(path)).digest)
    assert len(digests) == 1
    season = load_season(str(path))
    assert Season.model_validate_json(season.canonical) == season


def test_a_season_without_an_event_keeps_its_digest():
    assert "event" not in json.loads(SPRING.canonical)
    assert season_with(opens=OPENS).digest != SPRING.digest


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"opens": "2026-12-01T12:00:00"}, "no zone: add Z"),
        ({"opens": "2026-12-01T12:00:00.5Z"}, "whole seconds"),
        ({"opens": "soon"}, "a date and a time of day"),
        ({"opens": 5}, "a date and a time of day"),
        ({"opens": CLOSES, "closes": OPENS}, "follow one another"),
        ({"opens": OPENS, "closes": OPENS}, "follow one another"),
        ({"final_from": CLOSES, "closes": FINAL}, "follow one another"),
        ({"entries_per_person": 0}, "greater than or equal to 1"),
        ({"entries": 5}, "Extra inputs"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused(event, said):
    with pytest.raises(ValidationError, match=said):
        SeasonEvent.model_validate(event)


def test_a_wrong_time_in_a_file_is_told_with_its_line(tmp_path):
    path = tmp_path / "cup.yaml"
    path.write_text("name: cup\ntrack: oval\ntime_limit: 9\nevent:\n  opens: 2026-12-01\n")
    with pytest.raises(ConfigError, match=r"cup\.yaml:5: event\.opens: .*date and a time"):
        load_season(str(path))


@pytest.mark.slow
def test_a_board_on_a_server_has_the_servers_clock(tmp_path, monkeypatch):
    """Whatever the clock of the machine says that judges."""
    long_ago = datetime(2001, 1, 1, tzinfo=timezone.utc)
    monkeypatch.setattr(board_database, "machine_time", lambda: long_ago)
    with running_postgres() as server:
        board = BoardStore(server.url(), tmp_path)
        ((now,),) = server.execute("SELECT clock_timestamp()")
        for seconds, code in [(3600, "early"), (-3600, None)]:
            opens = (now + timedelta(seconds=seconds)).replace(microsecond=0)
            season = season_with(opens=opens)
            if code:
                with pytest.raises(BoardError) as problem:
                    add(board, "ann", season=season)
                assert problem.value.code == code
            else:
                assert add(board, "ann", season=season).created > opens.strftime("%Y-%m-%dT%H")
