"""Check what this machine has and lacks for racer; nothing that may be missing is imported."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from racer import assets
from racer.assets.caches import is_writable
from racer.assets.extras import DISTRIBUTION_NAME, PACKAGES_OF_EXTRA, how_to_install
from racer.assets.processes import machine_memory_bytes, usable_cores

if TYPE_CHECKING:
    from racer.tables import FittedTable

FINE, LACKING, WRONG = "ok", "lacking", "wrong"
"""The states of a check; only `wrong` keeps racer from running."""

MIN_SHARED_MEMORY_BYTES = 64e6
"""Shared memory that a container has by default; less is reported [bytes]."""
MIN_DISK_BYTES = 1e9
"""Free disk space below which a training run may fail [bytes]."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""The commands of browsers that the tests of the leaderboard's pages can drive."""


@dataclass(frozen=True)
class MachineCheck:
    """The result of one check.

    Attributes:
        name: What was checked.
        state: `ok`, `lacking` if something optional is missing, or `wrong`.
        found: What was found.
        mend: What to do; empty if nothing needs to be done.
    """

    name: str
    state: str
    found: str
    mend: str = ""

    @property
    def is_fit(self) -> bool:
        """Whether racer can run with this result."""
        return self.state != WRONG

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON."""
        return asdict(self)


def check_machine() -> list[MachineCheck]:
    """Return the results of all checks; a check that raises is a result of its own."""
    found = []
    for check in MACHINE_CHECKS:
        try:
            found += check()
        except Exception as problem:
            reason = f"could not be checked: {type(problem).__name__}: {problem}"
            found.append(MachineCheck(check.__name__.strip("_").replace("_", " "), LACKING, reason))
    return found


def doctor_table(checks: list[MachineCheck]) -> FittedTable:
    """Return a table of the results for the terminal."""
    from racer.tables import FittedTable, TableColumn

    marks = {FINE: "ok", LACKING: "-", WRONG: "no"}
    shown = FittedTable(
        TableColumn("", "left"),
        TableColumn("what", "left"),
        TableColumn("found", "left", least=20, wraps=True),
    )
    for check in checks:
        shown.add_row(marks[check.state], check.name, check.found)
    return shown


def _python() -> Iterator[MachineCheck]:
    """Check Python's version and the system."""
    version, is_supported = platform.python_version(), sys.version_info[:2] >= (3, 10)
    is_tested = sys.platform == "linux" and platform.machine() == "x86_64"
    implementation = platform.python_implementation()
    found = f"{implementation} {version}, {platform.system()} {platform.machine()}"
    mend = "racer needs CPython 3.10 or newer: make a new .venv with one"
    state = FINE if is_supported else WRONG
    yield MachineCheck("python", state, found, "" if is_supported else mend)
    if not is_tested:
        yield MachineCheck("system", LACKING, found, "racer is tested on Linux x86-64 only")


def _engine() -> Iterator[MachineCheck]:
    """Check which engines drive the cars: the twin always does, Bullet needs PyBullet."""
    try:
        version = metadata.version("pybullet")
    except metadata.PackageNotFoundError:
        yield MachineCheck(
            "engine",
            LACKING,
            "the twin only: races with walls, boxes, bots or several cars need PyBullet",
            "pip install pybullet, on Linux x86-64 with CPython 3.10 or 3.11; it has no wheel for "
            "other machines",
        )
        return
    yield MachineCheck(
        "engine", FINE, f"the twin, and PyBullet {version}{_tested('pybullet', version)}"
    )


def _packages() -> Iterator[MachineCheck]:
    """Check each package that racer needs or can use, against the version that was tested."""
    for name in _required():
        yield _package(name, None)
    for extra, packages in PACKAGES_OF_EXTRA.items():
        for name in packages:
            yield _package(name, extra)


def _required() -> list[str]:
    """Return the packages that racer installs on every machine, from its own metadata."""
    requirements = metadata.requires(DISTRIBUTION_NAME) or []
    always = [requirement for requirement in requirements if ";" not in requirement]
    return sorted(re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in always)


def _package(name: str, extra: str | None) -> MachineCheck:
    """Check one package; `extra` is the extra that it belongs to, None if racer always needs it."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        mend = how_to_install(extra) if extra else f"pip install {name}"
        return MachineCheck(
            name, LACKING if extra else WRONG, f"not installed ({extra or 'needed'})", mend
        )
    return MachineCheck(name, FINE, version + _tested(name, version))


def _tested(name: str, version: str) -> str:
    """Return ` (tested: VERSION)` if another version of a package was tested than this one."""
    known = _constraints().get(_plain(name))
    return f" (tested: {known})" if known and known != version.partition("+")[0] else ""


@lru_cache(maxsize=1)
def _constraints() -> dict[str, str]:
    """Return the tested version of each package for this Python; empty outside a checkout."""
    path, version = assets.assets_root() / "constraints.txt", sys.version_info[:2]
    tested = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        pin, _, condition = line.partition(";")
        name, _, number = pin.partition("==")
        is_old = version < (3, 11)
        if number and ("<" not in condition or is_old) and (">" not in condition or not is_old):
            tested[_plain(name)] = number.strip()
    return tested


def _plain(name: str) -> str:
    """Return a package's normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _cuda() -> Iterator[MachineCheck]:
    """Check for CUDA devices, if torch is installed."""
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    found = ", ".join(names) or f"no device for torch {torch.__version__}; the CPU trains"
    yield MachineCheck("cuda", FINE if names else LACKING, found)


