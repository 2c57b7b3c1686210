"""What a user's reward function is told, and how its file is loaded and called."""

from racer.reward.params import Facts, ParamsBuilder
from racer.reward.reward_file import RewardSource

__all__ = ["Facts", "ParamsBuilder", "RewardSource"]
