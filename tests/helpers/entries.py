"""Entries whose policy and manifest a test knows."""

import hashlib
from pathlib import Path
from typing import Any

from racer.car.action_space import ActionSpace
from racer.entries.package import Entry, Manifest, TrainedOn
from racer.sensors.config import CameraConfig, StateConfig

STATE, CONTINUOUS = (StateConfig(),), ActionSpace()
POLICY = bytes(range(256)) * 8
"""Bytes that stand for a graph where no test runs it."""
TRAINED_ON = TrainedOn(
    track="bowtie", config_sha256="a" * 64, reward_sha256="b" * 64, steps=300_000, seed=7
)
FIELDS: dict[str, Any] = {
    "name": "swift",
    "author": "Ada Łovelace",
    "env": "racer/TimeTrial-v0",
    "sensor": (CameraConfig(),),
    "actions": ActionSpace(),
    "trained_on": TRAINED_ON,
}
"""What `save_entry` is told besides the policy."""


def entry_of(
    policy: bytes,
    sensor=STATE,
    actions: ActionSpace = CONTINUOUS,
    hidden_state_size: int | None = None,
) -> Entry:
    """Return an entry of a graph, without a file."""
    manifest = Manifest(
        name="swift",
        racer_version="0.1.0",
        env="racer/TimeTrial-v0",
        sensor=sensor,
        actions=actions,
        hidden_state_size=hidden_state_size,
        trained_on=TRAINED_ON,
        files={"policy.onnx": hashlib.sha256(policy).hexdigest()},
    )
    return Entry(manifest, policy, "0" * 64, Path("swift.entry.zip"), b"")
