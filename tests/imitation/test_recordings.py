"""A board's replay shows a learner with other sensors what its driver did."""

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.entries.package import read_entry
from racer.errors import BoardError, ConfigError
from racer.evaluation import controller_for, evaluate_controller
from racer.imitation.cloning import CloneOptions, config_of_clone, run_cloning
from racer.imitation.recordings import (
    drive_files,
    drive_files_demonstrations,
    entry_of_submission,
    recorded_demonstrations,
    submission_number,
)
from racer.leaderboard.drives import (
    make_drive_season,
    now_in_utc,
    read_drive,
    record_drive,
    save_drive,
)
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from racer.leaderboard.verification import replay_of
from racer.race import RaceConfig
from tests.helpers.boards import package
from tests.helpers.runs import QUIET, config

SEASON = Season(name="short", tracks=("oval",), race=SeasonRaceConfig(laps=1, time_limit=20))
SLOW = {"speed": (1.0, 2.0)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    store = BoardStore(folder / "board")
    entry = read_entry(package(folder / "swift.entry.zip"))
    for racer, name in ((entry, "swift"), ("pure-pursuit", "pure-pursuit")):
        runs = evaluate_season(store, SEASON, racer, None)
        store.add(SEASON, name, None if isinstance(racer, str) else racer, runs)
    return store


def test_a_recording_gives_the_actions_that_its_policy_took(store):
    replay = replay_of(store, store.row(1), 0)
    drive = recorded_demonstrations(store, 1, config(sensor="state", actions=SLOW))
    assert drive.laps == 1
    assert drive.demonstrations.actions == pytest.approx(replay.actions, abs=1e-6)


def test_a_controller_s_recording_is_seen_by_a_camera(store):
    camera = {"kind": "camera", "width": 16, "height": 12}
    replay = replay_of(store, store.row(2), 0)
    drive = recorded_demonstrations(store, 2, config(sensor=camera, actions={}))
    assert drive.demonstrations.observations.shape == (len(replay.actions), 1, 12, 16)
    got = ActionSpace().command(drive.demonstrations.actions)
    inside = np.abs(replay.actions[:, 0]) < np.deg2rad(30)
    assert got[inside] == pytest.approx(replay.actions[inside], abs=1e-5)


def test_a_lap_with_a_fault_is_left_out(store, monkeypatch):
    from racer.imitation import recordings

    simulate = recordings._simulate

    def with_fault(*args):
        policy, result = simulate(*args)
        result.fault[20] = 2
        return policy, result

    monkeypatch.setattr(recordings, "_simulate", with_fault)
    with pytest.raises(ConfigError, match="no lap without a fault"):
        recorded_demonstrations(store, 2, config(sensor="state"))


def test_a_recording_that_does_not_hold_and_one_of_another_car_are_refused(store, monkeypatch):
    with pytest.raises(ConfigError, match="set car: deepracer in the config"):
        recorded_demonstrations(store, 1, config(sensor="state", car="f1tenth"))
    monkeypatch.setattr(
        "racer.imitation.recordings.score_of_run", lambda run, result: store.row(1).runs[0].score
    )
    with pytest.raises(BoardError, match="cannot be simulated again here: another"):
        recorded_demonstrations(store, 2, config(sensor="state"))


def test_a_recording_cannot_teach_a_clone_that_drives(store, monkeypatch, tmp_path):
    monkeypatch.setenv("RACER_BOARD", str(store.folder))
    with pytest.raises(ConfigError, match="cannot drive on from where the clone gets to"):
        run_cloning("board:1", config(), tmp_path / "run", CloneOptions(rounds=2), QUIET)
    result = run_cloning("board:1", config(), tmp_path / "run", CloneOptions(epochs=1), QUIET)
    assert result.run.story()["pretrained"]["rounds"] == 1


def test_a_submission_is_named_by_its_id(store):
    assert submission_number("board:12") == 12
    assert [submission_number(word) for word in ("board:x", "12", "raceline")] == [None] * 3
    entry = entry_of_submission(store, 1)
    assert entry is not None
    assert entry.manifest.name == "swift"
    assert entry_of_submission(store, 2) is None


@pytest.fixture(scope="module")
def drives(tmp_path_factory):
    """A folder with a drive of two clean laps."""
    folder = tmp_path_factory.mktemp("drives")
    rules = RaceConfig(laps=2, start="line", faults="reset", time_limit=40)
    season = make_drive_season("oval", rules)
    driver = controller_for("pure-pursuit", "oval", rules)
    result = evaluate_controller(driver, "oval", rules)
    save_drive(folder, record_drive(season, "Ada", now_in_utc(), result))
    return folder


def test_a_persons_drive_shows_what_the_person_did(drives):
    chosen = config(sensor="state", actions=SLOW)
    (path,) = drive_files(str(drives))
    assert drive_files(str(path)) == [path]
    record, drive = read_drive(path), drive_files_demonstrations([path], chosen)
    assert (drive.laps, drive.faults) == (2, 0)
    wanted = chosen.actions.nearest(record.replay.actions)
    assert np.array_equal(drive.demonstrations.actions, wanted)
    with pytest.raises(ConfigError, match="set car: deepracer"):
        drive_files_demonstrations([path], chosen.model_copy(update={"car": "f1tenth"}))


def test_a_person_is_cloned_on_the_track_of_the_drive(drives, tmp_path):
    usual, name = config_of_clone(str(drives))
    assert (usual.track, usual.car, usual.race.kind) == (("oval",), "deepracer", "time_trial")
    assert (usual.actions.speed, name) == ((0.1, 4.0), "clone")
    chosen = config(sensor="state", actions=SLOW)
    result = run_cloning(str(drives), chosen, tmp_path / "clone", CloneOptions(epochs=1), QUIET)
    assert (result.run.folder / "config.yaml").is_file()
    with pytest.raises(ConfigError, match="recording"):
        run_cloning(str(drives), chosen, tmp_path / "two", CloneOptions(rounds=2), QUIET)
