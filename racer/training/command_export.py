"""Export of a run's policy as an ONNX graph from float frames to commands, for any car."""

from __future__ import annotations

import json
from pathlib import Path

from racer import __version__
from racer.assets.atomic import write_own
from racer.entries.interface import interface_of_commands
from racer.errors import RunError
from racer.networks.onnx_export import commands_to_onnx, input_shapes
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.export import entry_name
from racer.training.run_dir import Run


def export_commands(folder: Path, out: Path, checkpoint: CheckpointChoice = "best") -> None:
    """Write the graph of one of a run's checkpoints; docs/own-car.md describes it.

    Its `metadata_props` describe each input and output in words, and have the run's car, sensors
    and actions as JSON.

    Args:
        folder: The run's folder.
        out: The .onnx file to write; it may replace one that racer wrote, but no other file.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.

    Raises:
        RunError: The folder holds no run, or no such checkpoint that fits it; or the file cannot
            be written.
    """
    run = Run.open(folder)
    policy = load_checkpoint_policy(run, run.checkpoint(checkpoint).name)
    config, actor = policy.config, policy.network.actor()
    about = interface_of_commands(config.sensor, actor.hidden_state_size)
    properties = {
        "name": entry_name(folder, checkpoint=checkpoint),
        "racer_version": __version__,
        "control_rate_hz": f"{about.control_rate_hz:g}",
        **{f"input {name}": text for name, text in about.inputs.items()},
        **{f"output {name}": text for name, text in about.output.items()},
        "car": config.car,
        "sensor": json.dumps([sensor.model_dump(mode="json") for sensor in config.sensor]),
        "actions": config.actions.model_dump_json(),
    }
    graph = commands_to_onnx(actor, input_shapes(config.sensor), config.actions, properties)
    try:
        write_own(out, graph, _is_ours)
    except OSError as problem:
        raise RunError(f"{out}: cannot be written: {problem.strerror or problem}") from problem


def _is_ours(content: bytes) -> bool:
    """Return whether racer wrote an ONNX file of these bytes."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        return False
    return any(one.key == "racer_version" for one in model.metadata_props)
