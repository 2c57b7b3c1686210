"""A run's best policy as an entry for a board."""

from __future__ import annotations

import hashlib
from pathlib import Path

from racer.policy.entry import TrainedOn, write_entry
from racer.policy.export import input_shapes, to_onnx
from racer.policy.signing import PrivateKey
from racer.registration import ENV_IDS
from racer.track import load_track
from racer.training.folder import Run
from racer.training.run import trained_actor


def export_run(folder: Path, out: Path, name: str, key: PrivateKey | None = None) -> str:
    """Write the entry of a run's best checkpoint.

    Args:
        folder: The run's folder.
        out: The entry to write.
        name: What a board calls it.
        key: Signs the entry.

    Returns:
        The entry's SHA-256.

    Raises:
        RunError: The folder holds no run, or no checkpoint that fits it.
    """
    run = Run.open(folder)
    config, actor, steps = trained_actor(run)
    return write_entry(
        out,
        to_onnx(actor, input_shapes(config.sensor)),
        name=name,
        env=ENV_IDS[config.race.kind],
        car=config.car,
        sensor=config.sensor,
        actions=config.actions,
        trained_on=TrainedOn(
            track=load_track(config.track[0]).name,
            walls=config.race.walls,
            config_sha256=run.written_config().digest,
            reward_sha256=hashlib.sha256(Path(config.reward or "").read_bytes()).hexdigest(),
            steps=steps,
            seed=config.seed,
        ),
        key=key,
    )
