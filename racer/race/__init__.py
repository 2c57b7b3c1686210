"""The rules of a race: starts, laps, faults, penalties, endings and obstacles."""

from racer.race.config import (
    RACE_KINDS,
    BotConfig,
    Ending,
    ObstacleConfig,
    RaceConfig,
    RaceKind,
)
from racer.race.race import OtherCars, Race
from racer.race.roads import Road, Roads

__all__ = [
    "RACE_KINDS",
    "BotConfig",
    "Ending",
    "ObstacleConfig",
    "OtherCars",
    "Race",
    "RaceConfig",
    "RaceKind",
    "Road",
    "Roads",
]
