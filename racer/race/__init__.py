"""The rules of a race: starts, laps, faults, penalties, endings and obstacles."""

from racer.race.config import BotConfig, Ending, ObstacleConfig, RaceConfig
from racer.race.race import OtherCars, Race
from racer.race.roads import Road, Roads

__all__ = [
    "BotConfig",
    "Ending",
    "ObstacleConfig",
    "OtherCars",
    "Race",
    "RaceConfig",
    "Road",
    "Roads",
]
