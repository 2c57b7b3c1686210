"""Caches of libraries: where they are read-only, and where they are out of date.

Containers, clusters and notebook servers often have a read-only install and a read-only home
directory. numba refuses to start there; matplotlib and fontconfig warn and build their caches anew
each time. This module gives them a folder in the temporary directory before they are imported.

numba compiles a kernel anew if its own file has changed, but not if another file has that the
kernel takes functions or constants from. After a `git pull` it would run yesterday's physics.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parents[1]


def prepare_caches() -> None:
    """Set the environment variable of each cache that has no writable folder to one that is.

    A variable that is set already is kept. Child processes inherit the variables.
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


def forget_stale_kernels() -> None:
    """Delete numba's cached kernels beside racer's code if a file beside a kernel is newer."""
    indices = list(PACKAGE_DIR.glob("*/__pycache__/*.nbi"))
    if not indices:
        return
    try:
        rooms = {index.parents[1] for index in indices}
        changed = max(file.stat().st_mtime for room in rooms for file in room.glob("*.py"))
        if changed >= min(index.stat().st_mtime for index in indices):
            for index in indices:
                index.unlink(missing_ok=True)
    except OSError:  # another process does the same, or the folder is read-only
        return


def private_folder(name: str) -> Path | None:
    """Return a folder that only this user can write to, for copies that can be made again.

    It is in the user's cache, or in the temporary directory where that cannot be written.

    Args:
        name: The folder's name.

    Returns:
        The folder, which exists; None if none can be made or written to.
    """
    cache = user_cache()
    own = cache / "racer" if cache is not None and is_writable(cache) else _own_folder()
    if own is None:
        return None
    try:
        (own / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return own / name if is_writable(own / name) else None


def _places() -> dict[str, bool]:
    """Return whether the default folder of each cache is writable, by environment variable."""
    home, cache = _home(), user_cache()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or (home or Path("/")) / ".config")
    can_cache = cache is not None and is_writable(cache)
    can_configure = bool(home or "XDG_CONFIG_HOME" in os.environ) and is_writable(config)
    return {
        "NUMBA_CACHE_DIR": is_writable(PACKAGE_DIR / "track" / "__pycache__") or can_cache,
        "MPLCONFIGDIR": can_cache and can_configure,
        "XDG_CACHE_HOME": can_cache,
    }


def user_cache() -> Path | None:
    """Return the folder of this user's caches, which may be missing; None without a home."""
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own)
    home = _home()
    return home and home / ".cache"


def is_writable(folder: Path) -> bool:
    """Return whether files can be created in a folder, or the folder itself if it is missing."""
    there = next(place for place in (folder, *folder.parents) if _exists(place))
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        return False
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        return True
    # On Windows access(2) looks at few permissions, and for root it allows writing even where no
    # file can be created, such as in /proc.
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
    except RuntimeError:  # a user without a name or a home directory, as in containers
        return None


def _own_folder() -> Path | None:
    """Return a folder in the temporary directory that only this user can read and write.

    It is the same for each process, unless a folder of that name belongs to another user, who could
    have put code into it; then it is a new one. Return None if no folder can be created.
    """
    try:
        if not hasattr(os, "getuid"):  # Windows has a temporary directory for each user.
            folder = Path(tempfile.gettempdir()) / "racer"
            folder.mkdir(exist_ok=True)
            return folder
        folder = Path(tempfile.gettempdir()) / f"racer-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if is_ours and not found.st_mode & 0o077 and is_writable(folder):
            return folder
        return Path(tempfile.mkdtemp(prefix=f"racer-{os.getuid()}-"))
    except OSError:
        return None
