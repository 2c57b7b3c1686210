"""Environments of other projects that are timed beside racer's, where they are installed."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class PeerEnv:
    """An environment of another project, with its own defaults.

    Attributes:
        name: Its name.
        id: The id that `gymnasium.make` takes; the part before a colon is imported.
        package: The package that must be there.
        simulates: What a step computes.
        scene: Name and number of cars of racer's environment that observes the most alike.
    """

    name: str
    id: str
    package: str
    simulates: str
    scene: tuple[str, int]

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.package) is not None


PEER_ENVS = (
    PeerEnv(
        name="CarRacing-v3",
        id="CarRacing-v3",
        package="Box2D",
        simulates="Box2D in the plane at 50 Hz: a hull and four wheels; draws a 96x96 RGB picture "
        "from above in each step",
        scene=("camera 160x120", 64),
    ),
    PeerEnv(
        name="HighwayEnv racetrack-v0",
        id="highway_env:racetrack-v0",
        package="highway_env",
        simulates="a kinematic bicycle model of two cars in the plane at 15 Hz, three times "
        "a step; observes an occupancy grid of 12x12 cells; draws nothing",
        scene=("state", 64),
    ),
    PeerEnv(
        name="f1tenth_gym",
        id="f1tenth_gym:f1tenth-v0",
        package="f1tenth_gym",
        simulates="a single-track model of each car in the plane at 100 Hz, once a step; observes "
        "lidar scans; draws nothing",
        scene=("lidar, walls", 64),
    ),
    PeerEnv(
        name="gym-pybullet-drones",
        id="gym_pybullet_drones:hover-aviary-v0",
        package="gym_pybullet_drones",
        simulates="Bullet in space at 240 Hz: one quadcopter; observes its state; draws nothing",
        scene=("state", 64),
    ),
)
"""The environments; what they simulate is from their sources."""
