"""Reward files: the `params` that a reward function receives, and how its file is run."""

from racer.reward.car_rewards import CarRewards
from racer.reward.params import ParamsBuilder, StepFacts
from racer.reward.reward_file import RewardSource

__all__ = ["CarRewards", "ParamsBuilder", "RewardSource", "StepFacts"]
