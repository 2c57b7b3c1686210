"""The race of a season, and the flat layout of its fields that older files and digests have."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from racer.race import RaceConfig

FLAT_RACE_FIELDS = (
    "kind",
    "laps",
    "faults",
    "off_track_penalty",
    "collision_penalty",
    "time_limit",
    "walls",
    "obstacles",
    "bots",
)
"""Fields of `race` that the flat layout has beside those of the season."""

FLAT_SEASON_FIELDS = (
    "name",
    "description",
    "kind",
    "tracks",
    "directions",
    "seeds",
    "laps",
    "faults",
    "off_track_penalty",
    "collision_penalty",
    "time_limit",
    "walls",
    "obstacles",
    "bots",
    "car",
    "physics",
    "scoring",
    "ranking",
    "sealed",
)
"""Fields of a season in the flat layout, version 1. Digests are of it, so it never changes."""
FLAT_OPTIONAL_FIELDS = ("event",)
"""Fields that are in the flat layout where they are given, so older digests stay what they are."""


class SeasonRaceConfig(RaceConfig):
    """The rules of each run of a season: a `RaceConfig` with the defaults and limits of a season.

    The season fixes `start` and `start_offset`: each run starts from a standstill on the start
    line. It fixes `direction` too, by its own `directions`.
    """

    laps: int = Field(default=3, ge=1, le=100, description="laps to complete in each run, 1-100")
    start: Literal["line", "random", "round_robin"] = Field(
        default="line", exclude=True, description="always the start line"
    )
    start_offset: float = Field(default=0.0, exclude=True, description="always 0")
    direction: Literal["forward", "reverse", "alternate"] = Field(
        default="forward", exclude=True, description="each of the season's `directions`"
    )
    faults: Literal["reset", "end"] = Field(
        default="reset", description="a fault puts the car back at a penalty, or ends the run"
    )
    time_limit: float = Field(
        gt=0, le=3600, description="simulated seconds for each run with penalties, to 3600"
    )

    @field_validator("start", "start_offset", "direction", mode="before")
    @classmethod
    def _the_season_fixes_it(cls, value: Any) -> Any:
        raise ValueError(
            "a season fixes it: its runs start on the start line, and `directions` beside `race` "
            "lists the ways round"
        )


def nest_race_fields(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a season's tree with the race's fields of the flat layout moved into `race`.

    Raises:
        ValidationError: The tree has such a field and `race` too.
    """
    flat = {key: tree[key] for key in FLAT_RACE_FIELDS if key in tree}
    if not flat:
        return tree
    if "race" in tree:
        twice = PydanticCustomError(
            "race_given_twice",
            "the race is given twice, by `race` and by this key of the older layout; move the key "
            "into `race`",
        )
        details = [InitErrorDetails(type=twice, loc=(key,), input=flat[key]) for key in flat]
        raise ValidationError.from_exception_data("Season", details)
    return {key: value for key, value in tree.items() if key not in flat} | {"race": flat}


def flatten_race_fields(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a season's dumped tree in the flat layout.

    It has exactly `FLAT_SEASON_FIELDS`, and those of `FLAT_OPTIONAL_FIELDS` that are not None.
    """
    flat = tree | tree["race"]
    optional = [key for key in FLAT_OPTIONAL_FIELDS if flat[key] is not None]
    return {key: flat[key] for key in (*FLAT_SEASON_FIELDS, *optional)}
