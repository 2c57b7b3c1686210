"""The least lap time of a track for a car: a bound to stand beside every lap time."""

from racer.laptime.lap_time_limit import Limit, limit_of, solve

__all__ = ["Limit", "limit_of", "solve"]
