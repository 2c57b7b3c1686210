"""What one episode asks of a car, and how it can end."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, get_args

from pydantic import Field, model_validator

from racer.assets.document import Document

Lane = Literal["left", "right"]
RaceKind = Literal["time_trial", "object_avoidance", "head_to_bot"]
"""An empty road, one with boxes, or one with bot cars."""
RACE_KINDS: tuple[RaceKind, ...] = get_args(RaceKind)


class ObstacleConfig(Document):
    """Boxes that stand on the road, each in the middle of one of its two lanes."""

    count: int = Field(default=6, ge=1, le=6, description="boxes on the lap, 1-6")
    places: tuple[tuple[float, Lane], ...] = Field(
        default=(),
        description="shares of the lap after the start line, 0-1, and lanes; at random if empty",
    )

    @model_validator(mode="after")
    def _places_are_on_the_lap(self) -> ObstacleConfig:
        if len(self.places) > 6 or any(not 0.0 <= share < 1.0 for share, _ in self.places):
            raise ValueError(f"places: up to 6 shares of the lap in [0, 1), got {self.places}")
        return self


class BotConfig(Document):
    """Cars that follow a lane at a set speed and now and then change it."""

    count: int = Field(default=3, ge=1, le=6, description="bot cars, 1-6")
    speed: float = Field(default=0.2, ge=0.0, le=4.0, description="their speed [m/s], 0-4")
    changes_lanes: bool = Field(default=True, description="whether they change lanes")
    every: tuple[float, float] = Field(
        default=(3.0, 5.0), description="least and most seconds from one change to the next"
    )

    @model_validator(mode="after")
    def _waits_ascend(self) -> BotConfig:
        if not 0.0 < self.every[0] <= self.every[1]:
            raise ValueError(f"every: least and most seconds above 0, got {list(self.every)}")
        return self


class RaceConfig(Document):
    """What one episode asks of a car."""

    kind: RaceKind = Field(
        default="time_trial", description="an empty road, one with boxes, or one with bot cars"
    )
    laps: int = Field(default=1, ge=1, le=100, description="laps to complete, 1-100")
    start: Literal["line", "random", "round_robin"] = Field(
        default="random",
        description="at the start line, anywhere, or a twentieth of the lap further each episode",
    )
    start_offset: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="share of the lap that starts lie after the line"
    )
    direction: Literal["forward", "reverse", "alternate"] = Field(
        default="forward", description="the track's own, against it, or in turns"
    )
    faults: Literal["end", "reset"] = Field(
        default="end",
        description="leaving the road, crashing, standing and driving backwards end the episode, "
        "or put the car back at a penalty",
    )
    off_track_penalty: float = Field(
        default=3.0, ge=0, le=60, description="seconds added for a fault that is no crash, 0-60"
    )
    collision_penalty: float = Field(
        default=5.0, ge=0, le=60, description="seconds added for a crash, 0-60"
    )
    time_limit: float = Field(
        default=60.0, gt=0, le=36_000, description="simulated seconds until truncation, to 36000"
    )
    walls: bool = Field(default=False, description="whether walls stand on both borders")
    obstacles: ObstacleConfig = Field(
        default=ObstacleConfig(), description="used where kind is object_avoidance"
    )
    bots: BotConfig = Field(default=BotConfig(), description="used where kind is head_to_bot")


class Ending(IntEnum):
    """How an episode stands. All but RUNNING and TIME_UP are terminations."""

    RUNNING = 0
    LAPS_COMPLETE = 1
    OFF_TRACK = 2
    CRASHED = 3
    IMMOBILISED = 4
    REVERSED = 5
    TIME_UP = 6
