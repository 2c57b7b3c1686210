"""The Gymnasium ids of the environments, and the arguments that each stands for."""

from __future__ import annotations

from typing import Any

from gymnasium.envs.registration import register, registry

ENV_IDS = {
    "time_trial": "racer/TimeTrial-v0",
    "object_avoidance": "racer/ObjectAvoidance-v0",
    "head_to_bot": "racer/HeadToBot-v0",
}
"""The environment id of each kind of race; its default sensor is DeepRacer's camera."""

_LIDAR_AND_STATE = {"sensor": ["lidar", "state"]}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **{name: {"kind": kind} for kind, name in ENV_IDS.items()},
    "racer/TimeTrial-State-v0": {"kind": "time_trial", "sensor": "state"},
    "racer/ObjectAvoidance-LidarState-v0": {"kind": "object_avoidance", **_LIDAR_AND_STATE},
    "racer/HeadToBot-LidarState-v0": {"kind": "head_to_bot", **_LIDAR_AND_STATE},
}
"""Every environment id, with the constructor's arguments that it stands for."""


def register_environments() -> None:
    """Add every id to Gymnasium's registry; an id that is there already is left as it is."""
    for name, arguments in ARGUMENTS.items():
        if name not in registry:
            register(
                name,
                entry_point="racer.envs:RacerEnv",
                vector_entry_point="racer.envs:RacerVectorEnv",
                kwargs=arguments,
            )
