"""Log levels of libraries, which do not depend on the level of the root logger."""

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
"""Libraries that log hundreds of lines at the level DEBUG."""


def keep_libraries_quiet() -> None:
    """Let libraries log nothing below a warning.

    After `logging.basicConfig(level=DEBUG)` in a reward file only its own messages are shown.
    """
    for name in VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
