"""What `racer runs` and `racer watch` tell of runs."""

import json
import shutil
import socket
import sys

import pytest

from racer.cli import main
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.run_history import config_differences
from racer.training.train import run_training
from tests.helpers.commands import printed
from tests.helpers.runs import QUIET, config


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with one run."""
    folder = tmp_path_factory.mktemp("runs")
    short = {"total_timesteps": 256, "evaluation": {"eval_freq": 128, "laps": 1, "time_limit": 2.0}}
    ppo = {"n_steps": 16, "batch_size": 64, "n_epochs": 1}
    run_training(config(**short, ppo=ppo), folder / "small-1", QUIET, name="small")
    return folder


@pytest.fixture
def runs(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs")


def test_a_finished_run_is_listed_with_what_it_came_to(runs, capsys):
    (one,) = printed(capsys, "runs", "list", "--folder", runs, "--json")
    best = json.loads((runs / "small-1" / "best.json").read_text())["result"]
    assert (one["config"], one["state"], one["is_resumable"]) == ("small", "finished", False)
    assert (one["steps"], one["wanted"]) == (256, 256)
    assert [one["laps_completed"], one["laps"]] == [best["laps_completed"], 1]


@pytest.mark.parametrize("how", ["stopped", "stopped by callback", "failed", "out of time", None])
def test_a_run_that_did_not_finish_is_listed_with_why(runs, capsys, how):
    run = Run.open(runs / "small-1")
    run.saved.rewind(128)
    run.mark_ended(how, "a reason" if how == "failed" else "")
    (one,) = printed(capsys, "runs", "list", "--folder", runs, "--json")
    assert one["state"] == (how or "interrupted")
    assert one["is_resumable"]
    assert one["steps"] == 128
    assert one["error"] == ("a reason" if how == "failed" else None)
    with run.locked():
        (one,) = printed(capsys, "runs", "list", "--folder", runs, "--json")
    assert (one["state"], one["is_resumable"]) == ("running", False)


def test_one_run_that_cannot_be_read_hides_no_other(runs, capsys):
    (runs / "bad").mkdir()
    (runs / "bad" / "config.yaml").write_text("stepz: 1\n")
    main(["runs", "list", "--folder", str(runs)])
    told = capsys.readouterr().out
    assert "small-1" in told
    assert "unreadable" in told
    assert "unknown key 'stepz'" in told


def test_a_run_shows_its_differences_checkpoints_and_evaluations(runs, capsys):
    one = printed(capsys, "runs", "show", runs / "small-1", "--json")
    assert one["differences"]["num_envs"] == 8
    assert one["differences"]["ppo.n_steps"] == 16
    assert "ppo.gamma" not in one["differences"]
    assert [saved["steps"] for saved in one["checkpoints"]] == [128, 256]
    assert sum(saved["is_best"] for saved in one["checkpoints"]) == 1
    assert [found["steps"] for found in one["evaluations"]] == [128, 256]
    main(["runs", "show", str(runs / "small-1")])
    assert "ppo.n_steps: 16" in capsys.readouterr().out


def test_the_defaults_differ_in_nothing():
    assert config_differences(RunConfig()) == {}


def test_watching_starts_tensorboard_for_this_machine_alone(runs, monkeypatch, capsys):
    started = []

    class Done:
        returncode = 0

    def start(words, **kwargs):
        started.append(words)
        return Done()

    monkeypatch.setattr("subprocess.run", start)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    main(["watch", str(runs / "small-1"), "--port", str(port)])
    assert f"http://127.0.0.1:{port}/" in capsys.readouterr().out
    (words,) = started
    assert words[:3] == [sys.executable, "-m", "tensorboard.main"]
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--logdir") + 1] == str(runs / "small-1")


def test_a_taken_port_and_a_folder_without_events_are_refused(runs, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SystemExit):
            main(["watch", str(runs), "--port", str(taken.getsockname()[1])])
    assert "choose another with --port" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit):
        main(["watch", str(tmp_path / "empty")])
    assert "nothing to watch there yet" in capsys.readouterr().err
