"""A run's best policy as an entry for a board."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

from racer.entries.package import TrainedOn, save_entry
from racer.entries.signing import PrivateKey
from racer.networks.onnx_export import actor_to_onnx, input_shapes
from racer.registration import ENV_IDS
from racer.track import load_track
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.train import trained_actor


class BestPolicy(NamedTuple):
    """The policy of a run's best checkpoint.

    Attributes:
        run: The run.
        config: Its config.
        graph: The policy's ONNX graph.
        steps: After how many steps it was saved.
    """

    run: Run
    config: RunConfig
    graph: bytes
    steps: int


def best_policy(folder: Path) -> BestPolicy:
    """Return the best policy of a run.

    Args:
        folder: The run's folder.

    Raises:
        RunError: The folder holds no run, or no checkpoint that fits it.
    """
    run = Run.open(folder)
    config, actor, steps = trained_actor(run)
    return BestPolicy(run, config, actor_to_onnx(actor, input_shapes(config.sensor)), steps)


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
    return package_policy(best_policy(folder), out, name, key)


def package_policy(
    best: BestPolicy,
    out: Path,
    name: str,
    key: PrivateKey | None = None,
    quantization: Literal["int8"] | None = None,
) -> str:
    """Write the entry of a run's policy.

    Args:
        best: The policy.
        out: The entry to write.
        name: What a board calls it.
        key: Signs the entry.
        quantization: What the graph was quantized to.

    Returns:
        The entry's SHA-256.

    Raises:
        EntryError: The entry cannot be written.
    """
    config = best.config
    return save_entry(
        out,
        best.graph,
        name=name,
        env=ENV_IDS[config.race.kind],
        car=config.car,
        sensor=config.sensor,
        actions=config.actions,
        trained_on=TrainedOn(
            track=load_track(config.track[0]).name,
            walls=config.race.walls,
            config_sha256=best.run.written_config().digest,
            reward_sha256=hashlib.sha256(Path(config.reward or "").read_bytes()).hexdigest(),
            steps=best.steps,
            seed=config.seed,
        ),
        quantization=quantization,
        key=key,
    )
