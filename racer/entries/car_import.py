"""Makes an entry of the archive that a DeepRacer car loads, so that its model can race here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from racer.deepracer.archive import open_model
from racer.deepracer.car_archive import METADATA_FILE, MODEL_FILE
from racer.deepracer.metadata import Metadata, read_metadata
from racer.entries.entry_check import CheckedEntry
from racer.entries.external_policy import write_foreign_entry
from racer.entries.frozen_graph_reader import frozen_graph_to_onnx
from racer.errors import ConfigError
from racer.networks.network_config import OBSERVATION_INPUT

CAR_OUTPUT_ENDS = ("ppo_head_0/policy", "sac_policy_head_0/policy")
"""Ends of the name of the output of a model that clipped_ppo or sac trained."""


def import_car(archive: Path, out: Path, name: str) -> CheckedEntry:
    """Convert an archive for a car to an entry, check it as a leaderboard does, and write it.

    The model is run in the sandbox only. Its sensors and actions are those of the archive's
    metadata; a camera has the size of the graph's input.

    Args:
        archive: The .tar.gz, or its unpacked folder, with `agent/model.pb` and
            `model_metadata.json`.
        out: The entry to write.
        name: Its name on a leaderboard, 1-60 characters.

    Returns:
        The result of the check.

    Raises:
        ConfigError: The archive or its metadata cannot be used.
        EntryError: The graph cannot be converted, or a leaderboard would refuse the entry.
    """
    with open_model(archive, f"{MODEL_FILE} and {METADATA_FILE}") as folder:
        metadata_path = folder / METADATA_FILE
        if not metadata_path.is_file():
            raise ConfigError(f"{archive} has no {METADATA_FILE}; {_REMEDY}")
        metadata = read_metadata(metadata_path)
        found = (folder / MODEL_FILE, folder / Path(MODEL_FILE).name)
        model = next((path for path in found if path.is_file()), None)
        if model is None:
            raise ConfigError(f"{archive} has no {MODEL_FILE}; {_REMEDY}")
        content = model.read_bytes()
    sensors = metadata.sensors()
    kinds = [sensor["kind"] for sensor in sensors]
    names = [OBSERVATION_INPUT] if len(kinds) == 1 else kinds
    is_discrete = metadata.action_space_type == "discrete"
    actions = metadata.actions()
    outputs = len(actions["choices"]) if is_discrete else 2
    graph, shapes = frozen_graph_to_onnx(
        content, CAR_OUTPUT_ENDS, dict(zip(metadata.sensor, names)), outputs, is_discrete
    )
    for sensor, given in zip(sensors, names):
        sensor |= _size_of(sensor["kind"], shapes[given], metadata)
    return write_foreign_entry(
        graph,
        out,
        name=name,
        sensor=sensors,
        actions=actions,
        env="racer/TimeTrial-v0",
    )


_REMEDY = "give the archive that the console, or `racer export --car`, writes for a car"


def _size_of(kind: str, shape: tuple[int, ...], metadata: Metadata) -> dict[str, Any]:
    """Return the fields of a sensor that the graph's input and the lidar's figures determine."""
    if "lidar" not in kind:
        return {"height": shape[0], "width": shape[1]} if len(shape) == 3 else {}
    given = metadata.lidar_config.model_extra or {}
    if kind == "discretized_sector_lidar" or "num_values" not in given:
        return {}
    fields = {
        "beams": given["num_values"],
        "span_deg": given.get("max_angle", 150) - given.get("min_angle", -150),
        "near": given.get("min_distance", 0.15),
        "clip": min(given.get("max_distance", 1.0), given.get("clipping_distance", 1.0)),
    }
    return fields | ({"sectors": shape[0]} if kind == "sector_lidar" else {})
