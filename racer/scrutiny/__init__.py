"""A reward file looked over before it trains: does it run, what does it pay, can it be tricked."""

from racer.scrutiny.check import Finding, Report, check
from racer.scrutiny.explain import explain

__all__ = ["Finding", "Report", "check", "explain"]
