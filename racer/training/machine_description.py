"""A machine in words, as what a training time depends on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from racer.assets.processes import usable_cores


def describe_machine(device: str) -> str:
    """Return this machine in words: processor, cores that may be used, memory and GPU.

    Args:
        device: The config's device; a GPU is named only if the training uses it.
    """
    import torch

    cores = usable_cores()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    uses_gpu = device != "cpu" and torch.cuda.is_available()
    gpu = torch.cuda.get_device_name() if uses_gpu else "no GPU"
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB, {gpu}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
