"""Training of a policy: its learner, evaluations, checkpoints, run folder and reports."""

import os

# Torch uses GNU OpenMP, whose threads spin for milliseconds after each parallel section and so
# occupy cores that other processes need. OpenMP reads this variable once, when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
