"""Races that a person drove: stored, simulated again, and on the board as a person's row."""

import dataclasses
import json

import numpy as np
import pytest

from racer.car.spec import car_named
from racer.cli import main
from racer.controllers import make_controller
from racer.errors import BoardError
from racer.evaluation import SteppedRace
from racer.leaderboard.drive_submission import submit_drives
from racer.leaderboard.drives import (
    DRIVE_MAGIC,
    DriveRecord,
    drives_in,
    make_drive_season,
    pack_drive,
    read_drive,
    record_drive,
    record_rival,
    save_drive,
    unpack_drive,
    verify_drive,
)
from racer.leaderboard.ranking import rank
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submissions import PERSON_DIGEST
from racer.leaderboard.verification import verify_submission
from racer.track import load_track

SEASON = Season(name="short", tracks=("oval",), race=SeasonRaceConfig(laps=2, time_limit=60))
CREATED = "2026-01-02T03:04:05.000006Z"


class Hand:
    """A hand at the wheel: a controller with something of a person's noise."""

    def __init__(self, seed=0, track="oval"):
        self._driver = make_controller("pure-pursuit", load_track(track), car_named("deepracer"))
        self._noise = np.random.default_rng(seed)

    def command(self, state, place, car):
        return self._driver.command(state, place, car) + self._noise.normal(0.0, 0.02, 2)


def drive(season, seed=0, name="Ada", steps=None, rivals=(), created=CREATED):
    """A drive of a season's only run, cut after some steps if asked."""
    run = season.runs()[0]
    mine = make_drive_season(run.track, season.race_in(run.direction), run.seed, season.car)
    cars = [make_controller(one, load_track(run.track), car_named(season.car)) for one in rivals]
    me, rules = len(cars), season.race_in(run.direction)
    stepped = SteppedRace(
        [*cars, Hand(seed, run.track)], run.track, rules, run.seed, season.car, bool(cars)
    )
    try:
        while stepped.race.ending[me] == 0 and (steps is None or stepped.race.steps[me] < steps):
            stepped.step()
        others = tuple(
            record_rival(mine, one, stepped.result(k), None) for k, one in enumerate(rivals)
        )
        return record_drive(mine, name, created, stepped.result(me), others)
    finally:
        stepped.close()


@pytest.fixture(scope="module")
def driven():
    return drive(SEASON)


def test_a_drive_is_read_back_and_gives_the_same_race(driven, tmp_path):
    path = save_drive(tmp_path, driven)
    back = read_drive(path)
    assert pack_drive(back) == path.read_bytes()
    assert (back.driver, back.created, back.season) == ("Ada", CREATED, driven.season)
    assert driven.replay.score.laps_completed == 2
    result, verdict = verify_drive(back)
    assert verdict.text == "bit-exact"
    assert result.lap_times_s == driven.replay.score.lap_times_s


@pytest.mark.parametrize("kind", ["object_avoidance", "head_to_bot"])
def test_a_drive_among_obstacles_is_simulated_bit_for_bit(kind):
    season = Season(
        name="busy",
        tracks=("oval",),
        seeds=(3,),
        race=SeasonRaceConfig.model_validate(
            {"kind": kind, "walls": True, "laps": 1, "time_limit": 60}
        ),
    )
    found = drive(season, steps=200)
    assert (found.rules.kind, found.rules.walls) == (kind, True)
    assert verify_drive(found)[1].text == "bit-exact"


@pytest.mark.slow
def test_a_drive_against_others_in_one_world_is_simulated_bit_for_bit():
    found = drive(SEASON, rivals=("raceline", "pure-pursuit"), steps=80)
    back = unpack_drive(pack_drive(found))
    assert [one.name for one in back.rivals] == ["raceline", "pure-pursuit"]
    assert back.replay.score.ending == "retired"
    assert verify_drive(back)[1].text == "bit-exact"
    alone = dataclasses.replace(back, rivals=back.rivals[:1])
    assert "diverges" in verify_drive(alone)[1].text


def test_who_gives_up_keeps_the_completed_laps():
    whole = drive(SEASON)
    lap = whole.replay.score.lap_times_s[0]
    cut = drive(SEASON, steps=int(lap * 15) + 5)
    assert cut.replay.score.ending == "retired"
    assert cut.replay.score.lap_times_s == [lap]
    assert verify_drive(cut)[1].text == "bit-exact"


