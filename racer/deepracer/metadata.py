"""Reads and writes `model_metadata.json`: the sensors, actions and network of a DeepRacer model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from racer.assets.document import describe_errors
from racer.assets.text import decode_text
from racer.car.action_space import ActionSpace
from racer.errors import ConfigError

SENSOR_KINDS = {
    "FRONT_FACING_CAMERA": "camera",
    "STEREO_CAMERAS": "stereo",
    "LEFT_CAMERA": "left_camera",
    "LIDAR": "lidar",
    "SECTOR_LIDAR": "sector_lidar",
    "DISCRETIZED_SECTOR_LIDAR": "discretized_sector_lidar",
}
"""DeepRacer's names of sensors, and racer's kinds."""
NETWORK_PRESET_NAMES = {
    "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW": "shallow",
    "DEEP_CONVOLUTIONAL_NETWORK": "standard",
    "DEEP_CONVOLUTIONAL_NETWORK_DEEP": "deep",
}
"""DeepRacer's names of networks, and racer's presets."""
METADATA_VERSION = "5"
"""Version of the format; the first with continuous actions and a lidar's sectors."""

Steering = Annotated[float, Field(ge=-30, le=30)]
Speed = Annotated[float, Field(ge=0.1, le=4)]


class ModelFileBase(BaseModel):
    """Base of models of DeepRacer's files; unknown keys are kept in `model_extra`, not refused."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


ModelFile = TypeVar("ModelFile", bound=ModelFileBase)


class ActionChoice(ModelFileBase):
    """An action of a discrete action space."""

    steering_angle: Steering = Field(description="degrees, positive to the left")
    speed: Speed = Field(description="m/s")
    index: int | None = Field(default=None, ge=0)


class SteeringRange(ModelFileBase):
    """Range of the steering angle [deg], positive to the left."""

    high: Steering
    low: Steering


class SpeedRange(ModelFileBase):
    """Range of the speed [m/s]."""

    high: Speed
    low: Speed


class ActionLimits(ModelFileBase):
    """A continuous action space."""

    steering_angle: SteeringRange
    speed: SpeedRange


class LidarFigures(ModelFileBase):
    """Sectors and range [m] of a discretized sector lidar."""

    num_sectors: int = Field(default=8, ge=1, le=64)
    num_values_per_sector: int = Field(default=8, ge=1, le=64)
    clipping_dist: float = Field(default=2.0, gt=0.15, le=12)


def _is_list(value: Any) -> Any:
    if not isinstance(value, list | dict):
        raise ValueError("must be a list of actions, or the limits of a continuous space")
    return value


class Metadata(ModelFileBase):
    """Content of a `model_metadata.json`; the defaults are those of DeepRacer's first models."""

    action_space: Annotated[
        Annotated[
            Annotated[list[ActionChoice], Tag("list")] | Annotated[ActionLimits, Tag("dict")],
            Discriminator(lambda value: "list" if isinstance(value, list) else "dict"),
        ],
        BeforeValidator(_is_list),
    ]
    action_space_type: Literal["discrete", "continuous"] = "discrete"
    sensor: list[
        Literal[
            "FRONT_FACING_CAMERA",
            "STEREO_CAMERAS",
            "LEFT_CAMERA",
            "LIDAR",
            "SECTOR_LIDAR",
            "DISCRETIZED_SECTOR_LIDAR",
            "observation",
        ]
    ] = Field(default=["FRONT_FACING_CAMERA"], min_length=1)
    neural_network: Literal[
        "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
        "DEEP_CONVOLUTIONAL_NETWORK",
        "DEEP_CONVOLUTIONAL_NETWORK_DEEP",
    ] = "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"
    training_algorithm: Literal["clipped_ppo", "sac"] = "clipped_ppo"
    version: str | float | None = None
    lidar_config: LidarFigures = LidarFigures()

    def actions(self) -> dict[str, Any]:
        """Return the fields of an `ActionSpace`; its choices are in the order of the file."""
        space = self.action_space
        if isinstance(space, ActionLimits):
            return {
                "kind": "continuous",
                "steering_deg": [space.steering_angle.low, space.steering_angle.high],
                "speed": [space.speed.low, space.speed.high],
            }
        choices = [[choice.steering_angle, choice.speed] for choice in space]
        return {"kind": "discrete", "choices": choices}

    def sensors(self) -> list[dict[str, Any]]:
        """Return the fields of each sensor's config; `observation` is the first models' camera."""
        sensors: list[dict[str, Any]] = []
        for name in self.sensor:
            fields: dict[str, Any] = {"kind": SENSOR_KINDS.get(name, "camera")}
            if name == "DISCRETIZED_SECTOR_LIDAR":
                figures = self.lidar_config
                fields |= {
                    "sectors": figures.num_sectors,
                    "values": figures.num_values_per_sector,
                    "clip": figures.clipping_dist,
                }
            sensors.append(fields)
        return sensors


