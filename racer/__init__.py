"""A DeepRacer-style car in PyBullet: environments, training, racing and a local leaderboard.

Importing racer adds `racer/TimeTrial-v0` to Gymnasium's registry.
"""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"

if "racer/TimeTrial-v0" not in registry:
    register(
        "racer/TimeTrial-v0",
        entry_point="racer.env:RacerEnv",
        vector_entry_point="racer.env:RacerVectorEnv",
    )
