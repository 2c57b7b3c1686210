"""How the studio starts, and why it does not."""

import builtins
import importlib
import socket
import sys

import numpy as np
import pytest

from racer.cli import main
from racer.cli.studio import _print_qr_code
from tests.helpers.runs import written_run

pytestmark = pytest.mark.needs("nicegui")


def refusal(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["studio", "--no-browser", *words])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_taken_port_is_told_with_the_way_out(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refusal(["--port", str(taken.getsockname()[1])], capsys)
    assert "choose another with --port" in said
    assert "Address already in use" in said
    assert "must be 0-65535" in refusal(["--port", "70000"], capsys)


def test_without_the_extra_the_command_that_installs_it_is_told(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("racer.studio")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def lacking(name, *rest, **more):
        if name.partition(".")[0] in ("nicegui", "uvicorn", "fastapi"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    said = refusal([], capsys)
    assert "is not installed; pip install" in said
    assert "[studio]" in said


def test_the_printed_code_is_the_address(capsys):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    url = "http://192.0.2.7:8080/run/first?token=" + "aB3_-x" * 5
    _print_qr_code(url)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    halves = [[one in ends for one in line] for line in lines for ends in ("▀█", "▄█")]
    picture = np.kron(np.array(halves, np.uint8) * 255, np.ones((8, 8), np.uint8))
    picture = np.pad(picture, 64, constant_values=255)
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == url


def test_a_terminal_without_blocks_gets_no_code(capsys, monkeypatch):
    class Plain:
        encoding = "ascii"

    monkeypatch.setattr("racer.cli.studio.sys.stdout", Plain())
    _print_qr_code("http://192.0.2.7:8080/")


def test_a_run_that_is_named_is_opened_in_its_folder(tmp_path, monkeypatch, capsys):
    run = written_run(tmp_path / "mine" / "first")
    served = []
    server = importlib.import_module("racer.studio.server")
    monkeypatch.setattr(server, "serve_studio", lambda *given: served.append(given))
    main(["studio", str(run.folder), "--no-browser"])
    (folder, host, port, _, name), *_ = served
    assert (folder, host, port, name) == (tmp_path / "mine", "127.0.0.1", 8080, "first")
    assert "holds no run" in refusal([str(tmp_path / "nothing")], capsys)
