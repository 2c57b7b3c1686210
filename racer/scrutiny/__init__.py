"""A reward file looked over before it trains: does it run, what does it pay, can it be tricked."""

from racer.scrutiny.picture import explain
from racer.scrutiny.report import Finding, Report, check

__all__ = ["Finding", "Report", "check", "explain"]
