"""The rules of a race: where it starts, what counts as a lap, and how it ends."""

from racer.race.config import (
    RACE_KINDS,
    BotConfig,
    Ending,
    ObstacleConfig,
    RaceConfig,
    RaceKind,
)
from racer.race.race import OtherCars, Race

__all__ = [
    "RACE_KINDS",
    "BotConfig",
    "Ending",
    "ObstacleConfig",
    "OtherCars",
    "Race",
    "RaceConfig",
    "RaceKind",
]
