"""A person's race in the studio: keys, the session, its websocket, and whom it races."""

import asyncio
import json
import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from racer.car.spec import GRAVITY, car_named
from racer.controllers import make_controller
from racer.entries.package import Entry, read_entry
from racer.errors import RacerError
from racer.evaluation import evaluate_together
from racer.leaderboard.drives import DriveRecord, drives_in, make_drive_season, verify_drive
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from racer.race import RaceConfig
from racer.track import load_track
from racer.world import CONTROL_RATE_HZ
from tests.helpers.boards import package

pytestmark = pytest.mark.needs("nicegui")
pytest.importorskip("nicegui")

from fastapi import WebSocketDisconnect  # noqa: E402

from racer.studio.drive_session import DriveOptions, DriveSession  # noqa: E402
from racer.studio.drive_socket import DriveLobby, DriveSocket  # noqa: E402
from racer.studio.entry_files import keep_entry  # noqa: E402
from racer.studio.opponents import Opponents  # noqa: E402
from racer.studio.person_controller import (  # noqa: E402
    KEY_STEERING_S,
    PersonController,
    PersonInput,
)
from racer.studio.race_session import RaceOptions, RaceSession  # noqa: E402
from racer.studio.run_folder import RunFolder  # noqa: E402
from racer.studio.telemetry import lap_traces  # noqa: E402

SPEC = car_named("deepracer")
SPRINT = Season(name="sprint", tracks=("oval",), race=SeasonRaceConfig(laps=1, time_limit=60))


class Still:
    """The state of a car at a speed."""

    def __init__(self, speed):
        self.velocity = np.array([[speed, 0.0, 0.0]])


def commands(person, speed, count=1):
    return np.array([person.command(Still(speed), None, 0) for _ in range(count)])


def rules(**more):
    return RaceConfig(**{"laps": 1, "start": "line", "faults": "reset", "time_limit": 60, **more})


def session(folder, season=None, **more):
    season = season or make_drive_season("oval", rules())
    opponents = Opponents(RunFolder(folder / "runs"), folder / "drives")
    return DriveSession(DriveOptions("Ada", season, **more), opponents, folder / "drives")


def let_drive(one):
    """Let a controller hold the wheel instead of a person."""
    driver = make_controller("pure-pursuit", load_track("oval"), SPEC)
    one.person.command = driver.command
    return one


def stored(folder):
    """The only drive in a folder, with its file."""
    ((path, record),) = drives_in(folder / "drives")
    assert isinstance(record, DriveRecord)
    return path, record


def test_a_key_turns_the_wheel_at_a_limited_rate_and_lets_it_back():
    person = PersonController(SPEC)
    person.hold(PersonInput(left=True))
    steering = commands(person, 0.1, 8)[:, 0]
    steps = KEY_STEERING_S * CONTROL_RATE_HZ
    assert steering[0] == pytest.approx(SPEC.steering_limit / steps)
    assert steering[-1] == SPEC.steering_limit
    assert (np.diff(steering) >= 0).all()
    person.hold(PersonInput())
    assert commands(person, 0.1, 8)[-1, 0] == 0.0


def test_a_tap_between_two_steps_counts_in_one_of_them():
    person = PersonController(SPEC)
    person.hold(PersonInput(right=True, gas=True))
    person.hold(PersonInput())
    first, second = commands(person, 1.0, 2)
    assert first[0] < 0.0
    assert first[1] == SPEC.speed_limit
    assert second[0] == 0.0
    assert second[1] < 1.0


def test_a_full_wheel_asks_for_what_the_tyres_hold():
    for speed in (2.0, 3.0, 4.0):
        person = PersonController(SPEC)
        person.hold(PersonInput(wheel=1.0))
        bend = math.tan(commands(person, speed)[0, 0]) / SPEC.wheelbase
        assert bend * speed**2 == pytest.approx(0.95 * SPEC.friction * GRAVITY)


def test_the_throttle_key_asks_for_its_speed_the_trigger_for_its_share_and_the_brake_stops():
    person = PersonController(SPEC, key_speed=1.5)
    person.hold(PersonInput(gas=True))
    assert commands(person, 1.0)[0, 1] == 1.5
    person.hold(PersonInput(throttle=0.5))
    commands(person, 1.0)
    assert commands(person, 1.0)[0, 1] == 0.5 * SPEC.speed_limit
    person.hold(PersonInput(gas=True, brake=1.0))
    assert commands(person, 2.0)[0, 1] == pytest.approx(
        2.0 - SPEC.brake_acceleration / SPEC.speed_gain
    )
    assert commands(person, 0.1)[0, 1] == 0.0


