"""How the studio starts, and why it does not."""

import builtins
import socket
import sys

import pytest

from racer.cli import main

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
