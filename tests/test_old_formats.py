"""What racer 0.1.0 wrote is read by this racer; see `fixtures/v1/README.md`.

The files are used as a person would, by the command line and racer's own functions.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import racer
from racer.cli import main

OLD = Path(__file__).parent / "fixtures" / "v1"
CLOSE = 0.1
"""How far a lap time may lie from the kept one [s] on another machine, as the board has it."""
KEY = "1622f996b24d678ec2e465f7ba9078da6b9ad211d99c92cc4cea67ad4e2b4e23"
HEAD = "33329f882dffaea0a87d124f31d658647bdb85354e14738eb8ad6bb90572d598"
RENAMED = {
    "cars": "num_envs",
    "steps": "total_timesteps",
    "threads": "torch_threads",
    "ppo.scale_rewards": "ppo.normalize_reward",
    "network.vectors": "network.mlp",
    "network.normalise": "network.batch_norm",
    "network.standardise": "network.normalize_obs",
    "evaluation.every": "evaluation.eval_freq",
    "evaluation.film": "evaluation.video_freq",
}
"""What a config's dotted name of then is called in a resolved config now."""


@pytest.fixture(autouse=True)
def old(tmp_path, monkeypatch):
    """A copy of the old files, where the command line works on the old board."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "old" / "board"))
    monkeypatch.setenv("RACER_SECRETS", str(tmp_path / "secrets"))


@pytest.fixture
def say(capsys):
    def run(*words):
        main([str(word) for word in words])
        return capsys.readouterr().out

    return run


@pytest.fixture
def tell(say):
    def run(*words):
        return json.loads(say(*words, "--json"))

    return run


@pytest.fixture
def refuse(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        assert stop.value.code == 2
        return capsys.readouterr().err

    return run


def flat(tree, at=""):
    """A config's values by their dotted names."""
    if not isinstance(tree, dict):
        return {at: tree}
    found = {}
    for key, value in tree.items():
        found |= flat(value, f"{at}.{key}" if at else key)
    return found


# Configs


def test_every_old_key_of_a_config_means_what_it_meant():
    run = racer.train("configs/every-key.yaml", "run")
    now = flat(yaml.safe_load((run.folder / "config.yaml").read_text(encoding="utf-8")))
    then = flat(json.loads(Path("configs/every-key.json").read_text(encoding="utf-8")))
    then |= {"reward": "reward.py"}  # the run's own copy
    then |= {"engine": "auto", "compile": True, "algorithm": "ppo", "evaluation.races": 1}  # later
    then |= {
        "simulator": "auto",
        "evaluation.randomised": False,
        "torch_autocast": False,
        "torch_compile": False,
    }  # later still
    assert now == {RENAMED.get(key, key): value for key, value in then.items()}


# Runs


def test_old_runs_are_listed_and_shown(tell):
    runs = {Path(one["run"]).name: one for one in tell("runs", "list")}
    states = {name: (one["state"], one["steps"], one["wanted"]) for name, one in runs.items()}
    assert states == {"state": ("finished", 20_480, 20_480), "stopped": ("stopped", 520, 1024)}
    assert [name for name, one in runs.items() if one["is_resumable"]] == ["stopped"]
    shown = tell("runs", "show", "runs/state")
    assert shown["config"] == "state"
    assert (shown["seed"], shown["laps_completed"], shown["laps"]) == (3, 2, 2)
    assert shown["best_lap_s"] == 11.886296849655222
    assert [one["is_best"] for one in shown["checkpoints"]] == [True]
    stopped = tell("runs", "show", "runs/stopped")
    assert [one["steps"] for one in stopped["evaluations"]] == [512, 520]


@pytest.mark.slow
def test_an_old_run_that_was_stopped_is_resumed_to_its_end(say, tell):
    before = tell("runs", "show", "runs/stopped")
    said = say("train", "--resume", "runs/stopped")
    assert "best: 0 of 1 laps" in said
    after = tell("runs", "show", "runs/stopped")
    assert (after["state"], after["steps"]) == ("finished", 1024)
    assert [one["steps"] for one in after["evaluations"]] == [512, 1024]
    assert after["evaluations"][0] == before["evaluations"][0]
    assert after["differences"] == before["differences"]
    saved = {one["steps"]: one["sha256"] for one in after["checkpoints"]}
    assert saved[512] == before["checkpoints"][0]["sha256"]


