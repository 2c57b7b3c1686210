"""Levels of libraries' loggers, whatever level a reward gives to the root logger."""

from __future__ import annotations

import logging

VERBOSE_LIBRARIES = (
    "matplotlib",
    "numba",
    "PIL",
    "asyncio",
    "shapely",
    "tensorboard",
    "onnxscript",
)
"""Libraries that write hundreds of lines each at the level DEBUG."""


def keep_libraries_quiet() -> None:
    """Let libraries log warnings only, so that `logging.basicConfig(level=DEBUG)` in a reward
    shows what the reward logs.
    """
    for name in VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
