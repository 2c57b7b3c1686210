"""An entry on trial, and a row that is held against its replay and its policy again."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.entries.package import read_entry, save_entry
from racer.errors import BoardError
from racer.leaderboard import verification
from racer.leaderboard.board_database import RECORD_COLUMNS
from racer.leaderboard.hash_chain import GENESIS_HASH, canonical_json, chain_hash
from racer.leaderboard.ranking import rank
from racer.leaderboard.replay import pack_replay
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.season_secret import commitment
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from racer.leaderboard.verification import (
    replay_of,
    resimulate_run,
    verify_submission,
)
from racer.sensors import StateConfig
from tests.helpers.boards import LOOK, forge, sql
from tests.helpers.entries import TRAINED_ON
from tests.helpers.graphs import graph, steady

SEASON = Season(
    name="short",
    tracks=("oval",),
    seeds=(0, 1),
    ranking="iqm",
    race=SeasonRaceConfig(laps=1, time_limit=20),
)
SPACE = ActionSpace(speed=(1.0, 2.0))


def made(folder, policy, name="swift", car="deepracer"):
    path = folder / f"{name}.entry.zip"
    save_entry(
        path,
        policy,
        name=name,
        env="racer/TimeTrial-v0",
        sensor=(StateConfig(),),
        actions=SPACE,
        trained_on=TRAINED_ON,
        car=car,
    )
    return read_entry(path)


def submit(store, racer, season=SEASON, secret=None):
    runs = evaluate_season(store, season, racer, secret)
    is_pilot = isinstance(racer, str)
    name = racer if is_pilot else racer.manifest.name
    return store.add(season, name, None if is_pilot else racer, runs)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A board of one row."""
    folder = tmp_path_factory.mktemp("judged")
    store = BoardStore(folder / "board")
    submit(store, made(folder, steady(LOOK)))
    return store.folder


@pytest.fixture
def row(store, judged):
    shutil.copytree(judged, store.folder, dirs_exist_ok=True)
    return store.row(1)


def texts(store, row, **more):
    return [finding.simulated.text for finding in verify_submission(store, row, **more)]


def rewrite(store, change):
    """Forge the body of record 1 as the machine's owner can, and chain all anew."""
    ((*values, _),) = sql(store, "SELECT * FROM record WHERE id = 1")
    record = dict(zip(RECORD_COLUMNS, values))
    body = json.loads(record["body"])
    change(body)
    record["body"] = canonical_json(body)
    forged = (record["body"], chain_hash(GENESIS_HASH, record))
    forge(store, ("UPDATE record SET body = ?, hash = ? WHERE id = 1", forged))
    assert store.chain().fault is None, "the chain alone does not tell"
    return store.row(1)


def test_a_row_holds_in_both_ways(store, row):
    findings = list(verify_submission(store, row))
    assert [finding.simulated.text for finding in findings] == ["bit-exact", "bit-exact"]
    assert [finding.policy.text for finding in findings if finding.policy] == ["same actions"] * 2
    assert all(finding.is_fine for finding in findings)
    assert row.runs[0].laps_completed == 1


def test_the_policy_is_run_only_where_that_is_asked_for(store, row, monkeypatch):
    monkeypatch.setattr(verification, "_compare_policy", None)
    assert [one.policy for one in verify_submission(store, row, is_policy_run=False)] == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    "pilot", ["pure-pursuit", pytest.param("raceline", marks=pytest.mark.slow)]
)
def test_a_pilot_of_the_house_is_held_to_the_same(store, pilot):
    row = submit(store, pilot)
    assert row.entry_sha256 == "house"
    assert all(finding.is_fine for finding in verify_submission(store, row))


@pytest.mark.slow
def test_a_time_changed_in_the_database_is_found_though_the_chain_was_made_anew(store, row):
    def faster(body):
        body["runs"][1]["total_time_s"] -= 0.5

    first, second = texts(store, rewrite(store, faster))
    assert first == "bit-exact"
    assert "the row has another total_time_s" in second


def test_an_action_changed_in_the_replay_is_found_though_the_row_was_made_anew(store, row):
    replay = replay_of(store, row, 0)
    actions = replay.actions.copy()
    actions[20, 1] += np.float32(0.1)
    forged = store.keep_replay(pack_replay(replace(replay, actions=actions)))
    row = rewrite(store, lambda body: body["runs"][0].update(replay=forged))
    finding = next(verify_submission(store, row))
    assert finding.simulated.text == "diverges at step 21"
    assert finding.policy is not None
    assert finding.policy.text == "the policy acts otherwise at step 21"


@pytest.mark.slow
def test_a_hash_changed_in_the_replay_is_found_though_the_row_was_made_anew(store, row):
    replay = replay_of(store, row, 0)
    marks = replay.marks.copy()
    marks[30] += 1
    forged = store.keep_replay(pack_replay(replace(replay, marks=marks)))
    row = rewrite(store, lambda body: body["runs"][0].update(replay=forged))
    assert texts(store, row)[0] == "diverges at step 31"


