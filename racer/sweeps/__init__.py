"""Hyperparameter search: many trainings whose configs differ in a few fields, with Optuna."""

from racer.sweeps.search import resume_sweep, run_sweep
from racer.sweeps.sweep import Sweep, SweepConfig

__all__ = ["Sweep", "SweepConfig", "resume_sweep", "run_sweep"]
