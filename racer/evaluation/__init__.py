"""Evaluation of policies and controllers in a race, for training and for the leaderboard."""

from racer.evaluation.evaluate import (
    POLICY_FAILURES,
    Driver,
    Policy,
    SteppedRace,
    evaluate_alone,
    evaluate_drivers,
    evaluate_together,
)
from racer.evaluation.lap_result import LapResult
from racer.evaluation.race_entries import (
    controller_for,
    driver_of,
    evaluate_controller,
    evaluate_entries,
    make_race_rules,
    policy_in_process,
    race_of_training,
)

__all__ = [
    "POLICY_FAILURES",
    "Driver",
    "LapResult",
    "Policy",
    "SteppedRace",
    "controller_for",
    "driver_of",
    "evaluate_alone",
    "evaluate_controller",
    "evaluate_drivers",
    "evaluate_entries",
    "evaluate_together",
    "make_race_rules",
    "policy_in_process",
    "race_of_training",
]
