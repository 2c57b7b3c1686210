"""What a training says without a terminal, and that nothing which it says can end it."""

import io
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from racer.cli import main
from racer.cli.train import STOPPED_EXIT_CODE
from racer.training.shared_output import shared_output
from racer.training.train import run_training
from racer.training.training_log import TrainingLog, format_duration
from tests.helpers.runs import chunked_config

SHORT = ("--num-envs", "8", "--ppo.batch-size", "128", "--evaluation.video-freq", "0")
SHORT += ("--evaluation.time-limit", "1", "--evaluation.laps", "1")
LINE = re.compile(
    r"512 of 1,024 steps, [\d,]+ steps/s, 0 of 1 laps(, [\d.]+ x the limit)?, \d+ s left"
)


def plain():
    return Console(file=io.StringIO(), width=60)


def test_each_evaluation_is_one_plain_line_and_all_are_kept(tmp_path):
    console, log = plain(), tmp_path / "more.log"
    log.write_text("before\n")
    run_training(chunked_config(), tmp_path / "run", console, log=log)
    lines = console.file.getvalue().splitlines()  # pyright: ignore[reportAttributeAccessIssue]
    assert LINE.fullmatch(lines[1]), lines[1]
    assert len(lines) == 5
    assert lines[4] == "finished after 1,024 steps"
    kept = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", one) for one in kept] == lines
    assert log.read_text().splitlines() == ["before", *kept]


@pytest.mark.slow
def test_a_quiet_training_says_nothing(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = (
        "--run",
        "run",
        "--quiet",
        "--log",
        "log.txt",
        "--total-timesteps",
        "512",
        "--workers",
        "1",
    )
    main(["train", "state", *SHORT, *words])
    assert capfd.readouterr() == ("", "")
    assert "finished after 512 steps" in (tmp_path / "log.txt").read_text()


def test_a_log_that_cannot_be_written_is_refused_before_training(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["train", "state", "--log", str(tmp_path), "--run", str(tmp_path / "run")])
    assert f"{tmp_path}: cannot be written: Is a directory" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_line_that_cannot_be_written_is_dropped(tmp_path):
    log = TrainingLog([tmp_path / "log.txt"], plain())
    (tmp_path / "log.txt").unlink()
    (tmp_path / "log.txt").mkdir()
    log.say("lost")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1.0, "0 s"), (35.4, "35 s"), (250, "4 min 10 s"), (3725, "1 h 02 min")],
)
def test_a_duration_is_told_in_its_largest_units(seconds, said):
    assert format_duration(seconds) == said


def test_several_processes_write_whole_lines(tmp_path):
    script = tmp_path / "writer.py"
    script.write_text(
        "import sys\n"
        "from racer.training.shared_output import shared_output\n"
        "with shared_output():\n"
        "    for number in range(200):\n"
        "        print(sys.argv[1], end=' ')\n"
        "        print(sys.argv[1] * 9000)\n"
        "    print('end', end='')\n"
    )
    read, write = os.pipe()
    processes = [
        subprocess.Popen([sys.executable, str(script), letter], stdout=write) for letter in "abc"
    ]
    os.close(write)
    with open(read) as pipe:
        lines = pipe.read().splitlines()
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(set(lines)) == [*(f"{one} {one * 9000}" for one in "abc"), "end"]
    assert len(lines) == 3 * 201


def test_output_that_nobody_reads_is_dropped():
    read, write = os.pipe()
    os.close(read)
    before = sys.stdout
    with pytest.MonkeyPatch.context() as patch, os.fdopen(write, "w") as stream:
        patch.setattr("sys.stdout", stream)
        with shared_output():
            print("lost", flush=True)
    assert sys.stdout is before


@pytest.fixture
def long_training(tmp_path):
    """Starts a training without an end, and waits until it drives."""
    started = []

    def start(*words, **options):
        command = [sys.executable, "-m", "racer.cli", "train", "state", *SHORT, *words]
        more = (
            "--evaluation.eval-freq",
            "512",
            "--total-timesteps",
            "10_000_000",
            "--run",
            tmp_path / "run",
        )
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen([*command, *map(str, more)], **output | options)
        started.append(process)
        deadline = time.monotonic() + 120
        log = tmp_path / "run" / "log.txt"
        while not (log.exists() and log.read_text()):
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return process

    yield start
    for process in started:
        process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.ci
@pytest.mark.slow
def test_a_closed_terminal_saves_and_ends_the_run(long_training):
    process = long_training("--workers", "2", start_new_session=True)
    os.killpg(process.pid, signal.SIGHUP)
    os.killpg(process.pid, signal.SIGHUP)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == STOPPED_EXIT_CODE, output
    assert "it was stopped" in output


@pytest.mark.slow
def test_a_training_under_nohup_goes_on_without_terminal_and_reader(long_training):
    process = long_training(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    process.stdout.close()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == STOPPED_EXIT_CODE