def test_a_browsers_message_cannot_hold_more_than_there_is():
    for wheel in (True, "1", None, math.nan, [], {}):
        assert PersonInput.from_json({"wheel": wheel, "left": 1}) == PersonInput()
    assert PersonInput.from_json({"wheel": -9, "throttle": 9, "brake": -1}).wheel == -1.0
    assert PersonInput.from_json({"throttle": 9}).throttle == 1.0


def test_a_race_is_stored_at_its_end_and_is_confirmed(tmp_path):
    one = let_drive(session(tmp_path, ghosts=("raceline",)))
    try:
        scene = json.loads(json.dumps(one.scene(), allow_nan=False))
        assert scene["ghosts"][0]["name"] == "raceline"
        states = []
        while not one.is_over:
            assert drives_in(tmp_path / "drives") == []
            states.append(one.step())
        summary = one.summary()
    finally:
        one.close()
    path, record = stored(tmp_path)
    assert summary["file"] == path.name
    assert (summary["ending"], summary["verdict"]) == ("finished", "bit-exact")
    assert record.replay.score.lap_times_s == pytest.approx(states[-1]["lap_times"], abs=1e-3)
    deltas = [state["delta"] for state in states if state["delta"] is not None]
    assert deltas[-1] > 1.0  # Pure pursuit is seconds behind the racing line at the end of the lap.


def test_the_first_of_several_laps_is_stored_before_the_race_ends(tmp_path):
    one = let_drive(session(tmp_path, make_drive_season("oval", rules(laps=2))))
    try:
        while one.step()["lap"] < 1:
            pass
        _, record = stored(tmp_path)
    finally:
        one.close()
    assert (record.replay.score.laps_completed, record.replay.score.ending) == (1, "retired")
    assert verify_drive(record)[1].text == "bit-exact"


def test_a_race_without_a_lap_is_not_stored(tmp_path):
    one = session(tmp_path)
    one.person.hold(PersonInput(gas=True))
    try:
        for _ in range(5):
            one.step()
        assert one.summary()["file"] is None
    finally:
        one.close()
    assert not (tmp_path / "drives").exists()


def test_a_person_races_from_the_end_of_the_grid_of_one_world(tmp_path):
    one = let_drive(session(tmp_path, rivals=("raceline", "pure-pursuit")))
    try:
        state = one.scene()["state"]
        assert (state["order"], state["me"], len(state["cars"])) == ([0, 1, 2], 2, 3)
        while not one.is_over:
            state = one.step()
    finally:
        one.close()
    _, record = stored(tmp_path)
    assert [rival.name for rival in record.rivals] == ["raceline", "pure-pursuit"]
    assert verify_drive(record)[1].text == "bit-exact"


def test_a_ghost_was_at_each_place_when_its_race_was(tmp_path):
    season = make_drive_season("oval", rules(laps=2))
    opponents = Opponents(RunFolder(tmp_path), tmp_path)
    ghost = opponents.ghost("raceline", season)
    assert opponents.ghost("raceline", season) is ghost
    assert ghost.distance[-1] == pytest.approx(2.0, abs=0.1)
    assert ghost.time_at(1.0) == pytest.approx(ghost.lap_times_s[0], abs=0.07)
    assert ghost.time_at(0.0) == 0.0
    assert ghost.time_at(-0.1) is None
    assert ghost.time_at(3.0) is None


def test_ones_own_drive_of_the_same_race_is_a_ghost(tmp_path):
    one = let_drive(session(tmp_path))
    try:
        while not one.is_over:
            one.step()
    finally:
        one.close()
    season = make_drive_season("oval", rules())
    opponents = Opponents(RunFolder(tmp_path / "runs"), tmp_path / "drives")
    word, *_ = opponents.ghosts(season)
    assert word.startswith("drive:")
    ghost = opponents.ghost(word, season)
    assert ghost.name == "Ada"
    assert ghost.pose.shape == (len(ghost.time), 8)
    other = make_drive_season("oval", rules(laps=2))
    assert not any(one.startswith("drive:") for one in opponents.ghosts(other))
    with pytest.raises(RacerError, match="another race"):
        opponents.ghost(word, other)


def test_what_cannot_be_driven_is_refused(tmp_path, subtests):
    season = make_drive_season("oval", rules())
    opponents = Opponents(RunFolder(tmp_path), tmp_path)
    for name, word in (
        ("unknown", "x"),
        ("a path", "run:../run"),
        ("a drive's path", "drive:../a.drive"),
        ("no run", "run:none"),
    ):
        with subtests.test(name=name), pytest.raises(RacerError):
            opponents.ghost(word, season)
    for options in (
        {"driver": "", "season": season},
        {"driver": "A", "season": season, "rivals": ("raceline",) * 30},
        {"driver": "A", "season": make_drive_season("nowhere", rules())},
    ):
        with subtests.test(options=options), pytest.raises(RacerError):
            DriveOptions(**options)
    with pytest.raises(RacerError, match="laps"):
        make_drive_season("oval", rules().model_copy(update={"laps": 0}))


