"""The minimum lap time of a track for a car: a lower bound for every lap time."""

from racer.laptime.lap_time_limit import LapTimeLimit, committed_limit, solve_lap_time_limit

__all__ = ["LapTimeLimit", "committed_limit", "solve_lap_time_limit"]
