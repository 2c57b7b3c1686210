"""The rules of a race: where it starts, what counts as a lap, and how it ends."""

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
