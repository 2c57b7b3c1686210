"""What the outcome of a job depends on beside its arguments, on the machine that runs it."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from racer.assets import assets_root
from racer.assets.caches import PACKAGE_DIR

EQUAL_PACKAGES = ("numpy", "numba", "scipy", "gymnasium", "onnxruntime", "pybullet", "torch")
"""Packages that must have the same version on every node."""
DIGEST_SUFFIXES = (".py", ".yaml", ".npy", ".json")
"""Suffixes of the files that are racer's code and data."""
SHIPPED_IN_WHEEL = {("assets", "configs"), ("assets", "tracks"), ("assets", "docs")}
"""Folders below the package in a wheel, and beside it in a checkout."""


class NodeFacts(NamedTuple):
    """A machine's software and processor.

    Attributes:
        node: Its name and address, such as `lab-3 (10.0.0.7)`.
        cores: Number of its cores.
        versions: Version of Python, of racer's code and of each of `EQUAL_PACKAGES`; "none" for a
            package that is not installed.
        processor: The processor's model, on which the last digits of a race may depend.
    """

    node: str
    cores: int
    versions: dict[str, str]
    processor: str

    def differences(self, other: NodeFacts) -> str:
        """Return what is not the same on another machine, such as `numpy 2.4.6, here 2.4.5`."""
        return ", ".join(
            f"{name} {other.versions.get(name, 'none')}, here {mine}"
            for name, mine in self.versions.items()
            if other.versions.get(name, "none") != mine
        )


@lru_cache(maxsize=1)
def node_facts() -> NodeFacts:
    """Return the facts of the machine that this process runs on."""
    versions = {"python": platform.python_version(), "racer's code": code_digest()}
    versions |= {name: _version(name) for name in EQUAL_PACKAGES}
    return NodeFacts(socket.gethostname(), os.cpu_count() or 1, versions, _processor())


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the first digits of a SHA-256 of racer's code, shipped configs and tracks."""
    root, total = assets_root(), hashlib.sha256()
    folders = {"racer": PACKAGE_DIR, "configs": root / "configs", "tracks": root / "tracks"}
    for name, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            if path.suffix in DIGEST_SUFFIXES and path.is_file():
                within = path.relative_to(folder)
                if name == "racer" and within.parts[:2] in SHIPPED_IN_WHEEL:
                    continue  # a checkout has them elsewhere
                total.update(f"{name}/{within.as_posix()}\0".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    lines = (line.partition(":") for line in text.splitlines())
    named = {key.strip(): after.strip() for key, _, after in reversed(list(lines))}
    return named.get("model name", platform.machine())
