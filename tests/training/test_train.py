"""Short real runs: what they leave behind, how they end, and that a seed repeats them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from stable_baselines3 import PPO
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from racer.cli.train import STOPPED_EXIT_CODE
from racer.entries.entry_check import check_entry
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError, RewardError, RunError
from racer.evaluation import (
    Driver,
    evaluate_alone,
    evaluate_drivers,
    evaluate_entries,
    make_race_rules,
    race_of_training,
)
from racer.randomisation import NO_RANDOMISATION
from racer.reward.timeout import timeout_after
from racer.training.export import entry_of_run, export_run
from racer.training.int8_export import export_int8
from racer.training.learner import build_learner
from racer.training.run_dir import Run
from racer.training.train import run_training
from racer.training.vec_env import CarsVecEnv
from tests.helpers.runs import QUIET, SMALL, best_weights, config


def test_a_run_leaves_config_checkpoints_evaluations_and_events(tmp_path):
    result = run_training(config(), tmp_path / "run", QUIET)
    run = Run.open(tmp_path / "run")
    assert run.written_config() == config(reward="reward.py")
    assert "def reward_function" in (run.folder / "reward.py").read_text()
    assert [path.name for path in sorted(run.checkpoints.iterdir())] == [
        "step-1024.pt",
        "step-2048.pt",
    ]
    lines = (run.folder / "evaluations.jsonl").read_text().splitlines()
    assert [json.loads(line)["steps"] for line in lines] == [1024, 2048]
    assert result.best is not None
    best = json.loads((run.folder / "best.json").read_text())
    assert best["result"] == result.best.as_dict()

    events = EventAccumulator(str(run.folder)).Reload()
    scalars = set(events.Tags()["scalars"])
    assert {
        "drive/completion",
        "drive/reward",
        "eval/mean_ep_length",
        "eval/mean_reward",
        "judge/laps_completed",
        "time/steps_per_s",
        "train/approx_kl",
    } <= scalars
    assert "judge/driven_line" in events.Tags()["images"]
    assert "config/text_summary" in events.Tags()["tensors"]


@pytest.mark.parametrize("randomised", [False, True])
def test_each_race_of_an_evaluation_is_the_one_that_its_seed_gives_alone(tmp_path, randomised):
    rules = {"eval_freq": 1024, "laps": 1, "time_limit": 3.0, "races": 3, "video_freq": 0}
    rules["randomised"] = randomised
    chosen = config(
        total_timesteps=1024,
        race={"kind": "object_avoidance"},
        randomisation={"motor": [0.3, 2.0], "speed_gain": [0.6, 1.4]},
        evaluation=rules,
        seed=5,
    )
    run = run_training(chosen, tmp_path / "run", QUIET).run
    (record,) = run.records("evaluations")
    races = [record, *record["others"]]
    assert [one["seed"] for one in races] == [5, 6, 7]
    driver = Driver(OnnxPolicy(entry_of_run(run.folder)), chosen.sensor, chosen.actions)
    like = make_race_rules(1, time_limit=3.0, like=chosen.race)
    draws = chosen.randomisation if randomised else NO_RANDOMISATION
    for one in races:
        again = "bowtie", like, one["seed"], chosen.car
        (alone,) = evaluate_drivers([driver], *again, randomisation=draws)
        assert alone.distance == pytest.approx(one["distance_m"], abs=1e-3)
        plain = evaluate_alone(*driver, *again[:3])
        assert (abs(plain.distance - one["distance_m"]) > 0.01) == randomised


@pytest.mark.slow
def test_the_same_seed_learns_the_same_weights(tmp_path):
    runs = []
    for name in ("a", "b"):
        run_training(config(), tmp_path / name, QUIET)
        runs.append(best_weights(Run.open(tmp_path / name)))
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param(
            {"sensor": {"kind": "camera", "width": 80, "height": 60}}, marks=pytest.mark.ci
        ),
        {"sensor": {"kind": "lidar"}, "race": {"kind": "object_avoidance", "walls": True}},
    ],
    ids=["state", "camera", "lidar"],
)
def test_every_engine_learns_the_same_weights(tmp_path, changes):
    runs = []
    for engine in ("auto", "bullet"):
        run_training(config(engine=engine, **changes), tmp_path / engine, QUIET)
        runs.append(best_weights(Run.open(tmp_path / engine)))
    assert len(runs[0]) == len(runs[1]) > 4
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path):
    for name in ("config.yaml", "run.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(RunError, match="already holds a run"):
        run_training(config(), tmp_path, QUIET)
    assert (tmp_path / "config.yaml").read_text() == "{}"


@pytest.mark.slow
def test_a_reward_that_raises_stops_the_run_with_a_checkpoint(tmp_path):
    reward = tmp_path / "bad.py"
    reward.write_text(
        "def reward_function(params):\n"
        "    if params['steps'] > 5:\n"
        "        return 1 / 0\n"
        "    return 1.0\n"
    )
    with pytest.raises(RewardError, match=r"bad\.py:3.*ZeroDivisionError"):
        run_training(config(reward=str(reward)), tmp_path / "run", QUIET)
    assert list((tmp_path / "run" / "checkpoints").glob("step-*.pt"))


@pytest.mark.ci
@pytest.mark.slow
def test_sigint_saves_and_ends_the_run(tmp_path):
    folder = tmp_path / "run"
    file = tmp_path / "long.yaml"
    file.write_text(
        json.dumps(SMALL | {"total_timesteps": 10_000_000, "evaluation": {"eval_freq": 10_000_000}})
    )
    words = [sys.executable, "-m", "racer.cli", "train", str(file), "--run", str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    started = time.monotonic()
    while not any(Path(folder).glob("events.*")):
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() - started < 300
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == STOPPED_EXIT_CODE, output
    assert "it was stopped" in output
    assert f"racer train --resume {folder}" in output
    assert Run.open(folder).best().is_file()
    assert Run.open(folder).story()["ended"] == "stopped"


def test_a_policy_with_discrete_actions_trains(tmp_path):
    grid = {"kind": "discrete", "choices": ((-30, 1.0), (0, 1.5), (30, 1.0))}
    result = run_training(config(actions=grid, total_timesteps=512), tmp_path / "run", QUIET)
    assert result.best is not None
    assert len(result.best.time) > 5


@pytest.mark.parametrize(
    ("actions", "preset"),
    [
        pytest.param("continuous", "small", marks=pytest.mark.slow),
        pytest.param("discrete", "small", marks=pytest.mark.slow),
        pytest.param("continuous", "deep", marks=pytest.mark.slow),
    ],
)
def test_a_policy_of_camera_and_lidar_trains_exports_and_races(tmp_path, actions, preset):
    sensors = [{"kind": "camera", "width": 32, "height": 24}, {"kind": "lidar", "beams": 8}]
    several = config(
        sensor=sensors,
        actions=actions,
        race={"kind": "object_avoidance", "walls": True},
        total_timesteps=64,
        ppo={"n_steps": 8, "batch_size": 32, "n_epochs": 1, "value_loss": "huber"},
        network={"preset": preset, "filters": [[4, 4, 2]], "features": 16, "mlp": [8]},
        evaluation={"eval_freq": 64, "laps": 1, "time_limit": 2.0},
    )
    run_training(several, tmp_path / "run", QUIET)
    export_run(tmp_path / "run", tmp_path / "both.entry.zip", "both")
    entry = read_entry(tmp_path / "both.entry.zip")
    assert [sensor.name for sensor in entry.manifest.sensor] == ["camera", "lidar"]
    home = race_of_training(entry)
    assert (home.kind, home.walls) == ("object_avoidance", True)
    raced = evaluate_entries([entry], "bowtie", make_race_rules(1, 3.0, 2.0, like=home))[0]
    told = json.loads((tmp_path / "run" / "best.json").read_text())["result"]
    assert raced.distance == pytest.approx(told["distance_m"], abs=1e-3)

    float32, int8 = export_int8(tmp_path / "run", tmp_path / "int8.entry.zip", "both")
    assert float32.entry.policy == entry.policy
    assert float32.result.distance == raced.distance
    small = read_entry(tmp_path / "int8.entry.zip")
    assert check_entry(small).entry.policy == int8.entry.policy
    again = evaluate_entries([small], "bowtie", make_race_rules(1, 3.0, 2.0, like=home))[0]
    assert again.actions.tobytes() == int8.result.actions.tobytes()
    assert len(small.policy) < len(entry.policy)


def test_the_huber_loss_s_gradient_is_torch_s():
    env = CarsVecEnv(RacerVectorEnv(4, sensor="state"))
    small = {"n_steps": 2, "batch_size": 8, "vf_coef": 0.3, "value_loss": "huber"}
    model = build_learner(config(num_envs=4, ppo=small), env)
    assert isinstance(model, PPO)
    seen = torch.as_tensor(env.reset())
    env.close()
    wanted = torch.tensor([-7.0, -0.4, 0.3, 9.0])

    def gradients(loss, values):
        model.policy.zero_grad()
        (0.3 * loss(values.flatten(), wanted)).backward()
        found = model.policy.value_net.weight.grad
        assert found is not None
        return found.clone()

    square = torch.nn.functional.mse_loss
    learnt, _, _ = model.policy.evaluate_actions(seen, torch.zeros(4, 2))
    mine = gradients(square, learnt)
    assert torch.allclose(
        mine, gradients(torch.nn.functional.huber_loss, model.policy.predict_values(seen))
    )
    assert not torch.allclose(mine, gradients(square, model.policy.predict_values(seen)))


def test_a_frame_too_small_for_the_filters_is_refused(tmp_path):
    tiny = {"kind": "camera", "width": 20, "height": 12}
    with pytest.raises(ConfigError, match="20x12 frame is too small"):
        run_training(config(sensor=tiny), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


def test_a_reward_that_hangs_stops_the_run_with_a_checkpoint_and_its_line(tmp_path, monkeypatch):
    name = "racer.reward.reward_file.timeout_after"
    monkeypatch.setattr(name, lambda seconds: timeout_after(0.3))
    reward = tmp_path / "slow.py"
    reward.write_text(
        "def reward_function(params):\n"
        "    while params['steps'] > 5:\n"
        "        pass\n"
        "    return 1.0\n"
    )
    with pytest.raises(RewardError, match=r"slow\.py:[23]: still running after"):
        run_training(config(reward=str(reward)), tmp_path / "run", QUIET)
    assert list((tmp_path / "run" / "checkpoints").glob("step-*.pt"))


@pytest.mark.slow
def test_every_second_evaluation_is_filmed_if_asked_for(tmp_path, monkeypatch):
    filmed = []
    monkeypatch.setattr(
        "racer.training.lap_video.write_race_video",
        lambda path, *race, **rest: filmed.append((path.name, race)),
    )
    rules = {"eval_freq": 512, "laps": 1, "time_limit": 3.0, "video_freq": 2}
    run_training(config(evaluation=rules), tmp_path / "run", QUIET)
    assert [name for name, _ in filmed] == ["step-1024.mp4", "step-2048.mp4"]
    _, (result,), rules, names = filmed[0][1]
    assert (len(result.body), rules.laps, names) == (45, 1, ["run"])
