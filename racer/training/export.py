"""Export of a run's best policy as an entry for a leaderboard, from the run's folder alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

from racer.entries.package import TrainedOn, save_entry
from racer.entries.signing import PrivateKey
from racer.networks.onnx_export import actor_to_onnx, input_shapes
from racer.registration import ENV_IDS
from racer.track import load_track
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.config import RunConfig
from racer.training.run_dir import Run


class BestPolicy(NamedTuple):
    """The policy of a run's best checkpoint.

    Attributes:
        run: The run.
        config: The run's config.
        graph: The policy's ONNX graph.
        steps: Control steps before the checkpoint, over all cars.
    """

    run: Run
    config: RunConfig
    graph: bytes
    steps: int


def entry_name(folder: Path, is_int8: bool = False) -> str:
    """Return the default name of a run's entry; its default file is `<name>.entry.zip`.

    Args:
        folder: The run's folder; for `.` the folder's real name is taken.
        is_int8: Whether the policy is quantized to 8 bits.
    """
    name = folder.resolve().name
    return f"{name}-int8" if is_int8 else name


def best_policy(folder: Path) -> BestPolicy:
    """Return the best policy of a run.

    Args:
        folder: The run's folder.

    Raises:
        RunError: The folder holds no run, or no checkpoint that fits it.
    """
    run = Run.open(folder)
    policy = load_checkpoint_policy(run)
    graph = actor_to_onnx(policy.network.actor(), input_shapes(policy.config.sensor))
    return BestPolicy(run, policy.config, graph, policy.steps)


def export_run(folder: Path, out: Path, name: str, key: PrivateKey | None = None) -> str:
    """Write the entry of a run's best checkpoint.

    Args:
        folder: The run's folder.
        out: The entry to write.
        name: The entry's name on a leaderboard.
        key: Signs the entry; None leaves it unsigned.

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
        name: The entry's name on a leaderboard.
        key: Signs the entry; None leaves it unsigned.
        quantization: The numbers that the graph was quantized to; None for float32.

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
