"""A run's folder: whole wherever it goes, and nobody's files written over."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import torch

from racer.assets.document import read_document
from racer.cli import main
from racer.entries.package import read_entry
from racer.errors import RunError
from racer.reward import RewardSource
from racer.track import load_track
from racer.training.config import RunConfig
from racer.training.export import export_run
from racer.training.run_dir import Run, refuse_taken
from racer.training.run_history import run_details
from racer.training.train import resume_training, run_training
from racer.training.training_report import write_report
from tests.helpers.runs import CHUNK, QUIET, best_weights, chunked_config

REWARD = (
    "from pathlib import Path\n"
    "from helper import SCALE\n"
    "def reward_function(params):\n"
    "    offset = float((Path(__file__).parent / 'offset.txt').read_text())\n"
    "    line = Path('line.csv').read_text()\n"
    "    return SCALE * params['progress'] + offset + float(line)\n"
)


def save_track(path, name="hairpin"):
    """A shipped track as a DeepRacer .npy."""
    track = load_track(name)
    np.save(path, np.hstack([track.centre, track.left, track.right]))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder as a person has it: a config, a reward that needs files, two tracks of one name."""
    folder = tmp_path / "project"
    (folder / "more").mkdir(parents=True)
    (folder / "mine.py").write_text(REWARD)
    (folder / "helper.py").write_text("SCALE = 0.01\n")
    (folder / "offset.txt").write_text("0.5")
    (folder / "line.csv").write_text("0.25")
    save_track(folder / "lap.npy")
    save_track(folder / "more" / "lap.npy", "oval")
    actions = {"action_space_type": "continuous", "sensor": ["LIDAR"], "version": "5"}
    actions |= {"neural_network": "DEEP_CONVOLUTIONAL_NETWORK", "training_algorithm": "clipped_ppo"}
    space = {"steering_angle": {"high": 20, "low": -20}, "speed": {"high": 2, "low": 1}}
    (folder / "actions.json").write_text(json.dumps(actions | {"action_space": space}))
    tree = chunked_config().model_dump(mode="json") | {
        "track": "lap.npy",
        "reward": "mine.py",
        "actions": "actions.json",
        "total_timesteps": 2 * CHUNK,
    }
    tree["evaluation"]["track"] = ["lap.npy", "more/lap.npy", "oval"]
    (folder / "mine.yaml").write_text(json.dumps(tree))
    monkeypatch.chdir(folder)
    return folder


def stop_after_a_chunk(evaluation):
    return evaluation.steps != CHUNK


@pytest.mark.slow
def test_a_moved_run_goes_on_without_the_files_it_was_made_of(project, tmp_path, monkeypatch):
    config = read_document(project / "mine.yaml", RunConfig)
    assert config.actions.steering_deg == (-20.0, 20.0)
    run_training(config, project / "run", QUIET, callback=stop_after_a_chunk)
    whole = best_weights(run_training(config, project / "whole", QUIET).run)
    moved = tmp_path / "elsewhere" / "moved"
    shutil.move(project / "run", moved)
    reward = (project / "mine.py").read_bytes()
    (project / "mine.py").write_text("1 / 0\n")
    shutil.rmtree(project)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    assert resume_training(moved, QUIET).steps == 2 * CHUNK
    resumed = best_weights(Run.open(moved))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    export_run(moved, tmp_path / "moved.entry.zip", "moved")
    told = read_entry(tmp_path / "moved.entry.zip").manifest.trained_on
    assert told.reward_sha256 == hashlib.sha256(reward).hexdigest()
    assert told.track == "lap"
    assert write_report(moved, tmp_path / "report").is_file()
    main(["runs", "show", str(moved)])
    kept = sorted(path.relative_to(moved).as_posix() for path in moved.rglob("reward/*"))
    names = ["files.json", "helper.py", "line.csv", "mine.py", "offset.txt"]
    assert kept == [f"reward/{name}" for name in names]


