"""A DeepRacer-style car in PyBullet: environments, training, racing and a local leaderboard."""

__version__ = "0.1.0"


def register() -> None:
    """Add racer's environments to Gymnasium's registry; importing gymnasium calls this itself."""
    from gymnasium.envs.registration import register, registry

    if "racer/TimeTrial-v0" not in registry:
        register(
            "racer/TimeTrial-v0",
            entry_point="racer.env:RacerEnv",
            vector_entry_point="racer.env:RacerVectorEnv",
        )