def test_a_race_of_the_lobby_is_driven_once():
    lobby, season = DriveLobby(), make_drive_season("oval", rules())
    make: Any = partial(DriveOptions, "Ada", season)
    token = lobby.add(make)
    assert lobby.take(token) is make
    assert lobby.take(token) is None


class FakeSocket:
    """The server's end of a websocket, with what a browser says and hears in queues."""

    def __init__(self):
        self.said, self.heard = asyncio.Queue(), asyncio.Queue()

    async def accept(self):
        pass

    async def close(self):
        pass

    async def receive_text(self):
        if (text := await self.said.get()) is None:
            raise WebSocketDisconnect(1001)
        return text

    async def send_text(self, text):
        await self.heard.put(json.loads(text))

    def say(self, **message):
        self.said.put_nowait(json.dumps(message))

    async def hear(self, kind):
        while (message := await self.heard.get())["type"] != kind:
            pass
        return message


def talk(folder, conversation):
    """Let a browser's side of a conversation run against a race of the studio."""

    async def both():
        socket: Any = FakeSocket()
        options = DriveOptions("Ada", make_drive_season("oval", rules()))
        opponents = Opponents(RunFolder(folder), folder)
        make = partial(DriveSession, options, opponents, folder)
        race = asyncio.create_task(DriveSocket(socket, make).run())
        await conversation(socket)
        socket.said.put_nowait(None)
        await race

    asyncio.run(asyncio.wait_for(both(), 120))


def test_a_race_waits_for_the_throttle_and_begins_again_when_asked(tmp_path):
    async def conversation(socket):
        assert (await socket.hear("scene"))["state"]["step"] == 0
        socket.said.put_nowait("no JSON")
        socket.say(held={"left": True})
        await asyncio.sleep(0.3)
        assert socket.heard.empty()
        socket.say(held={"gas": True, "left": True})
        states = [await socket.hear("state") for _ in range(4)]
        assert [state["step"] for state in states] == [1, 2, 3, 4]
        assert states[-1]["speed"] > 0.2
        assert states[-1]["cars"][0][7] > 0.1
        socket.say(ask="restart")
        assert (await socket.hear("scene"))["state"]["step"] == 0
        assert (await socket.hear("state"))["step"] == 1
        socket.say(ask="stop")
        assert (await socket.hear("end"))["file"] is None

    talk(tmp_path, conversation)


def test_a_tap_on_the_throttle_begins_a_race(tmp_path):
    async def conversation(socket):
        await socket.hear("scene")
        socket.say(held={"gas": True})
        socket.say(held={})
        assert (await socket.hear("state"))["step"] == 1

    talk(tmp_path, conversation)


def test_a_paused_race_stands_still_until_it_is_let_go(tmp_path):
    async def conversation(socket):
        await socket.hear("scene")
        socket.say(held={"gas": True})
        last = await socket.hear("state")
        socket.say(ask="pause")
        assert (await socket.hear("paused"))["is_paused"]
        await asyncio.sleep(0.2)
        while not socket.heard.empty():
            last = socket.heard.get_nowait()
        await asyncio.sleep(0.2)
        assert socket.heard.empty()
        socket.say(ask="pause")
        assert (await socket.hear("state"))["step"] > last.get("step", 1)

    talk(tmp_path, conversation)


