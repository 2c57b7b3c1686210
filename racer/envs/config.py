"""The config of an environment: every field that its constructor takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from racer.assets.document import Document, path_beside
from racer.car.action_space import ActionSpace
from racer.car.spec import CAR_PRESETS, CarName
from racer.deepracer.metadata import read_action_space
from racer.race import RaceConfig
from racer.randomisation import Randomisation, load_randomisation
from racer.sensors import CameraConfig, Sensors
from racer.world import Engine

GENERATED_TRACKS = 16
"""Number of tracks that `generated` stands for; all are made before the first episode."""


def _several(value: Any, info: ValidationInfo) -> Any:
    """Return names as a tuple, `generated` replaced by `GENERATED_TRACKS` generated tracks."""
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise PydanticCustomError("names", "a track's name, or a list of names, is wanted")
    pool = [f"generated:{seed}" for seed in range(GENERATED_TRACKS)]
    names = [one for name in names for one in (pool if name == "generated" else [name])]
    return [path_beside(name, info) if isinstance(name, str) else name for name in names]


Tracks = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""Names of tracks; a single name is a list of one."""


class EnvConfig(Document):
    """Track, vehicle, sensors, actions, race, randomisation and reward of an environment."""

    track: Tracks = Field(
        default=("bowtie",),
        min_length=1,
        description="a shipped track's name, a file, generated:SEED, or generated for 16 generated "
        "tracks; of several tracks each episode draws one",
    )
    car: CarName = Field(default="deepracer", description=f"the car: {' or '.join(CAR_PRESETS)}")
    sensor: Sensors = Field(default=(CameraConfig(),), description="sensors of the car")
    actions: ActionSpace = Field(
        default=ActionSpace(), description="action space, or a model_metadata.json that has it"
    )
    race: RaceConfig = Field(default=RaceConfig(), description="rules of the race")
    randomisation: Randomisation = Field(
        default=Randomisation(), description="ranges of each episode's draws, or a preset's name"
    )
    engine: Engine = Field(
        default="auto",
        description="what computes the motion, with the same bits: auto, the twin of Bullet for "
        "cars that touch nothing and Bullet for the others; bullet alone; or twin alone, which "
        "needs no PyBullet but an empty road",
    )
    reward: str | None = Field(
        default="progress",
        description="a reward file or a shipped one's name; null: every reward is 0",
    )
    compile: bool = Field(
        default=True,
        description="whether a reward file that can be compiled is, for eight or more cars; every "
        "value is the same",
    )

    @field_validator("race", mode="before")
    @classmethod
    def _a_name_is_a_kind_of_race(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("actions", mode="before")
    @classmethod
    def _a_name_is_a_kind_of_space(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value.endswith(".json"):
            return read_action_space(Path(path_beside(value, info)))
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("randomisation", mode="before")
    @classmethod
    def _a_name_is_a_preset(cls, value: Any, info: ValidationInfo) -> Any:
        return load_randomisation(path_beside(value, info)) if isinstance(value, str) else value

    @field_validator("reward")
    @classmethod
    def _a_reward_may_lie_beside(cls, value: str | None, info: ValidationInfo) -> str | None:
        return path_beside(value, info) if value else value
