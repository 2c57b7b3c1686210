"""Allowed suffixes and sizes of videos, and the names of the cars in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from racer.errors import ConfigError

VIDEO_SUFFIXES = (".mp4", ".gif", ".png")
VIDEO_SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
"""Width and height [pixels] by name."""
LEAST, MOST = (160, 120), (3840, 2160)
"""Width and height of the smallest and the largest picture [pixels]."""
DEFAULT_SIZES = {".gif": (480, 270), ".png": VIDEO_SIZES["720p"]}
"""Default sizes other than 480p: a GIF file must stay small, and a still may be large."""


def refuse_suffix(path: Path) -> None:
    """Raise ConfigError if a video's suffix is not one of `VIDEO_SUFFIXES`."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        got = f"ends with {path.suffix!r}" if path.suffix else "has no suffix"
        raise ConfigError(
            f"--video {path}: the name {got}; it must end with .mp4 or .gif for a video, "
            "or .png for a still of it"
        )


def video_size(word: str | None, path: Path) -> tuple[int, int]:
    """Return the width and height of a video [pixels].

    Args:
        word: One of `VIDEO_SIZES`, or WIDTHxHEIGHT; None for the default of the file's suffix.
        path: The video's file.

    Raises:
        ConfigError: If the word is neither, or a number is out of range or odd.

    Example:
        >>> video_size("640x360", Path("race.mp4"))
        (640, 360)
        >>> video_size(None, Path("race.png"))
        (1280, 720)
    """
    if word is None:
        return DEFAULT_SIZES.get(path.suffix.lower(), VIDEO_SIZES["480p"])
    if word in VIDEO_SIZES:
        return VIDEO_SIZES[word]
    parts = word.lower().split("x")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        wide, high = (int(part) for part in parts)
        fits = LEAST[0] <= wide <= MOST[0] and LEAST[1] <= high <= MOST[1]
        if fits and wide % 2 == high % 2 == 0:
            return wide, high
    raise ConfigError(
        f"--size {word}: must be {', '.join(VIDEO_SIZES)}, or WIDTHxHEIGHT in even pixels "
        f"from {LEAST[0]}x{LEAST[1]} to {MOST[0]}x{MOST[1]}"
    )


def numbered_names(names: Sequence[str]) -> list[str]:
    """Return the names with numbers after those that repeat, so that all differ.

    Example:
        >>> numbered_names(["bob", "ann", "bob"])
        ['bob', 'ann', 'bob 2']
    """
    unique: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in unique:
            number += 1
            candidate = f"{name} {number}"
        unique.append(candidate)
    return unique
