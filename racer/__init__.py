"""A DeepRacer-style car in PyBullet: environments, training, racing and a local leaderboard.

Importing racer adds `racer/TimeTrial-v0`, `racer/ObjectAvoidance-v0` and `racer/HeadToBot-v0` to
Gymnasium's registry.
"""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"

ENV_IDS = {
    "time_trial": "racer/TimeTrial-v0",
    "object_avoidance": "racer/ObjectAvoidance-v0",
    "head_to_bot": "racer/HeadToBot-v0",
}
"""The id of each kind of race."""

for _kind, _id in ENV_IDS.items():
    if _id not in registry:
        register(
            _id,
            entry_point="racer.env:RacerEnv",
            vector_entry_point="racer.env:RacerVectorEnv",
            kwargs={"kind": _kind},
        )