def test_another_policy_behind_a_true_replay_is_found_by_the_second_check(store, row, tmp_path):
    other = made(tmp_path, steady(LOOK * np.float32(1.01)), "other")
    store.files.keep(f"entries/{other.sha256}.entry.zip", other.content)
    row = rewrite(store, lambda body: body.update(entry_sha256=other.sha256))
    finding = next(verify_submission(store, row))
    assert finding.simulated.text == "bit-exact"
    assert finding.policy is not None
    assert finding.policy.text.startswith("the policy acts otherwise at step ")
    assert not finding.is_fine


def test_a_file_that_was_changed_or_lost_is_found(store, row):
    path = store.replay_path(row.runs[0].replay)
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    assert "was changed" in texts(store, row)[0]
    path.unlink()
    assert "is missing" in texts(store, row)[0]
    path.write_bytes(content)
    package = store.entry_path(row.entry_sha256)
    package.write_bytes(made(package.parent, steady(LOOK * 2), "x").content)
    assert "the package" in texts(store, row)[0]


@pytest.mark.slow
def test_a_policy_that_fails_midway_is_a_result_and_verifies(store, tmp_path):
    """Without its tanh the speed that it asks for leaves [-1, 1] as the car gathers way."""
    look = LOOK.copy()
    look[0, 1] = 4.0
    node = ("MatMul", ["observation", "w"], ["action"])
    row = submit(store, made(tmp_path, graph(node, weights={"w": look})))
    run = row.runs[0]
    assert run.ending == "policy_crash"
    assert "wanted is two numbers within [-1, 1]" in run.failure
    assert len(replay_of(store, row, 0).actions) > 2
    assert all(finding.is_fine for finding in verify_submission(store, row))
    assert rank(store.rows(SEASON), SEASON)[0].outcomes == {"policy_crash": 2}


@pytest.mark.slow
def test_a_policy_that_fails_at_once_is_a_result_and_verifies(store, tmp_path):
    node = ("MatMul", ["observation", "w"], ["action"])
    row = submit(store, made(tmp_path, graph(node, weights={"w": LOOK + np.float32(9)})))
    assert [run.ending for run in row.runs] == ["policy_crash"] * 2
    assert len(replay_of(store, row, 0).actions) == 0
    assert all(finding.is_fine for finding in verify_submission(store, row))


def test_a_row_from_before_replays_says_so(store):
    store.add(SEASON, "old", None, [RunResult(laps_completed=1), RunResult()])
    assert "kept no replays" in texts(store, store.row(1))[0]


def test_a_row_with_more_or_fewer_runs_than_its_season_is_found(store, row):
    row = rewrite(store, lambda body: body["runs"].pop())
    assert texts(store, row) == ["the row has 1 runs, its season 2"]


def test_a_sealed_run_tells_nothing_of_what_was_drawn_and_verifies_with_the_secret(store):
    secret = "cd" * 32
    sealed = {"sha256": commitment(secret), "tracks": 1, "seeds": 1}
    rules = {"name": "dark", "laps": 1, "time_limit": 5, "sealed": sealed}
    season = Season.model_validate(rules)
    row = submit(store, "pure-pursuit", season, secret)
    (run,) = season.runs(secret)
    assert (row.runs[0].track, row.runs[0].seed) == ("sealed:0", 0)
    for text in (json.dumps(row.body), str(replay_of(store, row, 0))):
        assert run.track not in text
        assert str(run.seed) not in text
    assert texts(store, row, secret=secret) == ["bit-exact"]
    assert "dark is sealed" in texts(store, row)[0]


def test_an_entry_of_another_car_is_refused_with_both(store, tmp_path):
    entry = made(tmp_path, steady(LOOK), car="f1tenth")
    with pytest.raises(BoardError, match="the car f1tenth; season short is for deepracer"):
        evaluate_season(store, SEASON, entry, None)


def test_a_track_that_changed_since_the_season_began_is_refused(store, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nwidth: 0.8\n"
        "control_points: [[0, 0], [4, 0], [6, 2], [4, 4], [0, 4], [-2, 2]]\n"
    )
    season = Season(name="own", tracks=(str(file),), race=SeasonRaceConfig(laps=1, time_limit=2))
    submit(store, "pure-pursuit", season)
    submit(store, "pure-pursuit", season)
    file.write_text(file.read_text().replace("width: 0.8", "width: 0.9"))
    with pytest.raises(BoardError, match="was changed since season own began"):
        submit(store, "pure-pursuit", season)


def test_a_judged_race_can_be_seen_again(store, row):
    season, run, result = resimulate_run(store, row, 1)
    assert (season, run.seed) == (SEASON, 1)
    assert result.lap_times_s == row.runs[1].lap_times_s
    with pytest.raises(BoardError, match="the runs 0 to 1, no 2"):
        resimulate_run(store, row, 2)
