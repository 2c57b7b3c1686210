"""The logs, as the public tools split them."""

import csv
import json

import pytest

from racer.assets.document import validate_document
from racer.deepracer.sim_trace import TRACE_HEADER, SimTrace, TraceStep
from racer.training.config import RunConfig
from racer.training.train import run_training
from tests.helpers.runs import QUIET, config

pytestmark = pytest.mark.slow
GRID = {"kind": "discrete", "choices": [[-30, 1.0], [0, 1.5], [30, 1.0]]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    run = tmp_path_factory.mktemp("logs") / "run"
    fields = {
        "sensor": "state",
        "actions": GRID,
        "num_envs": 8,
        "total_timesteps": 1600,
        "network": {"hidden": [16]},
        "ppo": {"n_steps": 100, "batch_size": 400, "n_epochs": 1},
        "evaluation": {"eval_freq": 800, "laps": 1, "time_limit": 4.0},
        "device": "cpu",
        "torch_threads": 1,
    }
    quiet = QUIET
    run_training(validate_document(fields, RunConfig, "test"), run, quiet, deepracer_logs=True)
    return run / "deepracer"


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_line_has_the_format_of_the_public_simulation():
    step = TraceStep(
        steps=7, x=1.23456, y=-2.0, yaw_deg=12.34567, steering_deg=-15.0, speed=1.5,
        action=3, reward=0.25, is_done=False, all_wheels_on_track=True, progress=3.21,
        closest_waypoint=5, track_length=16.6412, time=0.5, status="in_progress",
    )  # fmt: skip
    assert step.line(2, 99.0) == (
        "2,7,1.2346,-2.0000,12.3457,-15.00,1.50,3,0.2500,False,True,3.2100,5,16.64,0.500,"
        "in_progress,0.00,0,99.0000"
    )
    assert ",[-15 1.5]," in step._replace(action=(-15.0, 1.5)).line(0, 0.0)


def test_each_training_episode_begins_prepared_counts_its_steps_and_ends_once(folder):
    files = sorted(folder.glob("training-simtrace/*-iteration.csv"))
    assert files
    seen = [row for file in files for row in rows(file)]
    assert ",".join(seen[0]) == TRACE_HEADER
    episodes = {}
    for row in seen:
        episodes.setdefault(int(row["episode"]), []).append(row)
    assert sorted(episodes) == list(range(len(episodes)))
    for steps in episodes.values():
        assert [int(row["steps"]) for row in steps] == list(range(1, len(steps) + 1))
        assert [row["done"] for row in steps] == ["False"] * (len(steps) - 1) + ["True"]
        assert steps[-1]["episode_status"] == "off_track"
        assert [row["episode_status"] == "prepare" for row in steps[:2]] == [True, False]
        clock = [float(row["tstamp"]) for row in steps]
        assert clock[-1] - clock[0] == pytest.approx((len(steps) - 1) / 15, abs=0.002)
        pair = GRID["choices"][int(steps[0]["action"])]
        assert [float(steps[0]["steer"]), float(steps[0]["throttle"])] == pair


def test_an_iteration_holds_twenty_episodes(tmp_path):
    step = TraceStep(1, 0, 0, 0, 0, 1, 0, 1, True, True, 9.9, 0, 10, 1, "off_track")
    log = SimTrace(tmp_path, "training")
    for _ in range(41):
        log.episode([step])
    log.close()
    counts = [len(rows(tmp_path / f"training-simtrace/{n}-iteration.csv")) for n in range(3)]
    assert counts == [40, 40, 2], "two lines for an episode of one step"
    metrics = json.loads((tmp_path / "metrics/TrainingMetrics.json").read_text())
    assert [one["trial"] for one in metrics["metrics"]] == [*range(1, 21), *range(1, 21), 1]


def test_the_simulation_log_has_the_same_lines_and_says_what_was_trained(folder):
    text = (folder / "logs/training/racer-robomaker.log").read_text()
    traced = [line for line in text.splitlines() if line.startswith("SIM_TRACE_LOG:")]
    in_files = sum(len(rows(file)) for file in folder.glob("training-simtrace/*"))
    assert len(traced) == in_files
    assert all(len(line.split(",")) == 19 for line in traced)
    settings = text.split("hyper-parameters\n")[1]
    assert json.loads(settings[: settings.index("}") + 1])["batch_size"] == 400
    metadata = json.loads((folder / "model/model_metadata.json").read_text())
    assert metadata["action_space"][2] == {"steering_angle": 30.0, "speed": 1.0, "index": 2}


def test_each_evaluation_has_its_file_with_rewards_and_metrics(folder):
    assert {file.name for file in folder.glob("evaluation-simtrace/*")} == {
        "0-iteration.csv",
        "1-iteration.csv",
    }
    steps = rows(folder / "evaluation-simtrace/0-iteration.csv")
    assert any(float(row["reward"]) > 0 for row in steps)
    metrics = json.loads((folder / "metrics/EvaluationMetrics.json").read_text())
    record = metrics["metrics"][0]
    assert metrics["version"] == 2.0
    faults = sum(row["episode_status"] == "off_track" for row in steps)
    assert record["off_track_count"] == faults
    assert record["reset_count"] >= faults


def test_a_run_without_the_option_writes_none_of_it(tmp_path):
    run_training(config(total_timesteps=512), tmp_path / "run", QUIET)
    assert not (tmp_path / "run" / "deepracer").exists()