def test_a_changed_command_or_time_is_found(driven):
    actions = driven.replay.actions.copy()
    actions[20, 0] += 1e-9
    moved = dataclasses.replace(driven.replay, actions=actions)
    assert verify_drive(dataclasses.replace(driven, replay=moved))[1].text == "diverges at step 21"
    score = dataclasses.replace(driven.replay.score, lap_times_s=[1.0, 1.0])
    faster = dataclasses.replace(driven.replay, score=score)
    assert "lap_times_s" in verify_drive(dataclasses.replace(driven, replay=faster))[1].text


def test_what_is_no_drive_is_refused_and_listed_with_its_error(driven, tmp_path, subtests):
    content = pack_drive(driven)
    head, _, body = content[len(DRIVE_MAGIC) :].partition(b"\n")
    two = json.loads(head)
    two["season"]["seeds"] = [0, 1]
    for name, wrong in (
        ("nothing", b""),
        ("a cut one", content[:-1]),
        ("no head", DRIVE_MAGIC + b"{}\n" + body),
        ("two runs", DRIVE_MAGIC + json.dumps(two).encode() + b"\n" + body),
        ("sizes", content.replace(b'"sizes":[', b'"sizes":[-')),
    ):
        with subtests.test(name=name), pytest.raises(BoardError, match=r"no drive|damaged"):
            unpack_drive(wrong)
    save_drive(tmp_path, driven)
    (tmp_path / "0.drive").write_bytes(b"x")
    (path, one), (broken, problem) = drives_in(tmp_path)
    assert path.name.startswith("20260102030405000006-Ada-oval")
    assert isinstance(one, DriveRecord)
    assert one.driver == "Ada"
    assert broken.name in str(problem)


def test_a_person_stands_on_the_board_and_is_verified(driven, tmp_path):
    store = BoardStore(tmp_path / "board")
    slow = drive(SEASON, steps=150, created="2026-01-01T00:00:00.000000Z")
    first = submit_drives(store, SEASON, [slow])
    row = submit_drives(store, SEASON, [driven])
    assert (row.entry_sha256, row.name) == (PERSON_DIGEST, "Ada")
    line = rank(store.rows(SEASON), SEASON)[0]
    assert (line.id, line.others) == (row.id, 1)
    assert line.lap_times_s == driven.replay.score.lap_times_s
    for one in (first, row):
        (found,) = verify_submission(store, one)
        assert (found.simulated.text, found.policy) == ("bit-exact", None)
    assert store.chain().fault is None


@pytest.mark.slow
def test_a_drive_of_another_race_is_refused(driven, tmp_path, subtests):
    store = BoardStore(tmp_path / "board")
    for name, other in (
        ("laps", SEASON.model_copy(update={"race": SeasonRaceConfig(laps=3, time_limit=60)})),
        ("track", SEASON.model_copy(update={"tracks": ("bowtie",)})),
        ("seed", SEASON.model_copy(update={"seeds": (1,)})),
        ("car", SEASON.model_copy(update={"car": "f1tenth"})),
        ("direction", SEASON.model_copy(update={"directions": ("reverse",)})),
        ("two runs", SEASON.model_copy(update={"seeds": (0, 1)})),
    ):
        with subtests.test(name=name), pytest.raises(BoardError, match="wants a drive alone on"):
            submit_drives(store, other, [driven])
    among = drive(SEASON, rivals=("raceline",), steps=40)
    with pytest.raises(BoardError, match="wants a drive alone on oval"):
        submit_drives(store, SEASON, [among])
    actions = driven.replay.actions.copy()
    actions[:, 1] += 0.5
    forged = dataclasses.replace(driven, replay=dataclasses.replace(driven.replay, actions=actions))
    with pytest.raises(BoardError, match="not confirmed"):
        submit_drives(store, SEASON, [forged])
    with pytest.raises(BoardError, match="Ada and Bob"):
        submit_drives(store, SEASON, [driven, dataclasses.replace(driven, driver="Bob")])
    assert store.every_row() == []


def test_the_commands_list_verify_and_submit_drives(driven, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
    path = save_drive(tmp_path / "drives", driven)
    (tmp_path / "short.yaml").write_text(
        json.dumps({"name": "short", "tracks": ["oval"], "race": {"laps": 2, "time_limit": 60}})
    )
    main(["drives", "list", "--json"])
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["driver"], told["laps_completed"]) == ("Ada", 2)
    main(["drives", "verify", str(path)])
    assert "bit-exact" in capsys.readouterr().out
    main(["board", "submit", str(path), "--season", "short.yaml"])
    assert "Ada is number 1 of 1" in capsys.readouterr().out
    main(["board", "verify", "--all"])
    assert "Ada, run 0: bit-exact\n" in capsys.readouterr().out
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with pytest.raises(SystemExit):
        main(["drives", "verify", str(path)])