@pytest.mark.slow
@pytest.mark.ci
def test_the_policy_of_an_old_run_is_exported_as_it_was(say, tell):
    say("export", "runs/state", "--out", "again.entry.zip", "--name", "ann")
    then = racer.drive("entries/state.entry.zip", track="oval", laps=1)
    now = racer.drive("again.entry.zip", track="oval", laps=1)
    assert now.lap_times_s == pytest.approx(then.lap_times_s, abs=CLOSE)
    checked = tell("board", "check", "again.entry.zip")
    assert (checked["code"], checked["name"], checked["signer"]) == ("ok", "ann", None)


def test_the_policy_of_an_old_run_learns_on_elsewhere():
    model = racer.to_sb3("runs/state")
    assert model.num_timesteps == 20_480
    action, _ = model.predict(np.zeros((1, 26), dtype=np.float32), deterministic=True)
    assert action.shape == (1, 2)
    assert racer.to_sb3("runs/stopped", checkpoint=520).num_timesteps == 520


def test_an_old_runs_line_gives_actions(say):
    assert "4 actions" in say("actions", "--like", "runs/state", "--count", "4")


@pytest.mark.slow
def test_an_old_run_is_reported_and_described(say):
    say("analyze", "runs/state")
    say("card", "runs/state", "--out", "card.md")
    assert Path("card.md").read_text(encoding="utf-8").startswith("---")


@pytest.mark.slow
def test_the_config_of_an_old_run_trains_anew(say, tell):
    say("train", "runs/stopped/config.yaml", "--run", "anew")
    assert tell("runs", "show", "anew")["state"] == "finished"


# Entries

