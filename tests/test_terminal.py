"""Output that goes nowhere, in a poor encoding, or to somebody who wants no colour."""

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from racer.assets.terminal import make_console
from racer.cli import main
from racer.training.shared_output import shared_output

QUICK = [
    "--help",
    "board",
    *(
        pytest.param(command, marks=pytest.mark.slow)
        for command in ("train --help", "actions", "tracks list", "board season show open")
    ),
]


def start(*words: str, **options: Any) -> Any:
    return subprocess.Popen([sys.executable, "-m", "racer.cli", *words], **options)


@pytest.mark.slow
@pytest.mark.parametrize("command", QUICK)
def test_a_command_ends_quietly_when_nobody_reads_it(command, tmp_path):
    reads, writes = os.pipe()
    os.close(reads)
    board = os.environ | {"RACER_BOARD": str(tmp_path)}
    with start(*command.split(), stdout=writes, stderr=subprocess.PIPE, env=board) as done:
        os.close(writes)
        assert done.communicate()[1] == b""
    assert done.returncode == 141


def test_an_error_that_nobody_reads_keeps_its_exit_code():
    reads, writes = os.pipe()
    os.close(reads)
    with start("trian", stderr=writes) as done:
        os.close(writes)
    assert done.returncode == 2


def test_work_that_prints_goes_on_when_its_reader_leaves():
    code = (
        "import os, sys; from racer.assets.terminal import make_console\n"
        "from racer.training.shared_output import shared_output\n"
        "with shared_output():\n"
        "    for _ in range(3): print('x' * 100_000); make_console(stderr=True).print('y')\n"
        "os.write(int(sys.argv[1]), b'all done')"
    )
    reads, writes = os.pipe()
    os.close(reads)
    told, tells = os.pipe()
    words = [sys.executable, "-c", code, str(tells)]
    done = subprocess.run(words, stdout=writes, stderr=writes, pass_fds=[tells], check=False)
    os.close(writes)
    os.close(tells)
    with os.fdopen(told, "rb") as pipe:
        assert pipe.read() == b"all done"
    assert done.returncode == 0


def test_output_is_given_back(capsys):
    before = sys.stdout
    with shared_output():
        print("heard")
    assert sys.stdout is before
    assert capsys.readouterr().out == "heard\n"


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("command", ["--help", "actions", "board show", "bord"])
def test_no_color_leaves_no_escapes_on_a_terminal(command):
    terminal, ours = pty.openpty()
    wanted = os.environ | {"NO_COLOR": "1", "TERM": "xterm-256color"}
    with start(*command.split(), stdout=ours, stderr=ours, env=wanted) as done:
        os.close(ours)
        said = b""
        while True:
            try:
                said += os.read(terminal, 65536)
            except OSError:  # how Linux ends a terminal that nobody writes to
                break
    os.close(terminal)
    assert done.returncode in (0, 2)
    assert len(said) > 50
    assert b"\x1b" not in said


def test_bold_is_left_out_too(monkeypatch, capsys):
    monkeypatch.setenv("NO_COLOR", "1")
    make_console(force_terminal=True).print("[bold red]hot[/]")
    assert capsys.readouterr().out == "hot\n"


@pytest.mark.slow
def test_a_name_that_the_terminal_cannot_write_is_escaped():
    latin = os.environ | {"PYTHONIOENCODING": "ascii"}
    with start("runs", "show", "r\u00e9\U0001f600", stderr=subprocess.PIPE, env=latin) as done:
        said = done.communicate()[1]
    assert done.returncode == 2
    assert r"r\xe9\U0001f600 holds no run" in said.decode("ascii")


LONG = "n" * 300


def test_a_name_that_cannot_be_a_file_is_one_line_not_a_traceback(
    subtests, tmp_path, monkeypatch, capsys
):
    for command in [
        f"race {LONG}.entry.zip",
        f"race raceline --track {LONG}",
        f"train {LONG}",
        f"runs show {LONG}",
        f"board submit raceline --season {LONG}",
        f"tracks generate --out {LONG}.yaml",
        "board backup {folder}",
        "board restore {folder}/file",
        "tracks export oval --out {folder}",
        "actions --out {folder}/file/x",
        "board keygen --out {folder}/file/key",
    ]:
        with subtests.test(command=command):
            (tmp_path / "file").touch()
            monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
            with pytest.raises(SystemExit) as stop:
                main(command.format(folder=tmp_path).split())
            said = capsys.readouterr().err
            assert stop.value.code == 2
            assert said.startswith("racer: ")
            assert said.count("\n") == 1


def test_an_error_of_the_system_names_its_file(monkeypatch, capsys):
    def refuse(*words):
        raise PermissionError(13, "Permission denied", "mine.yaml")

    monkeypatch.setattr("racer.cli.app.run", refuse)
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "racer: mine.yaml: Permission denied\n"
    with pytest.raises(PermissionError):
        main(["--debug"])


@pytest.mark.parametrize(("module", "hint"), [("torch", "pip install torch"), ("casadi", "casadi")])
def test_a_package_that_is_not_installed_is_told_with_the_command_that_installs_it(
    module, hint, monkeypatch, capsys
):
    def lack(*words):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("racer.cli.app.run", lack)
    with pytest.raises(SystemExit):
        main([])
    said = capsys.readouterr().err
    assert hint in said
