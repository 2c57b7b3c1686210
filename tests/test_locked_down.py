"""A read-only install under a home that cannot be written, as containers and clusters have it."""

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import racer
from racer.assets import caches
from racer.assets.caches import forget_stale_kernels, prepare_caches

CACHES = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME")
ROOT = Path(racer.__file__).parents[1]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Neither the package nor the home can be written, only the temporary folder."""
    for name in (*CACHES, "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "before")  # so that what `prepare` sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.setattr("racer.assets.caches.PACKAGE_DIR", Path("/proc/racer"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    return tmp_path


def test_each_cache_gets_a_folder_of_this_user_alone_and_that_is_said_once(nowhere, capsys):
    prepare_caches()
    prepare_caches()
    assert capsys.readouterr().err.count("caches go to") == 1
    folder = nowhere / f"racer-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in CACHES:
        assert Path(os.environ[name]).parent == folder
        assert Path(os.environ[name]).is_dir()


def test_what_a_person_has_set_stays(nowhere, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/mine")
    prepare_caches()
    assert os.environ["NUMBA_CACHE_DIR"] == "/mine"
    assert "MPLCONFIGDIR" in os.environ


def test_a_numba_that_is_there_already_is_told(nowhere, monkeypatch):
    numba: Any = ModuleType("numba")
    numba.config = SimpleNamespace(CACHE_DIR="")
    monkeypatch.setitem(sys.modules, "numba", numba)
    prepare_caches()
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR


def test_a_folder_that_others_may_write_is_not_trusted(nowhere):
    theirs = nowhere / f"racer-{os.getuid()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    prepare_caches()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent != theirs
    assert not list(theirs.iterdir())


def test_a_link_to_a_folder_of_somebody_is_not_followed(nowhere):
    aim = nowhere / "aim"
    aim.mkdir(mode=0o700)
    (nowhere / f"racer-{os.getuid()}").symlink_to(aim)
    prepare_caches()
    assert not list(aim.iterdir())


def test_on_an_ordinary_machine_nothing_is_set_and_nothing_said(nowhere, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(nowhere))
    prepare_caches()
    assert not [name for name in CACHES if name in os.environ]
    assert capsys.readouterr().err == ""


def test_a_writable_package_keeps_its_kernels_beside_its_code(nowhere, monkeypatch):
    monkeypatch.setattr("racer.assets.caches.PACKAGE_DIR", nowhere)
    prepare_caches()
    assert "NUMBA_CACHE_DIR" not in os.environ
    assert "MPLCONFIGDIR" in os.environ


def test_without_any_writable_folder_nothing_is_set(nowhere, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc")
    prepare_caches()
    assert not [name for name in CACHES if name in os.environ]


@pytest.mark.parametrize("changed", ["tyres.py", "constants.py", "elsewhere.py", None])
def test_kernels_are_forgotten_if_a_file_beside_one_is_newer(tmp_path, monkeypatch, changed):
    monkeypatch.setattr("racer.assets.caches.PACKAGE_DIR", tmp_path)
    kernels, other = tmp_path / "car", tmp_path / "cli"
    for room, file in ((kernels, "tyres.py"), (kernels, "constants.py"), (other, "elsewhere.py")):
        (room / "__pycache__").mkdir(parents=True, exist_ok=True)
        (room / file).touch()
        os.utime(room / file, (1000.0, 1000.0))
    index = kernels / "__pycache__" / "tyres.wrench-7.py311.nbi"
    index.touch()
    os.utime(index, (2000.0, 2000.0))
    for room in (kernels, other):
        if changed and (room / changed).exists():
            os.utime(room / changed, (3000.0, 3000.0))
    forget_stale_kernels()
    assert index.exists() == (changed in ("elsewhere.py", None))


def test_a_user_without_a_home_has_none_to_write(monkeypatch):
    def no_home():
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", no_home)
    assert caches._home() is None


SCRIPT = """
import sys
import gymnasium, racer
from racer.cli import main
env = gymnasium.make("racer/TimeTrial-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
env.close()
for words in sys.argv[1:]:
    main(words.split())
"""
"""An environment, then commands; one process compiles the kernels once and starts once."""
COMMANDS = (
    "train state --total-timesteps 2048 --num-envs 32 --workers 2 --ppo.batch-size 256"
    " --evaluation.eval-freq 2000 --evaluation.time-limit 2 --run run",
    "export run --out a.entry.zip",
    "race a.entry.zip --laps 1 --video a.mp4 --size 320x180 --plot a.png",
    "board submit raceline",
    "board verify --all",
    "board page --out pages",
    "analyze run",
    "reward explain progress --out reward.png",
)


@pytest.mark.slow(minutes=1)
def test_every_kind_of_command_works_in_a_read_only_install_without_a_home(tmp_path):
    """In a mount namespace of its own, so that nobody else sees the tree read-only."""
    if (
        os.geteuid() != 0
        or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode
    ):
        pytest.skip("only root may mount a tree read-only")
    (tmp_path / "work.py").write_text(f"if __name__ == '__main__':\n{indent(SCRIPT, '    ')}")
    lines = [f"mount --bind {ROOT} {ROOT}", f"mount -o remount,ro,bind {ROOT}", "cd $WORK"]
    lines += [shlex.join([sys.executable, "work.py", *COMMANDS])]
    lines += [f"{sys.executable} -m racer.cli board season new mine"]
    places = {"HOME": "/proc", "WORK": str(tmp_path), "PYTHONPATH": str(ROOT)}
    kept = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "RACER_BOARD": "board"}
    done = subprocess.run(
        ["unshare", "-m", "bash", "-ec", "\n".join(lines)],
        env=places | kept,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "caches go to" not in line]
    assert not [line for line in said if "Warning" in line or "rror" in line]
    assert (tmp_path / "a.mp4").stat().st_size > 1000
