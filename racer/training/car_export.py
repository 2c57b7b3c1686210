"""Export of a run's policy as the archive that a DeepRacer car loads."""

from __future__ import annotations

from pathlib import Path

from racer.deepracer.car_archive import CAR_OUTPUT, car_inputs, car_metadata, write_car_archive
from racer.errors import ConfigError, RunError
from racer.networks.frozen_graph import PlaceholderInput, actor_to_graph_def
from racer.networks.onnx_export import input_shapes
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.run_dir import Run


def export_car(folder: Path, out: Path, checkpoint: CheckpointChoice = "best") -> None:
    """Write the archive of one of a run's checkpoints; see `racer.deepracer.car_archive`.

    Args:
        folder: The run's folder.
        out: The .tar.gz to write.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.

    Raises:
        RunError: The folder holds no run, or no such checkpoint that fits it; or the car cannot
            drive its policy.
        ConfigError: The file cannot be written.
    """
    run = Run.open(folder)
    config = run.config()
    if config.actor_layout.hidden_state_size:
        raise RunError(
            f"{folder}: the car's model keeps nothing from frame to frame; the policy of "
            f"{config.algorithm} remembers: train one with `algorithm: ppo`"
        )
    try:
        named = car_inputs(config.sensor)
        metadata = car_metadata(config.actions, config.sensor, config.network.preset)
    except ConfigError as problem:
        raise RunError(f"{folder}: {problem}") from problem
    policy = load_checkpoint_policy(run, run.checkpoint(checkpoint).name)
    actor, shapes = policy.network.actor(), input_shapes(config.sensor)
    inputs = {name: PlaceholderInput(*given) for name, given in zip(actor.names, named.values())}
    graph = actor_to_graph_def(actor, shapes, inputs, CAR_OUTPUT)
    write_car_archive(out, graph, metadata)
