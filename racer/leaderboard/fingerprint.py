"""What the last digits of a race depend on beside its rules: versions and the processor."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from racer import __version__

FINGERPRINT_PACKAGES = ("pybullet", "numpy", "numba", "scipy", "onnxruntime")
_SHOWN = {"sse4_2", "avx", "avx2", "fma", "avx512f", "asimd", "sve"}


@lru_cache(maxsize=1)
def platform_fingerprint() -> dict[str, str]:
    """Return the versions of racer, Python and the numeric packages, and the processor's flags."""
    flags = _flags()
    return {
        "racer": __version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in FINGERPRINT_PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": " ".join(sorted(_SHOWN & flags)),
        "cpu_flags": hashlib.sha256(" ".join(sorted(flags)).encode()).hexdigest()[:16],
    }


def is_same_platform(one: dict[str, str], other: dict[str, str]) -> bool:
    """Return whether two fingerprints are equal but for racer's version: digits are the same."""
    return {**one, "racer": ""} == {**other, "racer": ""}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {platform.processor()}
    lines = (line.partition(":") for line in text.splitlines())
    return next(
        (set(after.split()) for key, _, after in lines if key.strip() in ("flags", "Features")),
        set(),
    )
