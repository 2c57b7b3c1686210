"""What a film may be called, how large it may be, and what the cars in it are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from racer.errors import ConfigError

VIDEO_SUFFIXES = (".mp4", ".gif", ".png")
VIDEO_SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
LEAST, MOST = (160, 120), (3840, 2160)
"""The smallest and the largest picture, width and height [pixels]."""
DEFAULT_SIZES = {".gif": (480, 270), ".png": VIDEO_SIZES["720p"]}
"""Where no size is asked for: a .gif must stay small, a still may be large."""


def refuse_suffix(path: Path) -> None:
    """Nothing, where a film can be written under this name.

    Raises:
        ConfigError: Its suffix is none of `VIDEO_SUFFIXES`.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        got = f"ends with {path.suffix!r}" if path.suffix else "has no suffix"
        raise ConfigError(
            f"--video {path}: the name {got}; wanted is .mp4 or .gif for a film, "
            "or .png for a still of it"
        )


def video_size(word: str | None, path: Path) -> tuple[int, int]:
    """Width and height of a film [pixels] from a word; where there is none, as its file asks.

    Args:
        word: One of `VIDEO_SIZES`, or WIDTHxHEIGHT.
        path: The film's file.

    Raises:
        ConfigError: It is neither, or out of range, or odd.
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
        f"--size {word}: wanted is {', '.join(VIDEO_SIZES)}, or WIDTHxHEIGHT in even pixels "
        f"from {LEAST[0]}x{LEAST[1]} to {MOST[0]}x{MOST[1]}"
    )


def numbered_names(names: Sequence[str]) -> list[str]:
    """The names, with numbers behind those that repeat: bob, bob 2, bob 3."""
    told: list[str] = []
    for name in names:
        number, own = 1, name
        while own in told:
            number += 1
            own = f"{name} {number}"
        told.append(own)
    return told
