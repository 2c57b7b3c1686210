"""A reward file looked over before it trains: does it run, what does it pay, can it be tricked."""

from racer.reward_check.check import Finding, Report, check
from racer.reward_check.reward_map import explain

__all__ = ["Finding", "Report", "check", "explain"]
