"""A DeepRacer-style car in PyBullet: environments, training, racing and a local leaderboard.

Importing racer adds `racer/TimeTrial-v0`, `racer/ObjectAvoidance-v0` and `racer/HeadToBot-v0` to
Gymnasium's registry.
"""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"

for _name, _kind in (
    ("TimeTrial", "time_trial"),
    ("ObjectAvoidance", "object_avoidance"),
    ("HeadToBot", "head_to_bot"),
):
    if f"racer/{_name}-v0" not in registry:
        register(
            f"racer/{_name}-v0",
            entry_point="racer.env:RacerEnv",
            vector_entry_point="racer.env:RacerVectorEnv",
            kwargs={"kind": _kind},
        )