ENTRIES = {
    "state": ("ann", ["state"], "continuous", None, None),
    "state-signed": ("ann", ["state"], "continuous", None, KEY),
    "state-int8": ("state-int8", ["state"], "continuous", "int8", None),
    "camera": ("bob", ["camera"], "discrete", None, None),
    "lidar": ("stopped", ["lidar", "state"], "continuous", None, None),
}
RACES = {
    "state": ("bowtie", [12.05024791868341, 11.886296847530684]),
    "state-int8": ("bowtie", [12.064418490140527, 11.891711740415777]),
    "camera": ("oval", [10.150806189286886, 9.870511712712624]),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_old_entry_is_what_it_was(name, tell):
    found = tell("board", "check", f"entries/{name}.entry.zip")
    keys = ("name", "sensors", "actions", "quantization", "signer")
    assert found["code"] == "ok"
    assert tuple(found[key] for key in keys) == ENTRIES[name]


@pytest.mark.parametrize("name", RACES)
def test_an_old_entry_drives_its_laps(name, tell):
    track, times = RACES[name]
    found = tell("race", f"entries/{name}.entry.zip", "--laps", 2)
    assert (found["track"], found["laps_completed"], found["resets"]) == (track, 2, 0)
    assert found["lap_times_s"] == pytest.approx(times, abs=CLOSE)


def test_an_old_entry_of_two_sensors_races_among_boxes(tell):
    found = tell("race", "entries/lidar.entry.zip", "--laps", 1)
    assert (found["track"], found["laps_completed"]) == ("oval", 0)
    assert found["collisions"] > 0


# Seasons

DIGESTS = {
    "flat": "6e10c1e9bc3064be76292d01fb4c16cc9e394cf5ebc9dae7f82d384324e012a3",
    "short": "d5026bef1d9e8dd13006fa1d6bf7818d8463f99f2450646ef5459bdd77ddf33e",
    "drawn": "216734c82dbf231b81017e5abbbb516a2a282e300bc1e32b5139eb68bcf06093",
}
RUNS = {
    "flat": [("oval", "forward", 0), ("bowtie", "forward", 0)],
    "short": [("oval", "forward", 7)],
    "drawn": [("generated:885430506", "forward", 1452233915)],
}


@pytest.mark.parametrize("name", DIGESTS)
def test_an_old_season_is_the_same_season(name, tell):
    shown = tell("board", "season", "show", f"seasons/{name}.yaml")
    assert shown["digest"] == DIGESTS[name]
    assert [(one["track"], one["direction"], one["seed"]) for one in shown["runs"]] == RUNS[name]


# Boards

STANDING = [
    (1, 3, "raceline", [4.4116074048520995, 4.85908116404205]),
    (2, 2, "bob", [10.150806189286886, 11.434209805785985]),
    (3, 1, "ann", [10.845508149109959, 12.05024791868341]),
    (3, 4, "ann", [10.845508149109959, 12.05024791868341]),
]


def standing(rows):
    return [(row["rank"], row["id"], row["name"], row["lap_times_s"]) for row in rows]


def test_an_old_board_ranks_as_it_did(tell, say):
    rows = tell("board", "show", "--season", "seasons/flat.yaml")
    assert standing(rows) == STANDING
    assert [row["signer"] for row in rows] == ["", "", "", KEY]
    assert [row["disputes"] for row in rows] == [[], ["which car?"], [], []]
    (drawn,) = tell("board", "show", "--season", "seasons/drawn.yaml")
    assert (drawn["id"], drawn["iqm_s"]) == (9, 17.60591969571678)
    assert say("board", "chain", "--head", HEAD) == f"10 records, head {HEAD}\n"
    kinds = {one["id"]: one["kind"] for one in tell("board", "history", "")}
    assert kinds == {8: "opening", 10: "reveal"}


@pytest.mark.needs("pybullet")
def test_the_races_of_an_old_board_are_simulated_again(tell):
    found = tell("board", "verify", "--all", "--no-policy")
    assert found["chain"] == "holds"
    said = {one["simulated"]["text"] for one in found["runs"]}
    assert len(found["runs"]) == 11
    assert said <= {"bit-exact", "within tolerance (another platform)"}


@pytest.mark.slow
def test_an_entry_of_an_old_board_is_judged_as_it_was(tell):
    entry, season = "entries/camera.entry.zip", "seasons/flat.yaml"
    row = tell("board", "submit", entry, "--season", season, "--name", "bob again")
    assert (row["id"], row["name"]) == (11, "bob again")
    assert row["entry_sha256"].startswith("a1e8adc5296c")
    assert row["lap_times_s"] == pytest.approx(STANDING[1][3], abs=CLOSE)


@pytest.mark.slow
@pytest.mark.ci
def test_an_old_board_takes_a_new_submission(tell, say):
    row = tell("board", "submit", "raceline", "--season", "seasons/flat.yaml", "--name", "late")
    assert row["id"] == 11
    assert row["rank"] in (1, 2), "its last digit decides, which processors differ in"
    assert row["lap_times_s"] == pytest.approx(STANDING[0][3], abs=CLOSE)
    rows = tell("board", "show", "--season", "seasons/flat.yaml")
    assert sorted(row["id"] for row in rows) == [1, 2, 3, 4, 11]
    assert say("board", "chain", "--head", HEAD).startswith("11 records")


def test_a_season_that_was_revealed_then_is_closed_now(refuse):
    assert "drawn is closed" in refuse(
        "board", "submit", "raceline", "--season", "seasons/drawn.yaml"
    )


def test_an_old_backup_becomes_a_board(say, tell, monkeypatch):
    monkeypatch.setenv("RACER_BOARD", "restored")
    assert "6 submissions" in say("board", "restore", "board.backup")
    assert standing(tell("board", "show", "--season", "seasons/flat.yaml")) == STANDING
    assert tell("board", "chain")["head"] == HEAD


@pytest.mark.slow
def test_an_old_board_has_pages(say):
    say("board", "page", "--out", "pages")
    assert "raceline" in Path("pages/index.html").read_text(encoding="utf-8")


# Tracks


def test_an_old_track_has_the_shape_it_had(tell):
    shown = tell("tracks", "show", "tracks/loop.yaml")
    assert (shown["name"], shown["direction"]) == ("generated:5", "clockwise")
    assert shown["length_m"] == pytest.approx(19.98831577925344, rel=1e-6)
    assert shown["width_m"] == pytest.approx([1.29, 1.29], rel=1e-6)
