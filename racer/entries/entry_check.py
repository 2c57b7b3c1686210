"""Checks that an entry's policy, run in the sandbox, returns valid actions in time."""

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
"""Timed calls that a policy must answer; one untimed warm-up call precedes them."""


@dataclass(frozen=True)
class CheckedEntry:
    """An entry that passed every check and may be evaluated by a leaderboard.

    Attributes:
        entry: The entry.
        box: Isolation of the sandbox that it ran in; see `SandboxedPolicy.strength`.
        answer_s: Median processor time of one action, the sandbox's overhead included [s].
    """

    entry: Entry
    box: str
    answer_s: float

    def as_dict(self) -> dict[str, Any]:
        """Return what `racer board check --json` prints for an accepted entry."""
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
    """Check an entry's graph, run its policy in the sandbox, and return the measured result.

    Args:
        entry: An entry from `read_entry`.

    Raises:
        EntryError: As `SandboxedPolicy`, and with the code `slow` if the median action takes
            longer than the control period. Processor time is measured, not wall-clock time, so
            that a busy machine does not make a policy look slow.
    """
    with SandboxedPolicy(entry) as policy:
        times: list[float] = []
        for observation in _observations(entry):
            before = policy.cpu_s
            policy(observation)
            times.append(policy.cpu_s - before)
            # The first call warms up. Stop as soon as the median is decided.
            slow_calls = sum(seconds > CONTROL_PERIOD_S for seconds in times[1:])
            if slow_calls > TRIAL_OBSERVATIONS // 2:
                raise EntryError(
                    f"{entry.manifest.name}: an action takes {median(times[1:]):.3f} s, and a car "
                    f"needs one every {CONTROL_PERIOD_S:.3f} s; train a smaller network",
                    "slow",
                )
        return CheckedEntry(entry, policy.strength, median(times[1:]))


def _observations(entry: Entry) -> Iterator[Observations]:
    """Yield the sensors' lowest and highest observations, then fixed pseudo-random ones."""
    rng = np.random.default_rng(0)
    sensors = entry.manifest.sensor
    for trial in range(TRIAL_OBSERVATIONS + 1):
        observation = {}
        for sensor in sensors:
            low, high = sensor.space.low, sensor.space.high
            share = trial if trial < 2 else rng.random(low.shape)
            values = low + share * (high.astype(float) - low)
            observation[sensor.name] = values.astype(sensor.space.dtype)[None]
        yield observation if len(sensors) > 1 else next(iter(observation.values()))
