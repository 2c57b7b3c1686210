"""The Gymnasium environments: n cars in one world, and one car by the same code."""

from racer.env.config import EnvConfig, Tracks
from racer.env.single import RacerEnv
from racer.env.vector import RacerVectorEnv, info_of, surroundings

__all__ = ["EnvConfig", "RacerEnv", "RacerVectorEnv", "Tracks", "info_of", "surroundings"]
