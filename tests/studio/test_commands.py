"""The commands that the studio starts."""

import sys
import time

import pytest

from racer.errors import StudioError
from racer.studio import commands
from racer.studio.commands import TrainingCommands, run_command

ECHO = "import sys; print('racer: no', *sys.argv[1:], file=sys.stderr); sys.exit({code})"


@pytest.fixture
def end_with(monkeypatch):
    """Let every command print its words as an error and end with a code."""

    def set_code(code):
        words = (sys.executable, "-c", ECHO.format(code=code))
        monkeypatch.setattr(commands, "RACER", words)

    return set_code


def wait(trainings, folder):
    until = time.monotonic() + 60.0
    while trainings.is_alive(folder):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_a_training_says_that_fails_is_kept(end_with, tmp_path):
    end_with(2)
    trainings = TrainingCommands()
    assert trainings.failure(tmp_path) == ""
    trainings.resume(tmp_path, 5000)
    wait(trainings, tmp_path)
    said = f"no train --resume {tmp_path} --quiet --total-timesteps 5000"
    assert trainings.failure(tmp_path) == trainings.failure(tmp_path) == said


@pytest.mark.parametrize("code", [0, 3])
def test_a_training_that_is_done_or_stopped_has_not_failed(end_with, tmp_path, code):
    end_with(code)
    trainings = TrainingCommands()
    trainings.resume(tmp_path)
    wait(trainings, tmp_path)
    assert trainings.failure(tmp_path) == ""


def test_a_run_is_not_started_twice(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "RACER", (sys.executable, "-c", "input()"))
    trainings = TrainingCommands()
    monkeypatch.setattr(trainings, "is_alive", lambda folder: True)
    with pytest.raises(StudioError, match="has been started already"):
        trainings.resume(tmp_path)


def test_a_command_that_fails_is_an_error_with_its_words(end_with):
    end_with(0)
    run_command(["export"])
    end_with(2)
    with pytest.raises(StudioError, match=r"^no export$"):
        run_command(["export"])


def test_a_new_run_is_trained_from_its_files_and_with_its_parent_s_weights(end_with, tmp_path):
    end_with(2)
    trainings, folder = TrainingCommands(), tmp_path / "new"
    trainings.train(tmp_path / "new.yaml", folder)
    wait(trainings, folder)
    said = f"no train {tmp_path / 'new.yaml'} --run {folder} --quiet"
    assert trainings.failure(folder) == said
    trainings.train(tmp_path / "new.yaml", folder, tmp_path / "first")
    wait(trainings, folder)
    assert trainings.failure(folder) == f"{said} --from {tmp_path / 'first'}"
