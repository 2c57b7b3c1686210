"""NVIDIA Warp, loaded once with the settings of this project, and the devices that it finds."""

from __future__ import annotations

import functools
import os
from typing import Any

from racer.assets.caches import private_folder
from racer.assets.extras import how_to_install
from racer.errors import ConfigError, RacerError

EXACT_OPTIONS: dict[str, Any] = {"fuse_fp": False, "enable_backward": False}
"""Options of a Warp module whose float64 results must be the bits of the numba code: no fused
multiply-add, and no gradients, which nothing here needs and which double the time to compile."""
PICTURE_OPTIONS: dict[str, Any] = {"enable_backward": False}
"""Options of a Warp module of float32 sensors, whose last bits do not matter."""
COMPILED_ARCHITECTURES = (75, 86, 90)
"""Compute capabilities that every kernel is compiled for in the tests: Turing, Ampere, Hopper."""


@functools.cache
def load_warp() -> Any:
    """Return the module `warp`, initialised and quiet, with its kernel cache beside racer's others.

    A module with kernels has `import warp as wp` at its top, and after it
    `wp.set_module_options(EXACT_OPTIONS)`, or `PICTURE_OPTIONS` for float32 sensors. It is imported
    inside functions that have called this one, so that nothing else needs Warp.

    Raises:
        RacerError: Warp is not installed.
    """
    try:
        import warp
    except ModuleNotFoundError as problem:
        if problem.name != "warp":
            raise
        raise RacerError(
            "warp is not installed, by which cars are driven on a GPU; " + how_to_install("gpu")
        ) from problem
    warp.config.log_level = warp.LOG_WARNING
    warp.config.enable_backward = False
    if "WARP_CACHE_PATH" not in os.environ and (folder := private_folder("warp")) is not None:
        warp.config.kernel_cache_dir = str(folder)
    warp.init()
    return warp


def choose_device(name: str = "auto") -> Any:
    """Return a Warp device.

    Args:
        name: `auto`, the first CUDA device if there is one, else the processor; `cpu`; `cuda`, the
            current CUDA device; or `cuda:0` and so on.

    Returns:
        A `warp.Device`; `str(device)` is a name that torch knows too, and `device.is_cuda` tells
        which of the two it is.

    Raises:
        ConfigError: There is no such device here.
        RacerError: Warp is not installed.
    """
    warp = load_warp()
    found = [device.alias for device in warp.get_cuda_devices()]
    if name == "auto":
        name = found[0] if found else "cpu"
    if name == "cuda" and found:
        return warp.get_cuda_device()
    if name not in ("cpu", *found):
        there = ", ".join(["cpu", *found])
        more = "" if found else "; Warp finds no CUDA device, which needs NVIDIA's driver"
        raise ConfigError(f"device {name!r} is not here; known: auto, {there}{more}")
    return warp.get_device(name)


def has_cuda() -> bool:
    """Return whether Warp is installed and finds a CUDA device."""
    try:
        return bool(load_warp().get_cuda_devices())
    except RacerError:
        return False
