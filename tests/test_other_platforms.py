"""Machines other than Linux x86-64 with CPython 3.11: what they lack, and their last digits."""

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import racer
from racer import doctor
from racer.entries import sandbox, sandbox_pipes, sandbox_worker
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry
from racer.entries.sandbox import SandboxedPolicy
from racer.entries.sandbox_pipes import ThreadedPipes
from racer.errors import EntryError
from racer.evaluation import evaluate_entries
from racer.leaderboard.network_addresses import network_addresses
from racer.leaderboard.replay import WITHIN_TOLERANCE, pack_replay, record_replay
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.reward.timeout import TimeoutExceeded, timeout_after

ROOM = Path(racer.__file__).parent
UNIX_ONLY = ("fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "termios", "tty")
"""Modules that Windows does not have."""
BULLETS = ("pybullet_client", "bullet", "free_boxes", "window")
"""The modules of `racer.world` that are imported only where PyBullet is installed."""


def imports_of_start(path: Path) -> set[str]:
    """The packages that a module imports when it is imported."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return found


def test_no_module_imports_what_windows_lacks_when_it_starts():
    for path in ROOM.rglob("*.py"):
        assert not imports_of_start(path) & {*UNIX_ONLY}, path


NEED_EXTRAS = tuple(
    f"racer.{room}"
    for room in (
        *("training", "sb3", "networks", "sweeps", "imitation", "studio"),
        *("benchmark.seed_result", "benchmark.result_files", "benchmark.row_summary"),
        "benchmark.page",
    )
)
"""Rooms and modules that import what only an extra installs."""
IMPORT_ALL = """
import importlib, os, select, signal, sys
import {first}
for name in {unix_only!r}:
    sys.modules[name] = None
sys.modules["pybullet"] = None
for name in ("SIGHUP", "SIGUSR1", "SIGALRM", "setitimer", "getitimer", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fork", "getuid", "geteuid", "sched_getaffinity", "sysconf"):
    delattr(os, name)
del select.poll
for name in {modules!r}:
    importlib.import_module(name)
print(len({modules!r}))
"""


def modules() -> dict[str, Path]:
    """Every module of racer that does not load PyBullet, with its file."""
    files = [path for path in ROOM.rglob("*.py") if path.stem not in (*BULLETS, "__main__")]
    names = [path.relative_to(ROOM.parent).with_suffix("").as_posix() for path in files]
    return dict(zip((name.removesuffix("/__init__").replace("/", ".") for name in names), files))


@pytest.mark.parametrize("of", ["the core", pytest.param("training", marks=pytest.mark.slow)])
def test_every_module_starts_without_what_windows_lacks(of):
    is_training = of == "training"
    wanted = [
        name
        for name, path in modules().items()
        if name.startswith(NEED_EXTRAS) == is_training
        and (is_training or not {"torch", "pettingzoo", "warp"} & imports_of_start(path))
    ]
    assert len(wanted) > 30
    # Other packages import such modules where there are some; they are loaded before.
    extras = "filelock, sqlalchemy, stable_baselines3, tensorboard, optuna, nicegui"
    first = extras if is_training else "filelock, numba, sqlalchemy"
    code = IMPORT_ALL.format(first=first, unix_only=UNIX_ONLY, modules=wanted)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == f"{len(wanted)}\n"


SEASON = Season(name="s", tracks=("oval",), race=SeasonRaceConfig(laps=2, time_limit=60))


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    """A pilot's replay, as another platform recorded it."""
    race = evaluate_entries(["pure-pursuit"], "oval", SEASON.race_in("forward"))[0]
    assert race.ending == "laps_complete"
    kept = record_replay(race, None, RunResult.from_json(race.as_dict()))
    return replace(kept, fingerprint=kept.fingerprint | {"cpu_flags": "other"})


PERTURBED = """
import json, math, sys
from pathlib import Path
import numpy as np
from llvmlite import binding
from numba import cfunc

def perturbed(name):
    exact = getattr(math, name)
    return cfunc("float64(float64)")(lambda x: np.nextafter(exact(x), np.inf))

others = {name: perturbed(name) for name in ("sin", "cos", "tan", "tanh", "expm1")}
for name, other in others.items():  # Kernels that are loaded from here on call these.
    binding.add_symbol(name, other.address)

from racer.leaderboard.replay import compare_replay, unpack_replay
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season
from racer.leaderboard.verification import simulate_replay

season = Season.model_validate_json(sys.argv[1])
for path in map(Path, sys.argv[2:]):
    replay = unpack_replay(path.read_bytes())
    result = simulate_replay(season, season.runs()[0], replay)
    print(compare_replay(replay, result, RunResult.from_json(result.as_dict())).text)
    away = np.abs(result.body[14::15, :2] - replay.places[: len(result.body) // 15]).max()
    print(f"{len(result.time) / 15:.0f} s, {away:.1e} m", file=sys.stderr)
"""


def test_a_replay_verifies_within_tolerance_where_every_sine_differs_in_its_last_digit(
    replay, tmp_path
):
    """The kernels get other functions than the C library's; an open loop lets the digits grow."""
    commands = replay.actions.copy()
    commands[20:30, 0] += 1e-3
    other = replace(replay, actions=commands)
    paths = []
    for number, one in enumerate([replay, other]):
        paths.append(tmp_path / f"{number}.replay")
        paths[-1].write_bytes(pack_replay(one))
    words = [sys.executable, "-c", PERTURBED, SEASON.canonical, *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    within, apart = done.stdout.splitlines() or [done.stderr, ""]
    assert within == WITHIN_TOLERANCE
    assert apart.startswith("another platform: ")


@pytest.fixture
def no_timer(monkeypatch):
    monkeypatch.delattr(signal, "setitimer")


def spin(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_loop_is_ended_where_the_system_has_no_timer(no_timer):
    with pytest.raises(TimeoutExceeded), timeout_after(0.05):
        spin(60)


def test_a_bare_except_does_not_keep_a_loop_running_without_a_timer(no_timer, monkeypatch):
    monkeypatch.setattr("racer.reward.timeout.REPEAT_S", 0.05)
    swallowed = []
    with pytest.raises(TimeoutExceeded), timeout_after(0.05):
        while True:
            try:
                spin(60)
            except BaseException:
                swallowed.append(True)
                if len(swallowed) == 3:
                    raise
    assert len(swallowed) == 3


def test_a_block_that_has_ended_is_not_followed_by_a_timeout(no_timer, monkeypatch):
    monkeypatch.setattr("racer.reward.timeout.REPEAT_S", 0.01)
    with pytest.raises(TimeoutExceeded), timeout_after(0.01):
        spin(60)
    spin(0.2)
    with timeout_after(60), timeout_after(0.01):  # The outer limit is the one that counts.
        spin(0.2)


@pytest.fixture
def threaded(monkeypatch):
    """Lets the sandbox's pipes be read and written by threads, as on Windows."""
    monkeypatch.setattr(sandbox, "SandboxPipes", ThreadedPipes)


@pytest.fixture
def boxed_program(tmp_path, monkeypatch):
    """Puts another program into the sandbox: racer's own, changed at the beginning."""

    def put(*changes):
        script = tmp_path / "sandbox_worker.py"
        folder = str(Path(sandbox_worker.__file__).parent)
        lines = ["import os, sys, time", f"sys.path.insert(0, {folder!r})", "import sandbox_worker"]
        script.write_text("\n".join([*lines, *changes, "sandbox_worker.serve_policy()"]))
        monkeypatch.setattr(sandbox, "WORKER_SCRIPT", script)

    return put


def shipped_entry():
    return read_entry(Path(__file__).parent / "fixtures/v1/entries/camera.entry.zip")


def frames(entry):
    (sensor,) = entry.manifest.sensor
    draws = np.random.default_rng(0)
    return [draws.integers(0, 256, sensor.space.shape, np.uint8)[None] for _ in range(3)]


def test_a_sandbox_whose_pipes_cannot_be_polled_gives_the_same_actions(threaded):
    entry = shipped_entry()
    here, before = OnnxPolicy(entry), threading.active_count()
    with SandboxedPolicy(entry) as boxed:
        assert threading.active_count() == before + 2
        for frame in frames(entry):
            assert boxed(frame).tobytes() == here(frame).tobytes()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("sandbox_worker._act = lambda *a: time.sleep(60)", "hang"),
        ("sandbox_worker._act = lambda *a: os._exit(0)", "crash"),
        ("sandbox_worker._act = lambda *a: (b'a', bytes(10_000_000))", "crash"),
    ],
)
def test_whatever_a_policy_does_is_an_entry_error_by_threads_too(
    threaded, boxed_program, monkeypatch, change, code
):
    boxed_program(change)
    monkeypatch.setattr(sandbox_pipes, "QUEUED_CHUNKS", 1)  # The thread is waiting at the end.
    entry, before = shipped_entry(), threading.active_count()
    boxed = SandboxedPolicy(entry)
    monkeypatch.setattr(sandbox, "CALL", 0.02)
    with pytest.raises(EntryError) as refusal:
        boxed(frames(entry)[0])
    assert refusal.value.code == code
    assert threading.active_count() == before


def test_outside_linux_the_sandbox_warns_that_it_holds_the_deadlines_only(boxed_program, capsys):
    boxed_program("sys.platform = 'darwin'")
    entry = shipped_entry()
    sandbox._warn_of_deadlines_only.cache_clear()
    for _ in range(2):
        with SandboxedPolicy(entry) as boxed:
            assert boxed.strength == "deadlines only"
            boxed(frames(entry)[0])
    said = capsys.readouterr().err
    assert said.startswith("racer: warning: outside Linux the sandbox only stops a policy")
    assert said.count("\n") == 1


def test_the_doctor_of_another_system_says_what_its_sandbox_holds(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    found = {one.name: one for check in (doctor._machine, doctor._sandbox) for one in check()}
    assert found["sandbox"].found.startswith("deadlines only")
    assert found["cores"].state == "ok"


def test_the_addresses_of_this_machine_are_found_outside_linux_too(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    names = ("here", [], ["127.0.0.1", "198.51.100.7"])
    monkeypatch.setattr(socket, "gethostbyname_ex", lambda host: names)
    assert "198.51.100.7" in network_addresses()
    assert "127.0.0.1" not in network_addresses()


RACES = """
import sys
sys.modules["pybullet"] = None
import importlib.util
from racer.cli import main

find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "pybullet" else find(name, *a)
for command in sys.stdin.read().splitlines():
    main(command.split())
"""


def test_without_pybullet_a_board_takes_verifies_and_shows_a_race(tmp_path):
    (tmp_path / "one.yaml").write_text(
        "name: one\ntracks: [oval]\nrace: {laps: 1, time_limit: 30}\n", encoding="utf-8"
    )
    commands = [
        "race pure-pursuit --track oval --laps 1",
        "board submit pure-pursuit --season one.yaml",
        "board verify --all",
        "board page --season one.yaml --out pages",
    ]
    done = subprocess.run(
        [sys.executable, "-c", RACES],
        input="\n".join(commands),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOM.parent), "RACER_BOARD": str(tmp_path / "board")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert re.search("bit-exact; same actions", done.stdout)
    assert (tmp_path / "pages" / "index.html").is_file()
