"""Checks of a reward file before training: errors, payments, and reward hacking probes."""

from racer.reward_check.check import RewardFinding, RewardReport, check_reward
from racer.reward_check.reward_map import explain_reward

__all__ = ["RewardFinding", "RewardReport", "check_reward", "explain_reward"]
