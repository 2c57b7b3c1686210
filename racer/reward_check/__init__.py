"""A reward file looked over before it trains: does it run, what does it pay, can it be tricked."""

from racer.reward_check.check import RewardFinding, RewardReport, check_reward
from racer.reward_check.reward_map import explain_reward

__all__ = ["RewardFinding", "RewardReport", "check_reward", "explain_reward"]
