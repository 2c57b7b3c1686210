"""The rules of a race: where it starts, what counts as a lap, and how it ends."""

from racer.race.time_trial import Ending, RaceConfig, TimeTrial

__all__ = ["Ending", "RaceConfig", "TimeTrial"]