def test_the_config_of_a_run_names_its_own_copies_by_relative_paths(project):
    run = Run.create(
        project / "run",
        read_document(project / "mine.yaml", RunConfig),
        RewardSource.read(project / "mine.py"),
        {"helper.py": project / "helper.py"},
    )
    written = run.written_config()
    assert (written.track, written.reward) == (("tracks/lap.npy",), "reward/mine.py")
    assert written.evaluation.track == ("tracks/lap.npy", "tracks/lap-2.npy", "oval")
    assert str(project) not in (run.folder / "config.yaml").read_text()
    config = run.config()
    assert config.track == (str(run.folder / "tracks/lap.npy"),)
    lengths = [load_track(track).length for track in config.evaluation_tracks]
    shipped = [load_track(name).length for name in ("hairpin", "oval", "oval")]
    assert lengths == pytest.approx(shipped, rel=1e-9)


@pytest.mark.slow
def test_a_run_s_config_trains_another_run(project, tmp_path):
    first = run_training(
        read_document(project / "mine.yaml", RunConfig), project / "first", QUIET
    ).run
    shutil.move(first.folder, tmp_path / "first")
    again = read_document(tmp_path / "first" / "config.yaml", RunConfig)
    run_training(again.model_copy(update={"total_timesteps": CHUNK}), tmp_path / "second", QUIET)
    kept = (tmp_path / "second" / "reward" / "helper.py").read_text()
    assert kept == "SCALE = 0.01\n"


def test_a_run_of_before_reads_the_reward_that_it_kept(project):
    run = Run.create(
        project / "run",
        read_document(project / "mine.yaml", RunConfig),
        RewardSource.read(project / "mine.py"),
        {},
    )
    path = run.folder / "config.yaml"
    path.write_text(path.read_text().replace("reward: reward.py", "reward: mine.py"))
    assert run.config().reward == str(run.folder / "reward.py")


@pytest.mark.parametrize("held", ["reward.py", "notes.txt", "run.json", ".hidden", "config.yaml"])
def test_a_folder_that_holds_anything_is_refused_and_left_as_it_is(tmp_path, held):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / held).write_text("mine")
    with pytest.raises(RunError, match=rf"is not empty, it holds {held}"):
        run_training(chunked_config(), folder, QUIET)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {held: "mine"}


@pytest.mark.parametrize("folder", [".", "", "..", "./"])
def test_the_current_folder_and_those_around_it_are_refused(tmp_path, monkeypatch, capsys, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", "state", "--run", folder])
    assert stop.value.code == 2
    assert "is the current folder or a parent of it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a" * 61, "two\nlines", "a" * 300])
def test_a_name_that_no_entry_may_have_is_refused_before_training(tmp_path, name):
    with pytest.raises(RunError, match="up to 60 printable characters"):
        run_training(chunked_config(), tmp_path / name, QUIET)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    refuse_taken(tmp_path / "empty")


def test_runs_that_begin_in_one_second_get_folders_of_their_own(project, monkeypatch):
    class Frozen:
        @staticmethod
        def now():
            from datetime import datetime

            return datetime(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr("racer.training.run_dir.datetime", Frozen)
    config, reward = (
        read_document(project / "mine.yaml", RunConfig),
        RewardSource.read(project / "mine.py"),
    )
    runs = [Run.create(None, config, reward, {}, "mine").folder for _ in range(3)]
    name = "mine-20260102-030405"
    assert [run.as_posix() for run in runs] == [
        f"runs/{one}" for one in (name, f"{name}-2", f"{name}-3")
    ]


def test_two_runs_cannot_begin_in_one_folder(project):
    folder, config = project / "run", read_document(project / "mine.yaml", RunConfig)
    folder.mkdir()
    os.close(os.open(folder / "lock", os.O_CREAT | os.O_EXCL | os.O_RDWR))
    with pytest.raises(RunError, match="is not empty, it holds lock"):
        Run.create(folder, config, RewardSource.read(project / "mine.py"), {})


def test_a_run_is_told_apart_from_the_defaults_by_the_reward_that_was_asked_for(project):
    config = read_document(project / "mine.yaml", RunConfig)
    for name, reward in (("own", "mine.py"), ("default", "progress")):
        asked = config.model_copy(update={"reward": reward})
        Run.create(project / name, asked, RewardSource.find(reward), {}, "mine")
    assert run_details(Run.open(project / "own"))["differences"]["reward"] == "mine.py"
    assert "reward" not in run_details(Run.open(project / "default"))["differences"]
