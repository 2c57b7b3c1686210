"""The runs in a folder as they are now, read again only where their files changed."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from racer.errors import RacerError, RunError
from racer.track import load_track
from racer.track.picture import road_svg
from racer.training.run_dir import Run
from racer.training.run_history import read_summary

SUMMARY_FILES = ("config.yaml", "run.json", "checkpoints.json", "best.json", "note.txt")
"""The files that a run's summary is read from."""


class ListedRun(NamedTuple):
    """A run in the garage.

    Attributes:
        name: The name of its folder.
        summary: See `racer.training.run_history.summarize_run`.
        track: The track's name or file; "" if the config cannot be read.
        more_tracks: How many further tracks it trains on.
    """

    name: str
    summary: dict[str, Any]
    track: str
    more_tracks: int


class RunFolder:
    """The runs in a folder; several threads may ask.

    Args:
        path: The folder; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading = threading.Lock()
        self._known: dict[str, tuple[tuple[Any, ...], ListedRun]] = {}

    def runs(self) -> list[ListedRun]:
        """Return the runs, the newest first."""
        with self._reading:
            folders = sorted(one.parent for one in self.path.glob("*/config.yaml"))
            self._known = {folder.name: self._read(folder) for folder in folders}
            found = [run for _, run in self._known.values()]
        return sorted(found, key=lambda one: one.summary.get("began") or "", reverse=True)

    def open(self, name: str) -> Run:
        """Return the run of a name.

        Raises:
            RunError: There is no such run in the folder.
        """
        if Path(name).name != name or name in ("", "..") or "\\" in name or "\0" in name:
            raise RunError(f"{name!r:.100} is no run's name")
        return Run.open(self.path / name)

    def _read(self, folder: Path) -> tuple[tuple[Any, ...], ListedRun]:
        stamp = (
            _is_running(folder),
            Run(folder).is_requested("pause"),
            *(_stamp(folder / name) for name in SUMMARY_FILES),
        )
        if (known := self._known.get(folder.name)) and known[0] == stamp:
            return known
        try:
            tracks = Run(folder).config().track
        except RacerError:
            tracks = ("",)
        summary = read_summary(folder)
        return stamp, ListedRun(folder.name, summary, tracks[0], len(tracks) - 1)


def track_svg(track: str) -> Markup | None:
    """Return a track's picture in the ink of the page; None if the track cannot be loaded."""
    return _drawn(track, _stamp(Path(track)))


@lru_cache(maxsize=256)
def _drawn(track: str, stamp: tuple[int, int] | None) -> Markup | None:
    try:
        named = Markup('role="img" aria-label="the track {}"').format(Path(track).stem)
        return Markup(road_svg(load_track(track)).replace('role="img"', named, 1))
    except RacerError:
        return None


def _is_running(folder: Path) -> bool:
    try:
        return Run(folder).is_running()
    except OSError:  # The folder may have been deleted just now.
        return False


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return a file's time and size; None if there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
