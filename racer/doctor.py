"""What a machine has and lacks for racer. Imports nothing that could be missing."""

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
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from racer import assets
from racer.assets.caches import is_writable
from racer.assets.extras import PACKAGES_OF_EXTRA, how_to_install

if TYPE_CHECKING:
    from racer.tables import FittedTable

FINE, LACKING, WRONG = "ok", "lacking", "wrong"
"""How a check ends; only what is wrong keeps racer from running."""

MIN_SHARED_MEMORY_BYTES = 64e6
"""Shared memory that a container has by default [bytes]."""
MIN_DISK_BYTES = 1e9
"""Free disk below which a training may not end [bytes]."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class MachineCheck:
    """One finding.

    Attributes:
        name: What was looked at.
        state: `ok`, `lacking` where something optional is not there, or `wrong`.
        found: What there is.
        mend: What to do; empty where nothing needs to be done.
    """

    name: str
    state: str
    found: str
    mend: str = ""

    @property
    def is_fit(self) -> bool:
        """Whether racer can run with it."""
        return self.state != WRONG

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain JSON."""
        return asdict(self)


def check_machine() -> list[MachineCheck]:
    """Look at everything; a look that fails is a finding of its own."""
    found = []
    for look in MACHINE_CHECKS:
        try:
            found += look()
        except Exception as problem:
            what = f"could not be looked at: {type(problem).__name__}: {problem}"
            found.append(MachineCheck(look.__name__.strip("_").replace("_", " "), LACKING, what))
    return found


def doctor_table(checks: list[MachineCheck]) -> FittedTable:
    """The findings for a person."""
    from racer.tables import FittedTable, TableColumn

    marks = {FINE: "ok", LACKING: "-", WRONG: "no"}
    shown = FittedTable(
        TableColumn("", "left"),
        TableColumn("what", "left"),
        TableColumn("found", "left", least=20, wraps=True),
    )
    for one in checks:
        shown.add_row(marks[one.state], one.name, one.found)
    return shown


def _python() -> Iterator[MachineCheck]:
    has, wanted = platform.python_version(), sys.version_info[:2] in ((3, 10), (3, 11))
    is_known = sys.platform == "linux" and platform.machine() == "x86_64"
    what = f"{platform.python_implementation()} {has}, {platform.system()} {platform.machine()}"
    mend = "PyBullet has wheels for CPython 3.10 and 3.11 only: make a new .venv with one of them"
    yield MachineCheck("python", FINE if wanted else WRONG, what, "" if wanted else mend)
    if not is_known:
        yield MachineCheck("system", LACKING, what, "racer is tested on Linux x86-64 alone")


def _packages() -> Iterator[MachineCheck]:
    """Each package that racer needs, or can use, beside the version that was tested."""
    tested = _constraints()
    for name in _required():
        yield _package(name, tested, None)
    for extra, packages in PACKAGES_OF_EXTRA.items():
        for name in packages:
            yield _package(name, tested, extra)


def _required() -> list[str]:
    """What racer always installs, as its own metadata says."""
    wanted = metadata.requires("racer") or []
    plain = [one for one in wanted if "extra ==" not in one]
    return sorted(re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in plain)


def _package(name: str, tested: dict[str, str], extra: str | None) -> MachineCheck:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        mend = how_to_install(extra) if extra else f"pip install {name}"
        return MachineCheck(
            name, LACKING if extra else WRONG, f"not installed ({extra or 'needed'})", mend
        )
    known = tested.get(_plain(name))
    other = f" (tested: {known})" if known and known != version.partition("+")[0] else ""
    return MachineCheck(name, FINE, version + other)


def _constraints() -> dict[str, str]:
    """The tested version of each package for this Python; none outside a checkout."""
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
    return re.sub(r"[-_.]+", "-", name).lower()


def _cuda() -> Iterator[MachineCheck]:
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    what = ", ".join(names) or f"no device for torch {torch.__version__}; the CPU trains"
    yield MachineCheck("cuda", FINE if names else LACKING, what)


def _programs() -> Iterator[MachineCheck]:
    import imageio_ffmpeg

    yield MachineCheck("ffmpeg", FINE, imageio_ffmpeg.get_ffmpeg_exe())
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    mend = "" if browser else "only tests of the board's pages need one: apt-get install chromium"
    yield MachineCheck("chromium", FINE if browser else LACKING, browser or "not installed", mend)
    display = os.environ.get("DISPLAY")
    what = display or "none; racer draws without one"
    yield MachineCheck("display", FINE if display else LACKING, what)


def _folders() -> Iterator[MachineCheck]:
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
    mend = "" if free > MIN_DISK_BYTES else "a training stops when the disk is full; make room"
    yield MachineCheck(
        "disk", FINE if free > MIN_DISK_BYTES else LACKING, f"{free / 1e9:.1f} GB free here", mend
    )


def _machine() -> Iterator[MachineCheck]:
    cores = len(os.sched_getaffinity(0))
    yield MachineCheck("cores", FINE, f"{cores} of {os.cpu_count()}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield MachineCheck("memory", FINE, f"{memory / 1e9:.1f} GB")
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
    """Whether a process may wall itself in, as the box for entries does."""
    file = Path(__file__).parent / "entries" / "sandbox_worker.py"
    words = [sys.executable, "-I", "-S", "-c", _LEAVE, str(file)]
    done = subprocess.run(words, capture_output=True, check=False, timeout=20)
    is_fine = done.returncode == 0
    what = "namespaces" if is_fine else "limits only: no user namespaces here"
    mend = "" if is_fine else "judge only entries of people you trust, or allow user namespaces"
    yield MachineCheck("sandbox", FINE if is_fine else LACKING, what, mend)


_LEAVE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("cell", sys.argv[1])
cell = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cell)
sys.exit(not cell._leave())
"""

MACHINE_CHECKS: tuple[Callable[[], Iterator[MachineCheck]], ...] = (
    _python,
    _packages,
    _cuda,
    _programs,
    _folders,
    _machine,
    _sandbox,
)
