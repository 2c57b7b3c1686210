"""Trains a policy with PPO, watches it, and keeps what it learnt in a run folder."""

import os

# Torch's threads, GNU OpenMP's, would spin for milliseconds after each piece of work and hold the
# cores that other programs want. OpenMP reads this once, when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
