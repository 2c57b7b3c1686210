"""Drives a policy over a track and says what it did. Training curves and the board share it."""

from racer.evaluation.evaluate import FAILURES, Driver, Policy, judge, judge_together
from racer.evaluation.lap_result import LapResult
from racer.evaluation.race_entries import (
    home_race,
    house_pilot,
    in_process,
    judge_entries,
    judge_entry,
    judge_pilot,
    race_rules,
)

__all__ = [
    "FAILURES",
    "Driver",
    "LapResult",
    "Policy",
    "home_race",
    "house_pilot",
    "in_process",
    "judge",
    "judge_entries",
    "judge_entry",
    "judge_pilot",
    "judge_together",
    "race_rules",
]