def test_a_tab_that_leaves_ends_its_race(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(DriveSession, "close", lambda self: closed.append(self._opened.close()))

    async def conversation(socket):
        await socket.hear("scene")
        socket.say(held={"gas": True})
        await socket.hear("state")

    talk(tmp_path, conversation)
    assert closed == [None]


def race(folder, *racers, **more):
    season = make_drive_season("oval", rules(**more))
    return RaceOptions(season, racers), Opponents(RunFolder(folder), folder)


def test_entries_race_to_the_last_ones_end_and_their_traces_begin_at_the_line(tmp_path):
    told = []
    options, opponents = race(tmp_path, "pure-pursuit", "raceline")
    one = RaceSession(options, opponents, told.append)
    try:
        scene = one.scene()
        assert [car["name"] for car in scene["cars"]] == ["pure-pursuit", "raceline"]
        state = scene["state"]
        one.follow(1)
        one.follow(7)
        while not one.is_over:
            state = one.step()
        assert (state["me"], state["order"], state["laps"]) == (1, [1, 0], [1, 1])
        assert one.summary()["ending"] == "raceline wins"
    finally:
        one.close()
    ((first, second),) = told
    track = load_track("oval")
    results = evaluate_together(
        [make_controller(name, track, SPEC) for name in options.racers], "oval", rules()
    )
    assert first.lap_times_s == results[0].lap_times_s
    assert second.lap_times_s == results[1].lap_times_s
    (lap,) = lap_traces("raceline", second.result, SPEC, track.length)
    assert 0.0 < lap.distance[0] < 0.5
    assert lap.time[0] > 0.2


def test_two_to_eight_entries_race(tmp_path, subtests):
    for count in (0, 1, 9):
        with subtests.test(count=count), pytest.raises(RacerError, match="2 to 8 race on oval"):
            race(tmp_path, *["raceline"] * count)
    options, opponents = race(tmp_path, "raceline", "raceline")
    one = RaceSession(options, opponents)
    try:
        names = [car["name"] for car in one.scene()["cars"]]
    finally:
        one.close()
    assert names == ["raceline", "raceline 2"]


def test_an_entrys_file_in_the_folder_of_runs_can_race(tmp_path, subtests):
    content = package(tmp_path / "swift.entry.zip").read_bytes()
    runs = tmp_path / "runs"
    opponents = Opponents(RunFolder(runs), tmp_path)
    assert not [word for word in opponents.rivals() if word.startswith("entry:")]
    entry = keep_entry(runs, "swift.entry.zip", content)
    assert keep_entry(runs, "swift.entry.zip", content).sha256 == entry.sha256
    assert opponents.rivals()["entry:swift.entry.zip"] == "swift.entry.zip (file)"
    racer = opponents.racer("entry:swift.entry.zip")
    assert isinstance(racer, Entry) and racer.sha256 == entry.sha256
    other = package(tmp_path / "slow.entry.zip", car="f1tenth").read_bytes()
    wrong = {
        ("swift.entry.zip", other): "another file is there",
        ("../swift.entry.zip", content): "no entry's file",
        ("swift.zip", content): "ends in .entry.zip",
        ("new.entry.zip", content[:-40]): "zip",
    }
    for (name, data), told in wrong.items():
        with subtests.test(name=name), pytest.raises(RacerError, match=told):
            keep_entry(runs, name, data)
    assert [path.name for path in runs.iterdir()] == ["swift.entry.zip"]
    with pytest.raises(RacerError, match="choose one from the list"):
        opponents.racer("entry:../swift.entry.zip")


@pytest.mark.slow
def test_a_boards_entry_is_a_rival_and_a_ghost_in_its_sandbox(tmp_path, monkeypatch):
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
    store = BoardStore()
    entry = read_entry(package(tmp_path / "swift.entry.zip"))
    runs = evaluate_season(store, SPRINT, entry, None)
    row = store.add(SPRINT, "swift", entry, runs)
    store.add(SPRINT, "raceline", None, runs)
    opponents = Opponents(RunFolder(tmp_path / "runs"), tmp_path / "drives")
    word = f"board:{row.id}"
    assert [one for one in opponents.rivals() if one.startswith("board:")] == [word]
    season = make_drive_season("oval", rules())
    one = let_drive(session(tmp_path, season, ghosts=(word,), rivals=(word,)))
    try:
        assert [car["name"] for car in one.scene()["cars"]] == ["swift", "Ada"]
        while not one.is_over:
            one.step()
    finally:
        one.close()
    _, record = stored(tmp_path)
    assert record.rivals[0].replay.space == entry.manifest.actions
    assert verify_drive(record)[1].text == "bit-exact"
    again, ghost = opponents.race_of(f"replay:{row.id}:0")
    assert ghost.lap_times_s == row.runs[0].lap_times_s
    assert again == season
    assert f"replay:{row.id}:0" in opponents.recorded()
    for wrong in ("replay:1", "replay:99:0", "replay:1:99", "drive:../x.drive", "x"):
        with pytest.raises(RacerError):
            opponents.race_of(wrong)


def test_a_rival_of_another_car_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
    store, season = BoardStore(), SPRINT.model_copy(update={"car": "f1tenth"})
    entry = read_entry(package(tmp_path / "swift.entry.zip", car="f1tenth"))
    row = store.add(season, "swift", entry, evaluate_season(store, season, entry, None))
    with pytest.raises(RacerError, match="cars of one race must be alike"):
        session(tmp_path, rivals=(f"board:{row.id}",))
    one = session(tmp_path, ghosts=(f"board:{row.id}",))
    one.close()
    assert one.ghosts[0].car == "f1tenth"