def read_json(path: Path, model: type[ModelFile]) -> ModelFile:
    """Return the content of one of DeepRacer's JSON files, validated as `model`.

    Raises:
        ConfigError: If it cannot be read or a value is invalid; the message names the file, the
            key, the value and what is allowed.
    """
    try:
        tree = json.loads(decode_text(path.read_bytes()), object_pairs_hook=_refuse_repeated_keys)
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot be read: {problem}") from problem
    except json.JSONDecodeError as problem:
        why = f"{problem.msg}, column {problem.colno}"
        raise ConfigError(f"{path}:{problem.lineno}: not valid JSON: {why}") from problem
    except RecursionError as problem:
        raise ConfigError(f"{path}: not valid JSON: it is nested too deeply") from problem
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from None
    if not isinstance(tree, dict):
        got = type(tree).__name__
        raise ConfigError(f"{path}: must be a JSON object with keys; got {got}")
    try:
        return model.model_validate(tree)
    except ValidationError as problem:
        raise ConfigError(describe_errors(problem, model, str(path), tree=tree)) from problem


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; raise ConfigError if a key occurs twice."""
    tree: dict[str, Any] = {}
    for key, value in pairs:
        if key in tree:
            both = f"{tree[key]!r:.80} and {value!r:.80}"
            raise ConfigError(f"the key {key!r} occurs twice, with {both}; remove one of them")
        tree[key] = value
    return tree


def read_metadata(path: Path) -> Metadata:
    """Return the content of a `model_metadata.json`, checked.

    Raises:
        ConfigError: As `read_json`, or if the action space does not match its type or has a wrong
            size.
    """
    found = read_json(path, Metadata)
    space = found.action_space
    if isinstance(space, ActionLimits) != (found.action_space_type == "continuous"):
        got = (
            "the limits of a continuous"
            if isinstance(space, ActionLimits)
            else "the list of a discrete"
        )
        raise ConfigError(
            f"{path}: action_space: {got} space; action_space_type is {found.action_space_type!r}: "
            "make the two agree"
        )
    if isinstance(space, list) and not 2 <= len(space) <= 30:
        raise ConfigError(f"{path}: action_space: 2-30 actions are allowed; got {len(space)}")
    if isinstance(space, ActionLimits):
        for name, ends in (("steering_angle", space.steering_angle), ("speed", space.speed)):
            if ends.low >= ends.high:
                raise ConfigError(
                    f"{path}: action_space.{name}: low must be below high; got {ends.low:g} "
                    f"and {ends.high:g}"
                )
    return found


def read_action_space(path: Path) -> ActionSpace:
    """Return the action space in a `model_metadata.json`.

    Raises:
        ConfigError: As `read_metadata`.
    """
    return ActionSpace.model_validate(read_metadata(path).actions())


def actions_as_json(actions: ActionSpace) -> dict[str, Any]:
    """Return the two keys of a `model_metadata.json` that describe an action space."""
    if actions.kind == "discrete":
        listed: Any = [
            {"steering_angle": steering, "speed": speed, "index": index}
            for index, (steering, speed) in enumerate(actions.choices)
        ]
    else:
        (right, left), (slow, fast) = actions.steering_deg, actions.speed
        listed = {
            "steering_angle": {"high": left, "low": right},
            "speed": {"high": fast, "low": slow},
        }
    return {"action_space": listed, "action_space_type": actions.kind}


def metadata_as_json(
    actions: ActionSpace, kinds: list[str], preset: str = "shallow", algorithm: str = "ppo"
) -> dict[str, Any]:
    """Return the content of a `model_metadata.json`.

    Args:
        actions: The policy's action space.
        kinds: Kinds of its sensors; a kind that DeepRacer does not have keeps racer's name.
        preset: Preset of its network; one that DeepRacer does not have becomes the shallow one.
        algorithm: Its algorithm; one that DeepRacer does not have becomes clipped_ppo.
    """
    sensors = {ours: theirs for theirs, ours in SENSOR_KINDS.items()}
    networks = {ours: theirs for theirs, ours in NETWORK_PRESET_NAMES.items()}
    return actions_as_json(actions) | {
        "sensor": [sensors.get(kind, kind) for kind in kinds],
        "neural_network": networks.get(preset, networks["shallow"]),
        "training_algorithm": "sac" if algorithm == "sac" else "clipped_ppo",
        "version": METADATA_VERSION,
    }
