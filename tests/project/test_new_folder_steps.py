"""The steps in a new folder's README are there to be typed."""

import re
import shlex

import pytest

from racer.cli import main
from tests.helpers.boards import package

BRIEF = """
--num-envs 8 --ppo.batch-size 128 --ppo.n-steps 64 --ppo.n-epochs 1 --workers 1
--total-timesteps 512 --evaluation.eval-freq 4096 --evaluation.laps 1 --evaluation.time-limit 2
--evaluation.video-freq 0
"""
"""Options of a training of seconds."""


def typed_commands(kind="sh"):
    """The `racer` commands of the README in this folder, in its order."""
    with open("README.md", encoding="utf-8") as file:
        blocks = re.findall(rf"```{kind}\n(.*?)```", file.read(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("racer ")]


@pytest.mark.slow(minutes=1)
def test_each_step_of_a_car_works_in_its_order(subtests, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["new", "ann"])
    monkeypatch.chdir(tmp_path / "ann")
    commands = typed_commands()
    assert len(commands) == 11
    for command in commands:
        with subtests.test(command=command):
            if command.startswith("racer train"):
                command += BRIEF
            if "--video" in command:
                command += " --size 320x180"
            main(shlex.split(command.replace("--laps 3", "--laps 1"))[1:])
    assert (tmp_path / "ann/ann.entry.zip").is_file()


@pytest.mark.slow
def test_each_step_of_a_class_works_in_its_order(subtests, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["new", "club", "--class", "--names", "ann", "bob"])
    monkeypatch.chdir(tmp_path / "club")
    package(tmp_path / "club/entries/ann.entry.zip", name="first")
    for command in typed_commands():
        with subtests.test(command=command):
            main(shlex.split(command)[1:])
    said = capsys.readouterr().out
    assert "no file of: bob" in said
    assert "season club: 1 entries added" in said
    assert (tmp_path / "club/club.backup").exists()
    assert (tmp_path / "club/pages/index.html").is_file()


def test_what_a_student_types_is_a_folder_of_the_class_s_race(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["new", "club", "--class", "--like", "boxes"])
    monkeypatch.chdir(tmp_path / "club")
    first, *_ = typed_commands("text")
    assert first == "racer new ann --like object_avoidance"
    main(shlex.split(first)[1:])
    assert "object_avoidance" in (tmp_path / "club/ann/car.yaml").read_text()
