"""Where libraries keep what they made once, on machines whose usual places cannot be written.

A read-only install under a home that cannot be written is usual in containers, on clusters and on
notebook servers. numba refuses to start there, matplotlib and fontconfig warn and begin anew each
time. They are given a folder below the temporary one instead, before they are imported.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parents[1]


def prepare_caches() -> None:
    """Name a writable folder in the environment for each cache that would have none.

    What a person has set stays. Child processes inherit what is chosen here.
    """
    lacking = [
        name for name, is_fine in _places().items() if name not in os.environ and not is_fine
    ]
    if not lacking:
        return
    folder = _own_folder()
    if folder is None:
        return
    for name in lacking:
        os.environ[name] = str(folder / name.partition("_")[0].lower())
        Path(os.environ[name]).mkdir(mode=0o700, exist_ok=True)
    if "numba" in sys.modules and "NUMBA_CACHE_DIR" in lacking:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
    print(f"racer: {_home() or 'HOME'} cannot be written; caches go to {folder}", file=sys.stderr)


def _places() -> dict[str, bool]:
    """Whether each cache can be written where its library would put it."""
    home = _home()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or (home or Path("/")) / ".cache")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or (home or Path("/")) / ".config")
    can_cache = bool(home or "XDG_CACHE_HOME" in os.environ) and is_writable(cache)
    can_configure = bool(home or "XDG_CONFIG_HOME" in os.environ) and is_writable(config)
    return {
        "NUMBA_CACHE_DIR": is_writable(PACKAGE_DIR / "track" / "__pycache__") or can_cache,
        "MPLCONFIGDIR": can_cache and can_configure,
        "XDG_CACHE_HOME": can_cache,
    }


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is not there yet."""
    there = next(place for place in (folder, *folder.parents) if _exists(place))
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        return False
    if os.geteuid() != 0:
        return True
    # Root may write anywhere, says access(2), even where there is nothing that keeps files: /proc.
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


def _exists(place: Path) -> bool:
    try:
        place.stat()
    except OSError:
        return place == Path(place.anchor)
    return True


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # a user without a name or a home, as containers have them
        return None


def _own_folder() -> Path | None:
    """A folder of this user alone below the temporary one, the same for each process.

    Somebody else could have put one there with code in it, so that one would not be used.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"racer-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if is_ours and not found.st_mode & 0o077 and is_writable(folder):
            return folder
        return Path(tempfile.mkdtemp(prefix=f"racer-{os.getuid()}-"))
    except OSError:
        return None
