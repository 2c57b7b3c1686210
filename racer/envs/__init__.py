"""The Gymnasium environments: a vector environment of n cars, and one car by the same code."""

from racer.envs.config import EnvConfig, Tracks
from racer.envs.racer_env import RacerEnv
from racer.envs.racer_vector_env import RacerVectorEnv, info_of

__all__ = ["EnvConfig", "RacerEnv", "RacerVectorEnv", "Tracks", "info_of"]