def _programs() -> Iterator[MachineCheck]:
    """Check for ffmpeg, a browser and a display."""
    import imageio_ffmpeg

    yield MachineCheck("ffmpeg", FINE, imageio_ffmpeg.get_ffmpeg_exe())
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    mend = "" if browser else "only tests of the board's pages need it: apt-get install chromium"
    yield MachineCheck("chromium", FINE if browser else LACKING, browser or "not installed", mend)
    display = os.environ.get("DISPLAY")
    found = display or "none; racer draws without one"
    yield MachineCheck("display", FINE if display else LACKING, found)


def _folders() -> Iterator[MachineCheck]:
    """Check the folders that racer writes to, and the free disk space."""
    home = os.path.expanduser("~")
    is_fine = os.path.isabs(home) and is_writable(Path(home))
    yield MachineCheck(
        "home", FINE if is_fine else LACKING, home if is_fine else f"{home} (not writable)"
    )
    for name, usual in (
        ("NUMBA_CACHE_DIR", "beside racer's code, or in ~/.cache"),
        ("MPLCONFIGDIR", "~/.config/matplotlib"),
    ):
        given = os.environ.get(name)
        fits = given is None or is_writable(Path(given))
        mend = "" if fits else f"set {name} to a folder that you may write to"
        yield MachineCheck(name, FINE if fits else WRONG, given or usual, mend)
    free = shutil.disk_usage(".").free
    mend = "" if free > MIN_DISK_BYTES else "training stops when the disk is full; free some space"
    yield MachineCheck(
        "disk", FINE if free > MIN_DISK_BYTES else LACKING, f"{free / 1e9:.1f} GB free here", mend
    )


def _machine() -> Iterator[MachineCheck]:
    """Check cores, memory and shared memory."""
    yield MachineCheck("cores", FINE, f"{usable_cores()} of {os.cpu_count()}")
    if memory := machine_memory_bytes():
        yield MachineCheck("memory", FINE, f"{memory / 1e9:.1f} GB")
    if sys.platform != "linux":  # Elsewhere memory is shared in another way.
        return
    shared = Path("/dev/shm")
    free = shutil.disk_usage(shared).free if shared.is_dir() and is_writable(shared) else 0
    mend = (
        ""
        if free >= MIN_SHARED_MEMORY_BYTES
        else "train with --workers 1, or docker run --shm-size=256m"
    )
    state = FINE if free >= MIN_SHARED_MEMORY_BYTES else LACKING
    yield MachineCheck("/dev/shm", state, f"{free / 1e6:.0f} MB free", mend)


def _sandbox() -> Iterator[MachineCheck]:
    """Check whether a process can isolate itself with namespaces, as the sandbox does."""
    careful = "evaluate only entries of people you trust"
    if sys.platform != "linux":
        found = "deadlines only: the sandbox isolates a policy on Linux alone"
        yield MachineCheck("sandbox", LACKING, found, careful)
        return
    file = Path(__file__).parent / "entries" / "sandbox_worker.py"
    arguments = [sys.executable, "-I", "-S", "-c", _ISOLATE, str(file)]
    done = subprocess.run(arguments, capture_output=True, check=False, timeout=20, text=True)
    is_fine = done.returncode == 0
    found = "namespaces" if is_fine else "limits only: no user namespaces here"
    if done.returncode not in (0, _NO_NAMESPACES):
        found = f"the check failed: {done.stderr.strip().rpartition(chr(10))[2]}"
    mend = "" if is_fine else f"{careful}, or allow user namespaces"
    yield MachineCheck("sandbox", FINE if is_fine else LACKING, found, mend)


_NO_NAMESPACES = 3
_ISOLATE = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("sandbox_worker", sys.argv[1])
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
sys.exit(0 if worker.enter_namespaces() else {_NO_NAMESPACES})
"""
"""A program that loads the sandbox's worker without racer and exits with 0 if it can isolate
itself, with `_NO_NAMESPACES` if it cannot."""

MACHINE_CHECKS: tuple[Callable[[], Iterator[MachineCheck]], ...] = (
    _python,
    _engine,
    _packages,
    _cuda,
    _programs,
    _folders,
    _machine,
    _sandbox,
)
"""The checks, in the order of their results."""
