"""What a user's reward function is told, and how its file is loaded and called."""

from racer.reward.car_rewards import CarRewards
from racer.reward.params import ParamsBuilder, StepFacts
from racer.reward.reward_file import RewardSource

__all__ = ["CarRewards", "ParamsBuilder", "RewardSource", "StepFacts"]
