"""Export of a run's policy as an entry for a leaderboard, from the run's folder alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from racer.entries.package import Entry, TrainedOn, read_entry, save_entry
from racer.entries.signing import PrivateKey
from racer.networks.onnx_export import actor_to_onnx, input_shapes
from racer.registration import ENV_IDS
from racer.track import load_track
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.config import RunConfig
from racer.training.run_dir import Run


class TrainedPolicy(NamedTuple):
    """The policy of one of a run's checkpoints.

    Attributes:
        run: The run.
        config: The run's config.
        graph: The policy's ONNX graph.
        steps: Control steps before the checkpoint, over all cars.
        hidden_state_size: Numbers that a recurrent policy remembers; None if it is not recurrent.
    """

    run: Run
    config: RunConfig
    graph: bytes
    steps: int
    hidden_state_size: int | None = None


def entry_name(folder: Path, is_int8: bool = False, checkpoint: CheckpointChoice = "best") -> str:
    """Return the default name of a run's entry; its default file is `<name>.entry.zip`.

    Args:
        folder: The run's folder; for `.` the folder's real name is taken.
        is_int8: Whether the policy is quantized to 8 bits.
        checkpoint: The exported checkpoint; another one than the best is part of the name.
    """
    name = folder.resolve().name
    name += "" if checkpoint == "best" else f"-{checkpoint}"
    return f"{name}-int8" if is_int8 else name


def trained_policy(folder: Path, checkpoint: CheckpointChoice = "best") -> TrainedPolicy:
    """Return the policy of one of a run's checkpoints.

    Args:
        folder: The run's folder.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.

    Raises:
        RunError: The folder holds no run, or no such checkpoint that fits it.
    """
    run = Run.open(folder)
    policy = load_checkpoint_policy(run, run.checkpoint(checkpoint).name)
    graph = actor_to_onnx(policy.network.actor(), input_shapes(policy.config.sensor))
    size = policy.config.actor_layout.hidden_state_size or None
    return TrainedPolicy(run, policy.config, graph, policy.steps, size)


def export_run(
    folder: Path,
    out: Path,
    name: str,
    key: PrivateKey | None = None,
    checkpoint: CheckpointChoice = "best",
) -> str:
    """Write the entry of one of a run's checkpoints.

    Args:
        folder: The run's folder.
        out: The entry to write.
        name: The entry's name on a leaderboard.
        key: Signs the entry; None leaves it unsigned.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.

    Returns:
        The entry's SHA-256.

    Raises:
        RunError: The folder holds no run, or no such checkpoint that fits it.
    """
    return package_policy(trained_policy(folder, checkpoint), out, name, key)


def entry_of_run(folder: Path, checkpoint: CheckpointChoice = "best") -> Entry:
    """Return the entry of one of a run's checkpoints without leaving a file; see `export_run`.

    Args:
        folder: The run's folder.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.

    Raises:
        RunError: The folder holds no run, or no such checkpoint that fits it.
    """
    name = entry_name(folder, checkpoint=checkpoint)
    with TemporaryDirectory() as place:
        path = Path(place) / "run.entry.zip"
        export_run(folder, path, name, checkpoint=checkpoint)
        return read_entry(path)


def package_policy(
    policy: TrainedPolicy,
    out: Path,
    name: str,
    key: PrivateKey | None = None,
    quantization: Literal["int8"] | None = None,
) -> str:
    """Write the entry of a run's policy.

    Args:
        policy: The policy.
        out: The entry to write.
        name: The entry's name on a leaderboard.
        key: Signs the entry; None leaves it unsigned.
        quantization: The numbers that the graph was quantized to; None for float32.

    Returns:
        The entry's SHA-256.

    Raises:
        EntryError: The entry cannot be written.
    """
    config = policy.config
    return save_entry(
        out,
        policy.graph,
        name=name,
        env=ENV_IDS[config.race.kind],
        car=config.car,
        sensor=config.sensor,
        actions=config.actions,
        trained_on=TrainedOn(
            track=load_track(config.track[0]).name,
            walls=config.race.walls,
            config_sha256=policy.run.written_config().digest,
            reward_sha256=hashlib.sha256(Path(config.reward or "").read_bytes()).hexdigest(),
            steps=policy.steps,
            seed=config.seed,
            lineage=policy.run.lineage(),
        ),
        quantization=quantization,
        hidden_state_size=policy.hidden_state_size,
        key=key,
    )
