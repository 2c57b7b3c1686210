"""Trains a policy with PPO, watches it, and keeps what it learnt in a run folder."""
