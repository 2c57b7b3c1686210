"""What `racer doctor` says of a machine."""

import importlib.util
import json
import re
from importlib import metadata

import pytest

from racer import assets, doctor
from racer.assets.extras import DISTRIBUTION_NAME, how_to_install
from racer.cli import main


@pytest.fixture(autouse=True)
def without_torch(monkeypatch):
    """Importing torch takes longer than all else here."""
    find = importlib.util.find_spec

    def found(name):
        return None if name == "torch" else find(name)

    monkeypatch.setattr("importlib.util.find_spec", found)


def checked(name):
    return next(one for one in doctor.check_machine() if one.name == name)


def lack(monkeypatch, *names):
    version = metadata.version

    def found(name):
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("importlib.metadata.version", found)


def test_json_says_what_a_program_wants_to_know(capsys):
    main(["doctor", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["is_fit"] is True
    names = {one["name"] for one in said["checks"]}
    assert {"python", "engine", "torch", "casadi", "ffmpeg", "chromium", "display"} <= names
    assert {"home", "NUMBA_CACHE_DIR", "/dev/shm", "cores", "disk", "sandbox"} <= names


def test_a_needed_package_that_is_missing_is_wrong_and_ends_with_exit_code_1(monkeypatch, capsys):
    lack(monkeypatch, "shapely")
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    assert stop.value.code == 1
    assert "pip install shapely" in capsys.readouterr().out


def test_without_pybullet_the_doctor_names_the_twin_and_what_it_cannot_drive(monkeypatch):
    lack(monkeypatch, "pybullet")
    engine = checked("engine")
    assert engine.is_fit
    assert engine.found.startswith("the twin only: races with walls, boxes, bots or several cars")
    assert "pip install pybullet" in engine.mend
    monkeypatch.setattr("importlib.metadata.version", lambda name: "3.2.7")
    assert checked("engine").found == "the twin, and PyBullet 3.2.7"


def test_an_optional_package_that_is_missing_is_told(monkeypatch, capsys):
    lack(monkeypatch, "torch", "casadi")
    main(["doctor"])
    said = capsys.readouterr().out
    assert "pip install casadi" in said
    assert "pip install torch stable-baselines3" in said


def test_a_python_that_is_too_old_is_wrong(monkeypatch):
    monkeypatch.setattr("sys.version_info", (3, 13, 1))
    assert checked("python").is_fit
    monkeypatch.setattr("sys.version_info", (3, 9, 1))
    assert not checked("python").is_fit


def test_another_version_than_the_tested_one_is_named(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.9")
    tested = doctor._constraints()["numba"]
    assert checked("numba").found == f"0.0.9 (tested: {tested})"


def test_a_cache_that_cannot_be_written_is_wrong(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/none")
    assert not checked("NUMBA_CACHE_DIR").is_fit


def test_what_cannot_be_looked_at_is_a_finding_and_no_crash(monkeypatch):
    def _programs():
        raise ImportError("no imageio_ffmpeg")
        yield

    monkeypatch.setattr("racer.doctor.MACHINE_CHECKS", (_programs, doctor._machine))
    found = doctor.check_machine()
    assert found[0].state == doctor.LACKING
    assert "no imageio_ffmpeg" in found[0].found
    assert len(found) > 1


def test_little_shared_memory_is_told(monkeypatch):
    monkeypatch.setattr("racer.doctor.is_writable", lambda folder: False)
    assert "--workers 1" in checked("/dev/shm").mend


def test_no_hint_names_the_project_that_is_called_racer_on_pypi():
    root = assets.assets_root()
    hint = r"pip install[^\n`]*\bracer"
    # A page may say what `pip install racer` would do.
    for wrong, paths in (
        (rf"{hint}\b(?!-rl)", root.glob("racer/**/*.py")),
        (rf"{hint}\[", [*root.glob("docs/**/*.md"), *root.glob("*.md")]),
    ):
        for path in paths:
            assert not re.search(wrong, path.read_text(encoding="utf-8")), path


def test_a_checkout_is_installed_from_its_folder_and_a_wheel_by_its_name(monkeypatch, tmp_path):
    root = assets.assets_root()
    assert how_to_install("limit") == f"pip install -e '.[limit]' in {root}, or pip install casadi"
    monkeypatch.setattr(assets, "assets_root", lambda: tmp_path)
    assert how_to_install("limit") == "pip install 'racer-rl[limit]'"


def test_pip_knows_racer_by_the_name_that_the_hints_say():
    text = (assets.assets_root() / "pyproject.toml").read_text(encoding="utf-8")
    assert f'name = "{DISTRIBUTION_NAME}"' in text
    assert metadata.requires(DISTRIBUTION_NAME)
