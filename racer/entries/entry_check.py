"""Tries an entry in the box: whether it answers, in time, with actions that are some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from racer.entries.package import Entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import EntryError
from racer.sensors import Observations
from racer.world import CONTROL_PERIOD_S

TRIAL_OBSERVATIONS = 9
"""Observations that a policy is tried on."""


@dataclass(frozen=True)
class CheckedEntry:
    """An entry that a board may judge.

    Attributes:
        entry: The entry.
        box: How strong the box was that it ran in; see `SandboxedPolicy.strength`.
        answer_s: Median processor time of an answer, the box included [s].
    """

    entry: Entry
    box: str
    answer_s: float

    def as_dict(self) -> dict[str, Any]:
        """What `racer board check --json` prints of an entry that is accepted."""
        manifest = self.entry.manifest
        return {
            "code": "ok",
            "name": manifest.name,
            "author": manifest.author,
            "entry_sha256": self.entry.sha256,
            "env": manifest.env,
            "car": manifest.car,
            "sensors": [sensor.name for sensor in manifest.sensor],
            "actions": manifest.actions.kind,
            "quantization": manifest.quantization,
            "signer": self.entry.signer,
            "box": self.box,
            "answer_ms": 1000.0 * self.answer_s,
        }


def check_entry(entry: Entry) -> CheckedEntry:
    """Check an entry's graph, then try it in the box.

    Args:
        entry: A checked package.

    Raises:
        EntryError: What `SandboxedPolicy` refuses, and `slow` where half of the answers or more
        took
            longer than the judge waits between two. Processor time counts, so that a busy machine
            makes no policy slow.
    """
    with SandboxedPolicy(entry) as policy:
        times: list[float] = []
        for observation in _observations(entry):
            before = policy.cpu_s
            policy(observation)
            times.append(policy.cpu_s - before)
            # The first one warms up. No more is asked than decides the median.
            if sum(one > CONTROL_PERIOD_S for one in times[1:]) > TRIAL_OBSERVATIONS // 2:
                raise EntryError(
                    f"{entry.manifest.name}: an answer takes {median(times[1:]):.3f} s, and a car "
                    f"wants one each {CONTROL_PERIOD_S:.3f} s; train a smaller network",
                    "slow",
                )
        return CheckedEntry(entry, policy.strength, median(times[1:]))


def _observations(entry: Entry) -> Iterator[Observations]:
    """The least and the largest numbers that the sensors give, then some between, always alike."""
    draws = np.random.default_rng(0)
    sensors = entry.manifest.sensor
    for trial in range(TRIAL_OBSERVATIONS + 1):
        seen = {}
        for sensor in sensors:
            low, high = sensor.space.low, sensor.space.high
            share = trial if trial < 2 else draws.random(low.shape)
            between = low + share * (high.astype(float) - low)
            seen[sensor.name] = between.astype(sensor.space.dtype)[None]
        yield seen if len(sensors) > 1 else next(iter(seen.values()))
