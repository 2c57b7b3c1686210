"""Load the track that a name stands for: a shipped track, a file, or one drawn from a seed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from racer import assets
from racer.assets.document import read_document
from racer.errors import TrackError
from racer.track.formats import ONE_ARRAY_RULE, TRACK_READERS, read_track
from racer.track.generator import GENERATED_PREFIX, generate_track
from racer.track.geometry import Track
from racer.track.track_file import TrackFile, fit_track


def load_track(name: str) -> Track:
    """Return the track that a name stands for.

    Args:
        name: A shipped track's name, the path of a file (a YAML file, a DeepRacer .npy, a centre
            line as .csv), or `generated:SEED`.

    Raises:
        TrackError: There is no such track, or it cannot be driven; the message says why.

    Example:
        >>> load_track("oval")
        <Track oval: 17.0 m long, 0.90 m wide>
        >>> load_track("generated:7")
        <Track generated:7: 43.1 m long, 1.36 m wide>
    """
    if name.startswith(GENERATED_PREFIX):
        return _drawn(name)
    path = assets.find_file(name, "tracks", TrackError)
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _load(path: Path, _changed: int) -> Track:
    """Return the track in a file.

    `_changed`, the file's modification time [ns], makes the cache read a changed file again.
    """
    if path.suffix.lower() in TRACK_READERS:
        return read_track(path)
    if path.suffix.lower() == ".npz":
        raise TrackError(f"{path}: an .npz archive; {ONE_ARRAY_RULE}")
    file = read_document(path, TrackFile, TrackError)
    try:
        return fit_track(file)
    except TrackError as problem:
        raise TrackError(f"{path}: {problem}") from None


@lru_cache(maxsize=64)
def _drawn(name: str) -> Track:
    """Return the track of a name `generated:SEED`."""
    seed = name.removeprefix(GENERATED_PREFIX)
    if not (seed.isascii() and seed.isdigit()) or len(seed) > 18:
        raise TrackError(
            f"{name!r}: after {GENERATED_PREFIX!r} comes a seed, a whole number from 0 on"
        )
    return generate_track(int(seed))
