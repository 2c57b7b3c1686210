"""The archive that a DeepRacer car loads: `agent/model.pb` and `model_metadata.json`.

What the car reads is taken from the public source of its packages: `model_optimizer_pkg` (names and
shapes of the inputs), `inference_pkg` (frames), `webserver_pkg` and `sensor_fusion_pkg` (the
lidar's figures) and `deepracer_navigation_pkg` (actions).
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from racer import __version__
from racer.assets.atomic import write_own
from racer.car.action_space import ActionSpace
from racer.deepracer.metadata import SENSOR_KINDS, metadata_as_json
from racer.errors import ConfigError
from racer.sensors.config import LidarConfig, SectorLidarConfig, SensorConfig

CAR_FRAME = (120, 160)
"""Height and width [px] of the frames that the car gives its model."""
CAR_SENSORS = ("FRONT_FACING_CAMERA", "STEREO_CAMERAS", "LEFT_CAMERA", "LIDAR", "SECTOR_LIDAR")
"""The sensors that the car's loader knows, besides `observation`, the first models' camera."""
CAR_OUTPUT = "main_level/agent/main/online/network_1/ppo_head_0/policy"
"""Name of the graph's output."""
MODEL_FILE = "agent/model.pb"
"""The graph's file in the archive."""
METADATA_FILE = "model_metadata.json"
"""The metadata's file in the archive."""
WRITER_KEY = "exported_by"
"""Key of the metadata that names the program that wrote the archive; the car does not read it."""


def car_input_name(sensor: str) -> str:
    """Return the name of the graph's input for a sensor, given DeepRacer's name of it.

    These are the names for the algorithm clipped_ppo; those for sac have `policy` for `main`.
    """
    return f"main_level/agent/main/online/network_0/{sensor}/{sensor}"


def car_inputs(sensors: Sequence[SensorConfig]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the name and shape of the car's input for each sensor, by the sensor's name.

    A shape has no batch axis: (120, 160, planes) of a camera, (k,) of a lidar.

    Raises:
        ConfigError: The car cannot give a policy what one of the sensors shows.
    """
    if not any(sensor.name in ("camera", "left_camera", "stereo") for sensor in sensors):
        raise ConfigError(
            f"a car gives its model a camera's frames, alone or with a lidar; the policy sees "
            f"{_listed(sensors)}: train one with `sensor: camera`"
        )
    cameras = [one.name for one in sensors if "lidar" not in one.name and one.name != "state"]
    if len(cameras) > 1:
        raise ConfigError(
            f"a car has one kind of camera at a time; the policy sees {', '.join(cameras)}: "
            "train one with a single one of them"
        )
    return {sensor.name: _car_input(sensor) for sensor in sensors}


def _car_input(sensor: SensorConfig) -> tuple[str, tuple[int, ...]]:
    """Return the name and shape of the car's input for one sensor."""
    theirs = {kind: name for name, kind in SENSOR_KINDS.items()}.get(sensor.name)
    if theirs not in CAR_SENSORS:
        raise ConfigError(
            f"the car's loader has no sensor {sensor.name}; it knows {', '.join(CAR_SENSORS)}: "
            "train a policy without it"
        )
    if sensor.stack > 1:
        raise ConfigError(
            f"the car shows its model one frame at a time; the policy sees the last "
            f"{sensor.stack} of {sensor.name}: train one with `stack: 1`"
        )
    if isinstance(sensor, LidarConfig | SectorLidarConfig):
        if sensor.yaw_deg % 360 != 180:
            raise ConfigError(
                f"the car's lidar is mounted backwards, as with `yaw_deg: 180`; the policy's has "
                f"{sensor.yaw_deg:g}: train one with the default"
            )
        return car_input_name(theirs), sensor.space.shape
    height, width, planes = sensor.space.shape
    if planes > 2:
        raise ConfigError(
            "the car gives its model grey frames; the policy sees colours: train one with "
            "`colour: grey`"
        )
    (car_height, car_width) = CAR_FRAME
    if car_height % height or car_width % width:
        raise ConfigError(
            f"the car's frames are {car_width}x{car_height}; the policy's, {width}x{height}, are "
            "not those divided by a whole number: train one with 160x120, 80x60, 40x30 or 32x24"
        )
    return car_input_name(theirs), (*CAR_FRAME, planes)


def _listed(sensors: Sequence[SensorConfig]) -> str:
    return ", ".join(sensor.name for sensor in sensors)


def car_metadata(
    actions: ActionSpace, sensors: Sequence[SensorConfig], preset: str = "shallow"
) -> dict[str, Any]:
    """Return the archive's `model_metadata.json` for a policy.

    The algorithm in it is always clipped_ppo, because the car derives the names of the graph's
    inputs from it.

    Args:
        actions: The policy's action space.
        sensors: The policy's sensors.
        preset: Preset of its network.

    Raises:
        ConfigError: The car cannot carry out the actions.
    """
    if actions.kind == "continuous":
        (low, left), (slow, fast) = actions.steering_deg, actions.speed
        if left <= 0 or -low > left or slow >= fast:
            raise ConfigError(
                "the car divides a continuous action's steering by its upper limit, and needs a "
                f"speed above the lowest; got steering {low:g} to {left:g} deg and speed {slow:g} "
                f"to {fast:g} m/s: train one with limits such as [-30, 30] and [0.5, 2]"
            )
    elif not any(steering for steering, _ in actions.choices):
        raise ConfigError(
            "the car divides steering by the largest angle of the list; all angles are 0: train "
            "a policy that steers"
        )
    tree = metadata_as_json(actions, [sensor.name for sensor in sensors], preset)
    for sensor in sensors:
        if isinstance(sensor, LidarConfig | SectorLidarConfig):
            is_sector = isinstance(sensor, SectorLidarConfig)
            tree["lidar_config"] = {
                "num_values": sensor.beams,
                "min_angle": -sensor.span_deg / 2,
                "max_angle": sensor.span_deg / 2,
                "min_distance": sensor.near,
                # The car clips ranges to the lower one of these two.
                "max_distance": sensor.clip,
                "clipping_distance": sensor.clip,
                "num_sectors": sensor.sectors if is_sector else sensor.beams,
            }
    return tree | {WRITER_KEY: f"racer {__version__}"}


def pack_car_archive(model: bytes, metadata: dict[str, Any]) -> bytes:
    """Return the bytes of a .tar.gz; equal content gives equal bytes with the same zlib.

    Args:
        model: The frozen graph.
        metadata: Content of `model_metadata.json`.
    """
    members = {MODEL_FILE: model, METADATA_FILE: json.dumps(metadata, indent=2).encode() + b"\n"}
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def write_car_archive(path: Path, model: bytes, metadata: dict[str, Any]) -> None:
    """Write the archive for the car; it may replace one that racer wrote, but no other file.

    Args:
        path: The .tar.gz to write.
        model: The frozen graph.
        metadata: Content of `model_metadata.json`.

    Raises:
        ConfigError: The file's name has another suffix, or it cannot be written.
    """
    if not path.name.endswith(".tar.gz"):
        raise ConfigError(f"{path}: the car takes a .tar.gz; name it {path.name}.tar.gz")
    try:
        write_own(path, pack_car_archive(model, metadata), _is_ours)
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be written: {problem.strerror or problem}") from problem


def _is_ours(content: bytes) -> bool:
    """Return whether racer wrote an archive of these bytes."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            file = archive.extractfile(METADATA_FILE)
            return file is not None and WRITER_KEY in json.load(file)
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError):
        return False
