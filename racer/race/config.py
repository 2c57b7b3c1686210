"""The rules of a race, and the ways in which an episode can end."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, get_args

from pydantic import Field, model_validator

from racer.assets.document import Document

Lane = Literal["left", "right"]
RaceKind = Literal["time_trial", "object_avoidance", "head_to_bot"]
"""A race on an empty road, on one with boxes, or on one with bot cars."""
RACE_KINDS: tuple[RaceKind, ...] = get_args(RaceKind)


class ObstacleConfig(Document):
    """Boxes on the road, each in the middle of one of its two lanes."""

    count: int = Field(default=6, ge=1, le=6, description="number of boxes, 1-6")
    places: tuple[tuple[float, Lane], ...] = Field(
        default=(),
        description="place of each box: share of the lap, 0-1, and lane; random places if empty",
    )

    @model_validator(mode="after")
    def _places_are_on_the_lap(self) -> ObstacleConfig:
        if len(self.places) > 6 or any(not 0.0 <= share < 1.0 for share, _ in self.places):
            raise ValueError(f"places: up to 6 shares of the lap in [0, 1), got {self.places}")
        return self


class BotConfig(Document):
    """Cars that follow a lane at a constant speed and change lanes from time to time."""

    count: int = Field(default=3, ge=1, le=6, description="number of bot cars, 1-6")
    speed: float = Field(default=0.2, ge=0.0, le=4.0, description="speed of the bots [m/s], 0-4")
    changes_lanes: bool = Field(default=True, description="whether bots change lanes")
    every: tuple[float, float] = Field(
        default=(3.0, 5.0), description="shortest and longest time between lane changes [s]"
    )

    @model_validator(mode="after")
    def _waits_ascend(self) -> BotConfig:
        if not 0.0 < self.every[0] <= self.every[1]:
            raise ValueError(f"every: shortest and longest time above 0 s, got {list(self.every)}")
        return self


class RaceConfig(Document):
    """The rules of one race."""

    kind: RaceKind = Field(
        default="time_trial", description="race on an empty road, among boxes, or among bot cars"
    )
    laps: int = Field(default=1, ge=1, le=100, description="laps of a race, 1-100")
    start: Literal["line", "random", "round_robin"] = Field(
        default="random",
        description="at the line, at random, or one twentieth of the lap further each episode",
    )
    start_offset: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="share of the lap by which starts are moved ahead of the line, 0-1",
    )
    direction: Literal["forward", "reverse", "alternate"] = Field(
        default="forward",
        description="direction of driving; alternate changes it with each episode",
    )
    faults: Literal["end", "reset"] = Field(
        default="end",
        description="what leaving the road, a crash, standing still or driving backwards does: "
        "end the episode, or reset the car with a penalty",
    )
    off_track_penalty: float = Field(
        default=3.0, ge=0, le=60, description="penalty for a fault other than a crash [s], 0-60"
    )
    collision_penalty: float = Field(
        default=5.0, ge=0, le=60, description="penalty for a crash [s], 0-60"
    )
    time_limit: float = Field(
        default=60.0, gt=0, le=36_000, description="simulated seconds until truncation, up to 36000"
    )
    walls: bool = Field(default=False, description="whether both borders have walls")
    obstacles: ObstacleConfig = Field(
        default=ObstacleConfig(), description="boxes of object_avoidance"
    )
    bots: BotConfig = Field(default=BotConfig(), description="bot cars of head_to_bot")


class Ending(IntEnum):
    """The state of an episode; each but RUNNING and TIME_UP is a termination."""

    RUNNING = 0
    LAPS_COMPLETE = 1
    OFF_TRACK = 2
    CRASHED = 3
    IMMOBILISED = 4
    REVERSED = 5
    TIME_UP = 6


RUNNING, LAPS_COMPLETE, OFF_TRACK, CRASHED, IMMOBILISED, REVERSED, TIME_UP = map(int, Ending)
"""The endings as numbers: for kernels, and for each step, as Python 3.11 is slow to look up an
enum's member."""
