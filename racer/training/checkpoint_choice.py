"""The choice of one of a run's checkpoints, as users write it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

CheckpointChoice = Literal["best", "last"] | int
"""A checkpoint of a run: the best, the last, or the control steps after which it was saved."""


def split_checkpoint(text: str) -> tuple[Path, CheckpointChoice | None]:
    """Return the path in `PATH` or `PATH@CHECKPOINT`, and the chosen checkpoint, if any.

    `CHECKPOINT` is `best`, `last` or a number of steps. What follows an @ otherwise, or is the name
    of a file or folder that exists, belongs to the path.

    Example:
        >>> split_checkpoint("runs/first@40_960")
        (PosixPath('runs/first'), 40960)
    """
    path, _, choice = text.rpartition("@")
    if not path or Path(text).exists():
        return Path(text), None
    if choice in ("best", "last"):
        return Path(path), "best" if choice == "best" else "last"
    is_steps = re.fullmatch(r"[0-9]+(_[0-9]+)*", choice)
    return (Path(path), int(choice)) if is_steps else (Path(text), None)
